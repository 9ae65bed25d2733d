"""Towers bind to whatever graph an exporter made, and let nothing but unit vectors out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from clipsearch.engine import towers
from clipsearch.engine.backends import Port
from clipsearch.engine.cards import ModelCard, TextInput, TowerFile, read_card
from clipsearch.engine.choosing.candidates import IMAGE_BATCH, default_candidate
from clipsearch.engine.store import STARTER_FOLDER
from clipsearch.engine.towers import TEXT_BATCH, ImageTower, PendingImageTower, TextTower, unit_vectors
from clipsearch.errors import Exit, ModelError
from tests.engine.test_cards import GOOD, card_of

DIM = 8
CLIP_TEXT = TextInput("clip-bpe", "clip", 77, "context", 0)
LAST_HIDDEN_STATE = Port("last_hidden_state", "float32", (None, None, DIM))
EMBEDDING = Port("embeds", "float32", (None, DIM))
IDS = Port("input_ids", "int64", (None, None))
MASK = Port("attention_mask", "int64", (None, None))


@dataclass
class FakeSession:
    """Satisfies backends.Session without a runtime: checks what it is fed as a runtime would, and remembers it.

    Each row's vector depends on that row alone, and is not of length 1.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...] = (EMBEDDING,)
    answer: np.ndarray | None = None
    device: str = "fake-cpu"
    fed: list[dict[str, np.ndarray]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def run(self, feeds: Mapping[str, np.ndarray], output: str) -> np.ndarray:
        assert feeds.keys() == {port.name for port in self.inputs}
        for port in self.inputs:
            assert feeds[port.name].dtype == port.dtype
            assert len(feeds[port.name].shape) == len(port.shape)
            assert all(want in (None, size) for want, size in zip(port.shape, feeds[port.name].shape, strict=True)), (
                feeds[port.name].shape,
                port.shape,
            )
        self.fed.append(dict(feeds))
        self.asked.append(output)
        if self.answer is not None:
            return self.answer
        first = feeds[self.inputs[0].name]
        return np.stack([row_vector(row) for row in first])


def row_vector(row: np.ndarray) -> np.ndarray:
    values = row.astype(np.float64).ravel()
    return np.array([np.cos(power + values).sum() + 3 for power in range(DIM)], np.float32)


@pytest.fixture
def card(tmp_path: Path) -> ModelCard:
    card = card_of(tmp_path, GOOD)
    towers_of_it = {}
    for role in ("image", "text"):
        (tmp_path / f"{role}.onnx").write_bytes(role.encode())
        towers_of_it[role] = TowerFile(f"{role}.onnx", SHA256[role])
    variant = replace(card.reference, **towers_of_it)
    return replace(card, dim=DIM, image=replace(card.image, size=4), text=CLIP_TEXT, variants=(variant,))


SHA256 = {
    "image": "6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d",
    "text": "982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1",
}


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch):
    """Makes `open_session` give this fake."""

    def use(session: FakeSession) -> FakeSession:
        monkeypatch.setattr(towers, "open_session", lambda path, way: session)
        return session

    return use


def picture(dtype: str = "float32", batch: int | None = None, size: int | None = 4) -> Port:
    return Port("pixel_values", dtype, (batch, 3, size, size))


def pixels(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, 4, 4, 3), np.uint8)


def expected(fed: np.ndarray) -> np.ndarray:
    raw = np.stack([row_vector(row) for row in fed])
    return raw / np.linalg.norm(raw, axis=1, keepdims=True)


def assert_unit(vectors: np.ndarray, count: int) -> None:
    assert vectors.shape == (count, DIM) and vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors.astype(np.float64), axis=1), 1, atol=1e-6)


# -- the promise ----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, IMAGE_BATCH, 2 * IMAGE_BATCH + 3])
def test_photos_become_unit_vectors_in_their_order(card: ModelCard, opened, count: int) -> None:
    """A vector of another length or in another's place ranks its photo wrongly for ever."""
    session = opened(FakeSession((picture(),)))
    tower = ImageTower(card)
    vectors = tower.encode_pixels(pixels(count))
    assert_unit(vectors, count)
    assert np.allclose(vectors, expected(tower.prepare.tensor(pixels(count))), atol=1e-6)
    assert max(len(fed["pixel_values"]) for fed in session.fed) <= IMAGE_BATCH


def test_a_run_has_one_batch_shape_once_a_batch_was_full(card: ModelCard, opened) -> None:
    """Runtimes keep memory for each shape they meet, so a run of hours would grow (onnxruntime #5796)."""
    session = opened(FakeSession((picture(),)))
    tower = PendingImageTower(card, lambda: ImageTower(card))
    for count in (IMAGE_BATCH, 3, 1, IMAGE_BATCH + 5):
        vectors = tower.encode_pixels(pixels(count))
        assert_unit(vectors, count)
        assert np.allclose(vectors, expected(tower.prepare.tensor(pixels(count))), atol=1e-6)
    assert {len(fed["pixel_values"]) for fed in session.fed} == {IMAGE_BATCH}


def test_a_few_photos_are_not_charged_for_a_whole_batch(card: ModelCard, opened) -> None:
    """A query by picture, or one new photo, would take 16 times as long."""
    session = opened(FakeSession((picture(),)))
    PendingImageTower(card, lambda: ImageTower(card)).encode_pixels(pixels(1))
    tower = ImageTower(card)
    for count in range(1, IMAGE_BATCH + 1):
        assert np.allclose(tower.encode_pixels(pixels(count)), expected(tower.prepare.tensor(pixels(count))), atol=1e-6)
    assert [len(fed["pixel_values"]) for fed in session.fed] == [1, 1, 2, 4, 4, *[8] * 4, *[16] * 8]


@pytest.mark.parametrize(("batch", "handed"), [(1, 16), (4, 16), (6, 12), (16, 16), (64, 64)])
def test_a_small_batch_does_not_make_small_commits(card: ModelCard, opened, batch: int, handed: int) -> None:
    """A model that runs best one at a time would have the disk synced for each photo."""
    session = opened(FakeSession((picture(),)))
    tower = PendingImageTower(card, lambda: ImageTower(card, replace(default_candidate(card), batch=batch)))
    assert tower.batch_size == handed
    tower.encode_pixels(pixels(handed))
    assert {len(fed["pixel_values"]) for fed in session.fed} == {batch}


def test_padding_leaves_the_vectors_of_the_starter_as_they_are() -> None:
    """A photo's vector would depend on how many came with it."""
    starter = read_card(STARTER_FOLDER)
    side = starter.image.size
    photos = np.random.default_rng(1).integers(0, 256, (3, side, side, 3), np.uint8)
    alone = np.concatenate([ImageTower(starter).encode_pixels(photo[None]) for photo in photos])
    tower = PendingImageTower(starter, lambda: ImageTower(starter))
    tower.encode_pixels(np.zeros((tower.batch_size, side, side, 3), np.uint8))
    assert np.abs(tower.encode_pixels(photos) - alone).max() < 1e-5


def test_what_pads_a_batch_changes_no_range_of_it(card: ModelCard, opened) -> None:
    """A graph that scales a whole batch by its largest value would give all rows other vectors."""
    session = opened(FakeSession((picture(),)))
    dark = np.full((3, 4, 4, 3), 100, np.uint8)
    ImageTower(card).encode_pixels(dark)
    (fed,) = session.fed
    assert len(fed["pixel_values"]) == 4 and np.ptp(fed["pixel_values"], axis=(0, 2, 3)).max() == 0


@pytest.mark.parametrize("count", [1, TEXT_BATCH, 2 * TEXT_BATCH + 3])
def test_texts_become_unit_vectors_in_their_order(card: ModelCard, opened, count: int) -> None:
    """Labels would exchange their probabilities at the border of a batch."""
    session = opened(FakeSession((IDS,)))
    texts = [f"a dog {number}" for number in range(count)]
    encoded = TextTower(card).encode(texts)
    assert_unit(encoded.vectors, count)
    ids = np.concatenate([fed["input_ids"] for fed in session.fed])[:count]  # what fills the last batch follows
    assert ids.shape == (count, 77) and len(np.unique(ids, axis=0)) == count
    assert np.allclose(encoded.vectors, expected(ids), atol=1e-6)
    assert encoded.truncated.tolist() == [False] * count


# -- texts at their own length --------------------------------------------------------------------


class CausalSession(FakeSession):
    """A row's vector depends on the tokens up to its end, and on their places: what follows changes nothing."""

    def run(self, feeds: Mapping[str, np.ndarray], output: str) -> np.ndarray:
        super().run(feeds, output)
        rows = (row[: row.argmax() + 1] for row in feeds["input_ids"])
        return np.stack([row_vector(row * (1 + np.arange(len(row)))) for row in rows])

    @property
    def shapes(self) -> set[tuple[int, ...]]:
        return {fed["input_ids"].shape for fed in self.fed}

    @property
    def tokens(self) -> int:
        return sum(fed["input_ids"].size for fed in self.fed)


def labels(count: int, words: int) -> list[str]:
    """Texts of 1 to `words` words, mixed; no two are the same."""
    lengths = np.random.default_rng(7).integers(1, words + 1, count)
    return [f"dog {number} " + "dog " * length for number, length in enumerate(lengths)]


@pytest.mark.parametrize("batch", [None, 3])
def test_texts_of_many_lengths_keep_their_order_and_their_vectors(card: ModelCard, opened, batch: int | None) -> None:
    """Labels that are sorted on the way would exchange their probabilities."""
    card = replace(card, text=replace(CLIP_TEXT, padding="longest"))
    texts = labels(200, words=90)
    opened(CausalSession((replace(IDS, shape=(batch, None)),)))
    together = TextTower(card).encode(texts)
    opened(CausalSession((IDS,)))
    tower = TextTower(card)
    alone = [tower.encode([text]) for text in texts]
    assert np.abs(together.vectors - np.concatenate([one.vectors for one in alone])).max() < 1e-6
    assert together.truncated.tolist() == [one.truncated[0] for one in alone]
    assert {True, False} == set(together.truncated.tolist())


def test_the_starter_gives_each_text_the_vector_that_it_has_alone() -> None:
    """A label's probability would depend on how long the others are.

    With ONNX Runtime: OpenVINO rounds what goes through int8 weights, and another batch is rounded elsewhere (1e-3).
    """
    starter = read_card(STARTER_FOLDER)
    tower = TextTower(starter, default_candidate(starter, "onnxruntime"))
    texts = ["a dog", "a dog on a beach " * 4, "cat", "an old wooden boat on a quiet lake", "", "two dogs", "a cow"]
    alone = np.concatenate([tower.encode([text]).vectors for text in texts])
    assert np.abs(tower.encode(texts).vectors - alone).max() < 1e-6


def test_a_short_label_does_not_pay_for_the_longest(card: ModelCard, opened) -> None:
    """A thousand labels of two words and one sentence among them took as long as a thousand sentences."""
    card = replace(card, text=replace(CLIP_TEXT, padding="longest"))
    texts = [*(f"dog {number}" for number in range(100)), "dog " * 70, *(f"a cat {number}" for number in range(100))]
    session = opened(CausalSession((IDS,)))
    tower = TextTower(card)
    tower.encode(texts)
    assert session.tokens < 1.2 * (100 * 6 + 72 + 100 * 8)
    session.fed.clear()
    tower.encode(["a dog on a beach"])
    assert session.shapes == {(1, 8)}


def test_texts_of_every_length_and_number_meet_few_shapes(card: ModelCard, opened) -> None:
    """Runtimes keep memory for each shape they meet; a service that answers for weeks would grow."""
    card = replace(card, text=replace(CLIP_TEXT, padding="longest"))
    session = opened(CausalSession((IDS,)))
    tower = TextTower(card)
    for length in range(1, 77):
        tower.encode(["dog " * length])
    assert len(session.shapes) <= 20
    session.fed.clear()
    for count in range(1, 70):
        tower.encode([f"dog {'dog' * number}" for number in range(count)])
    assert {rows for rows, _ in session.shapes} <= {1, 2, *range(4, TEXT_BATCH + 1, 4)}


def test_a_text_that_reads_its_padding_is_always_padded_to_the_context(card: ModelCard, opened) -> None:
    """SigLIP's vector is read at the last position: at its own length a text would have another one."""
    session = opened(FakeSession((IDS,)))
    TextTower(card).encode(labels(40, words=20))
    TextTower(card).encode(["a dog"])
    assert {columns for _, columns in (fed["input_ids"].shape for fed in session.fed)} == {77}


def test_truncated_texts_are_told_across_batches(card: ModelCard, opened) -> None:
    """The warning must name the text that was cut."""
    opened(FakeSession((IDS,)))
    texts = ["dog"] * TEXT_BATCH + ["dog " * 90, "dog"]
    assert TextTower(card).encode(texts).truncated.tolist() == [False] * TEXT_BATCH + [True, False]


def test_the_starter_gives_unit_vectors() -> None:
    """The promise with a real graph."""
    starter = read_card(STARTER_FOLDER)
    side = starter.image.size
    photos = ImageTower(starter).encode_pixels(np.full((3, side, side, 3), 127, np.uint8))
    texts = TextTower(starter).encode(["a dog", ""]).vectors
    for vectors in (photos, texts):
        assert vectors.dtype == np.float32 and vectors.shape[1] == 512
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_the_space_and_variant_are_those_of_the_card(card: ModelCard, opened) -> None:
    """Vectors are kept under this identity; a wrong one mixes two models."""
    opened(FakeSession((picture(),)))
    tower = ImageTower(card)
    assert (tower.space.fingerprint, tower.space.dim) == (card.image_fingerprint, DIM)
    assert tower.variant == "fp32/fake-cpu"
    assert tower.prepare.definition == card.image


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_number_that_is_none_refuses_the_batch(card: ModelCard, bad: float) -> None:
    """A NaN in the index makes every later comparison NaN; bf16 and broken drivers do make them."""
    raw = np.ones((3, DIM), np.float32)
    raw[1, 2] = bad
    with pytest.raises(ModelError, match="toy gave a vector that is zero or not a number") as caught:
        unit_vectors(raw, card)
    assert caught.value.exit_code == Exit.MODEL and "--backend" in caught.value.hint


def test_a_zero_row_is_refused(card: ModelCard) -> None:
    """It has no direction: divided by its length it would be NaN."""
    raw = np.ones((3, DIM), np.float32)
    raw[2] = 0
    with pytest.raises(ModelError, match="zero or not a number"):
        unit_vectors(raw, card)


@pytest.mark.parametrize("shape", [(3, DIM + 1), (3, DIM - 1), (DIM,), (3, 2, DIM)], ids=str)
def test_a_wrong_width_is_refused(card: ModelCard, shape: tuple[int, ...]) -> None:
    """Token vectors instead of the sentence's, or the graph of a larger sibling."""
    with pytest.raises(ModelError, match=r"toy gave vectors of shape .* 8 dimensions"):
        unit_vectors(np.ones(shape, np.float32), card)


@pytest.mark.parametrize("scale", [1e-5, 1.0, 1e30])
def test_small_and_large_vectors_are_made_unit(card: ModelCard, scale: float) -> None:
    """The square of 1e30 does not fit a float32."""
    assert_unit(unit_vectors(np.full((2, DIM), scale, np.float32), card), 2)


def test_towers_check_what_the_graph_answers(card: ModelCard, opened) -> None:
    """The check is of no use if a tower goes around it."""
    opened(FakeSession((picture(),), answer=np.full((2, DIM), np.nan, np.float32)))
    with pytest.raises(ModelError, match="not a number"):
        ImageTower(card).encode_pixels(pixels(2))
    opened(FakeSession((IDS,), answer=np.zeros((1, DIM), np.float32)))
    with pytest.raises(ModelError, match="zero"):
        TextTower(card).encode(["dog"])


# -- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("tower", "role"), [(ImageTower, "image"), (TextTower, "text")])
def test_a_file_that_does_not_match_its_card_is_not_opened(card: ModelCard, opened, tower: type, role: str) -> None:
    """A replaced or damaged file gives plausible vectors of another space; a hostile one may do more."""
    opened(FakeSession((picture(),) if role == "image" else (IDS,)))
    tower(card)
    (card.folder / f"{role}.onnx").write_bytes(b"other")
    with pytest.raises(ModelError, match=rf"{role}\.onnx does not match its card .*it was not used"):
        tower(card)


def test_a_missing_file_is_named(card: ModelCard) -> None:
    """A half-fetched model."""
    (card.folder / "text.onnx").unlink()
    with pytest.raises(ModelError, match=r"text\.onnx cannot be read"):
        TextTower(card)


def test_the_reference_variant_is_the_one_that_is_opened(card: ModelCard, opened) -> None:
    """Another precision would write into the reference's space."""
    second = replace(card.reference, name="fp16", image=TowerFile("image.onnx", "no"))
    opened(FakeSession((picture(),)))
    assert ImageTower(replace(card, variants=(card.reference, second))).variant == "fp32/fake-cpu"
    with pytest.raises(ModelError, match="does not match"):
        ImageTower(replace(card, variants=(second, card.reference)))


# -- binding --------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 4])
def test_a_graph_with_a_fixed_batch_is_fed_full_ones(card: ModelCard, opened, batch: int) -> None:
    """Many exports read one picture at a time and refuse every other number."""
    session = opened(FakeSession((picture(batch=batch),)))
    tower = ImageTower(card)
    vectors = tower.encode_pixels(pixels(6))
    assert tower.batch_size == batch
    assert_unit(vectors, 6)
    assert np.allclose(vectors, expected(tower.prepare.tensor(pixels(6))), atol=1e-6)
    assert len(session.fed) == -(-6 // batch)


@pytest.mark.parametrize("batch", [1, 4])
def test_a_text_graph_with_a_fixed_batch_is_fed_full_ones(card: ModelCard, opened, batch: int) -> None:
    """As above; the padding rows must not come out as answers."""
    ids, mask = (replace(port, shape=(batch, None)) for port in (IDS, MASK))
    opened(FakeSession((ids, mask)))
    encoded = TextTower(card).encode(["a dog", "a cat", "a bird", "a fish", "a cow", "dog " * 90])
    opened(FakeSession((IDS, MASK)))
    assert np.allclose(
        encoded.vectors, TextTower(card).encode(["a dog", "a cat", "a bird", "a fish", "a cow", "dog " * 90]).vectors
    )
    assert encoded.truncated.tolist() == [False] * 5 + [True]


def test_a_graph_with_a_fixed_sequence_is_fed_that_length(card: ModelCard, opened) -> None:
    """A card may say "pad to the longest" while this export reads 77 tokens only."""
    session = opened(FakeSession((replace(IDS, shape=(None, 77)), replace(MASK, shape=(None, 77)))))
    card = replace(card, text=replace(CLIP_TEXT, padding="longest"))
    assert_unit(TextTower(card).encode(["a dog", "a cat"]).vectors, 2)
    assert session.fed[0]["input_ids"].shape == (2, 77)
    assert session.fed[0]["attention_mask"].sum(axis=1).tolist() == [4, 4]


def test_a_graph_that_reads_fewer_tokens_than_the_card_says_is_refused(card: ModelCard, opened) -> None:
    """It would fail on the first long query, weeks later."""
    opened(FakeSession((replace(IDS, shape=(None, 64)),)))
    with pytest.raises(ModelError, match="reads 64 tokens, its card says 77"):
        TextTower(card)


def test_ids_and_mask_have_the_types_the_graph_reads(card: ModelCard, opened) -> None:
    """Exports for small devices read int32, and runtimes do not convert."""
    session = opened(FakeSession((replace(IDS, dtype="int32"), replace(MASK, dtype="float32"))))
    TextTower(card).encode(["a dog"])
    assert session.fed[0]["input_ids"].dtype == np.int32
    assert session.fed[0]["attention_mask"].dtype == np.float32


def test_a_half_precision_graph_is_fed_half_precision(card: ModelCard, opened) -> None:
    """float16 weights often come with float16 inputs."""
    session = opened(FakeSession((picture("float16"),)))
    assert_unit(ImageTower(card).encode_pixels(pixels(2)), 2)
    assert session.fed[0]["pixel_values"].dtype == np.float16


@pytest.mark.parametrize("inputs", [(IDS,), (IDS, MASK), (MASK, IDS)], ids=["no mask", "mask", "mask first"])
def test_a_mask_is_fed_when_the_graph_has_one(card: ModelCard, opened, inputs: tuple[Port, ...]) -> None:
    """Ids bound to the mask, or a mask that is not fed, average the padding into the sentence."""
    session = opened(FakeSession(inputs, answer=np.ones((1, DIM), np.float32)))
    TextTower(card).encode(["a dog"])
    assert session.fed[0]["input_ids"][0, :5].tolist() == [49_406, 320, 1929, 49_407, 0]
    if MASK in inputs:
        assert session.fed[0]["attention_mask"][0].tolist() == [1] * 4 + [0] * 73


@pytest.mark.parametrize("name", ["x", "input", "INPUT__0", "images"])
def test_inputs_are_bound_whatever_their_name(card: ModelCard, opened, name: str) -> None:
    """Exporters name them freely."""
    opened(FakeSession((replace(picture(size=None), name=name),)))
    assert_unit(ImageTower(card).encode_pixels(pixels(1)), 1)
    opened(FakeSession((replace(IDS, name=name),)))
    assert_unit(TextTower(card).encode(["a dog"]).vectors, 1)


@pytest.mark.parametrize("width", [DIM, None])
def test_the_embedding_is_taken_and_not_the_other_outputs(card: ModelCard, opened, width: int | None) -> None:
    """Transformers exports give token vectors first, and a wider pooled one."""
    embedding = replace(EMBEDDING, shape=(None, width))
    outputs = (LAST_HIDDEN_STATE, Port("pooler_output", "float32", (None, 2 * DIM)), embedding)
    for tower, port in ((ImageTower, picture()), (TextTower, IDS)):
        session = opened(FakeSession((port,), outputs))
        made = tower(card)
        made.encode_pixels(pixels(1)) if tower is ImageTower else made.encode(["a dog"])
        assert session.asked == ["embeds"]


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        ((IDS,), (EMBEDDING,)),
        ((picture(), replace(picture(), name="depth")), (EMBEDDING,)),
        ((Port("pixels", "uint8", (None, 4, 4, 3)),), (EMBEDDING,)),
        ((Port("pixels", "float32", (None, 4, 4, 3)),), (EMBEDDING,)),
        ((picture(),), (LAST_HIDDEN_STATE,)),
        ((picture(),), (EMBEDDING, replace(EMBEDDING, name="other"))),
        ((picture(),), (replace(EMBEDDING, shape=(None, DIM + 1)),)),
    ],
    ids=["text graph", "two pictures", "bytes", "rows first", "tokens only", "two embeddings", "another width"],
)
def test_a_graph_that_fits_no_photo_tower_is_refused(
    card: ModelCard, opened, inputs: tuple[Port, ...], outputs: tuple[Port, ...]
) -> None:
    """Guessing would index a library with nonsense that looks like vectors."""
    opened(FakeSession(inputs, outputs))
    with pytest.raises(ModelError, match=r"toy: \d of the graph's ports could be the"):
        ImageTower(card)


@pytest.mark.parametrize(
    "inputs",
    [(picture(),), (IDS, replace(IDS, name="position_ids")), (replace(IDS, shape=(None,)),), (MASK,)],
    ids=["photo graph", "two kinds of ids", "rank 1", "mask only"],
)
def test_a_graph_that_fits_no_text_tower_is_refused(card: ModelCard, opened, inputs: tuple[Port, ...]) -> None:
    """As above, for texts."""
    opened(FakeSession(inputs))
    with pytest.raises(ModelError, match="could be the token ids"):
        TextTower(card)
