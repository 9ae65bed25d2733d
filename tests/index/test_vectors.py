"""Generations: damage, crashes and merges must never change an answer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from clipsearch import config, files
from clipsearch.answers import Question, Stopwatch, answered
from clipsearch.errors import SystemFault
from clipsearch.index import nearest as plans
from clipsearch.index import vectors
from clipsearch.index.catalog import Catalog, Root
from clipsearch.index.spaces import Space
from clipsearch.index.vectors import STEPS, DamagedGeneration, make_checkpoint, needs_checkpoint, open_generation
from clipsearch.library import Library
from clipsearch.relevance import background_of
from clipsearch.types import Answer
from tests.index.filled import DIM, add_photo, fill, identity, new_root, stamp, true_best
from tests.support.encoder import hashed_vector

ROWS = 300
QUERIES = np.stack([hashed_vector(b"query %d" % n, DIM) for n in range(5)])


@pytest.fixture(autouse=True)
def use_generations_at_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "SCAN_ROWS", 0)


@pytest.fixture
def folder(paths: config.Paths) -> Path:
    paths.library.mkdir()
    return paths.library / "vectors"


@pytest.fixture
def catalog(paths: config.Paths, folder: Path) -> Iterator[Catalog]:
    with Catalog.open_writer(paths.library / "catalog.db") as opened:
        yield opened


@pytest.fixture
def space(catalog: Catalog) -> Space:
    return catalog.space_for(identity())


@pytest.fixture
def root(catalog: Catalog) -> Root:
    return new_root(catalog, b"/photos")


@pytest.fixture
def filled(catalog: Catalog, space: Space, root: Root) -> list[int]:
    return fill(catalog, space, root, ROWS)


def asked(library: Library, query: np.ndarray, k: int = 20, *, is_image: bool = False) -> Answer:
    """What the library answers to a vector of which no model knows a text."""
    opened, nothing = library._opened, np.empty((0, DIM), np.float32)
    question = Question(
        parts=query[None], weights=(1.0,), is_image=is_image, has_picture=is_image, excluded=nothing, k=k
    )
    background = background_of(query[None], QUERIES, photos=ROWS)
    with opened.catalog.transaction():
        return answered(opened.catalog, opened.nearest, opened.space(), question, lambda: background, Stopwatch())


def answers(paths: config.Paths, k: int = 20, *, is_image: bool = False) -> list[Answer]:
    with Library(paths) as opened:
        return [asked(opened, query, k, is_image=is_image) for query in QUERIES]


def found(paths: config.Paths, k: int = 20, *, is_image: bool = False) -> list[list[bytes]]:
    return [[hit.path for hit in answer.hits] for answer in answers(paths, k, is_image=is_image)]


def contents(numbers: range | list[int]) -> dict[int, np.ndarray]:
    return {number: hashed_vector(b"content %d" % number, DIM) for number in numbers}


def expected(numbers: range | list[int], k: int = 20) -> list[list[bytes]]:
    """Paths by brute force over vectors made beside the library; numbers are those of `fill`."""
    return [[b"/photos/%05d.jpg" % n for n in true_best(contents(numbers), query, k)] for query in QUERIES]


def generation_file(catalog: Catalog, space: Space, folder: Path) -> Path:
    checkpoint = catalog.checkpoint(space)
    assert checkpoint is not None
    return folder / checkpoint.file


# -- build and open ---------------------------------------------------------------------------------


def test_a_checkpoint_holds_every_vector_and_opens(
    catalog: Catalog, space: Space, folder: Path, filled: list[int]
) -> None:
    """A generation that lost rows would lose hits in silence."""
    make_checkpoint(catalog, space, folder)
    checkpoint = catalog.checkpoint(space)
    assert checkpoint is not None
    assert (checkpoint.rows, checkpoint.max_seq) == (ROWS, catalog.last_seq(space))
    generation = open_generation(folder, checkpoint, DIM)
    assert sorted(generation.nearest(QUERIES[0], 10 * ROWS, exact=True).tolist()) == filled
    assert [path.name for path in folder.iterdir()] == [checkpoint.file]
    assert not needs_checkpoint(catalog, space, folder)


def test_searches_of_a_generation_answer_as_brute_force(
    catalog: Catalog,
    space: Space,
    folder: Path,
    filled: list[int],
    paths: config.Paths,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The graph of a small generation is never walked; its rows are compared one by one."""
    make_checkpoint(catalog, space, folder)
    used: list[bool] = []
    real = vectors.Generation.nearest

    def nearest(self: vectors.Generation, query: np.ndarray, k: int, *, exact: bool) -> np.ndarray:
        used.append(exact)
        return real(self, query, k, exact=exact)

    monkeypatch.setattr(vectors.Generation, "nearest", nearest)
    assert found(paths) == expected(range(ROWS))
    assert used == [True] * len(QUERIES), "the search went past the generation"


def test_an_answer_does_not_depend_on_its_plan(
    catalog: Catalog,
    space: Space,
    folder: Path,
    filled: list[int],
    paths: config.Paths,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Scores to the last bit: a hit must not change its score when a run makes a checkpoint."""
    make_checkpoint(catalog, space, folder)
    from_generation = answers(paths)
    monkeypatch.setattr(plans, "SCAN_ROWS", 10 * ROWS)
    assert answers(paths) == from_generation


def test_no_vectors_make_no_file(catalog: Catalog, space: Space, folder: Path, paths: config.Paths) -> None:
    """Restoring an empty index ends the interpreter (usearch issue 195)."""
    assert not needs_checkpoint(catalog, space, folder)
    make_checkpoint(catalog, space, folder)
    assert list(folder.iterdir()) == []
    assert catalog.checkpoint(space) is None
    assert found(paths) == [[]] * len(QUERIES)


def test_more_hits_than_photos_are_all_photos(
    catalog: Catalog, space: Space, root: Root, folder: Path, paths: config.Paths
) -> None:
    """USearch fills what it does not have with rubbish keys."""
    fill(catalog, space, root, 3)
    make_checkpoint(catalog, space, folder)
    assert found(paths, 50) == expected(range(3), 50)


def test_generations_of_two_spaces_live_side_by_side(
    catalog: Catalog, space: Space, folder: Path, filled: list[int], paths: config.Paths
) -> None:
    """(I4) While a new model encodes, the old one must go on answering; its file is not swept."""
    make_checkpoint(catalog, space, folder)
    other = catalog.space_for(identity(dim=16, seed=1))
    with catalog.transaction():
        for number, photo_id in enumerate(filled[:50]):
            catalog.put_vector(other, photo_id, hashed_vector(b"content %d" % number, 16, 1), "fake")
    make_checkpoint(catalog, other, folder)
    assert len(list(folder.iterdir())) == 2
    assert found(paths) == expected(range(ROWS))
    checkpoint = catalog.checkpoint(other)
    assert checkpoint is not None and checkpoint.rows == 50
    assert set(open_generation(folder, checkpoint, 16).nearest(QUERIES[0][:16], 99, exact=True)) == set(filled[:50])


@pytest.mark.parametrize(("tail", "needed"), [(vectors.TAIL_ROWS, False), (vectors.TAIL_ROWS + 1, True)])
def test_a_long_tail_asks_for_a_new_checkpoint(
    catalog: Catalog, space: Space, root: Root, folder: Path, filled: list[int], tail: int, needed: bool
) -> None:
    """A tail that only grows makes each search slower."""
    make_checkpoint(catalog, space, folder)
    with catalog.transaction():
        for number in range(tail):
            vector = hashed_vector(b"new %d" % number, DIM)
            catalog.put_vector(space, filled[0] if number == 0 else number + 1000, vector, "f") if number == 0 else (
                catalog._run(
                    "INSERT INTO photo (id, digest, width, height, format) VALUES (?, ?, 1, 1, 'JPEG')",
                    (number + 1000, b"new %d" % number),
                ),
                catalog.put_vector(space, number + 1000, vector, "f"),
            )
    assert needs_checkpoint(catalog, space, folder) is needed


# -- the tail, replaced and hidden photos -----------------------------------------------------------


def test_new_replaced_and_hidden_photos_are_merged_as_brute_force_does(
    catalog: Catalog, space: Space, root: Root, folder: Path, filled: list[int], paths: config.Paths
) -> None:
    """(I6) Old vectors in the generation must not answer for photos that changed, moved on or went."""
    make_checkpoint(catalog, space, folder)
    truth = contents(range(ROWS))
    fill(catalog, space, root, 40, first=ROWS)
    truth |= contents(range(ROWS, ROWS + 40))
    for number in range(0, ROWS, 7):  # re-encoded, in the same space
        truth[number] = hashed_vector(b"replaced %d" % number, DIM)
        catalog.put_vector(space, filled[number], truth[number], "fake")
    ids = {file.stamp.name: file.id for file in catalog.known_files(root.id, space.id)}
    best = {number for query in QUERIES for number in true_best(truth, query, 3)}  # would rank first
    for number in best | set(range(0, ROWS + 40, 5)):
        catalog.forget_files([ids[b"%05d.jpg" % number]])
        del truth[number]
    for k in (1, 20, 500):
        assert found(paths, k) == [[b"/photos/%05d.jpg" % n for n in true_best(truth, query, k)] for query in QUERIES]


def test_more_hidden_photos_than_hits_do_not_crowd_out_the_others(
    catalog: Catalog, space: Space, root: Root, folder: Path, filled: list[int], paths: config.Paths
) -> None:
    """A generation asked for k rows only would answer with nothing after a folder was deleted."""
    make_checkpoint(catalog, space, folder)
    catalog.forget_files(list(range(1, ROWS - 4)))
    left = [number for number, photo_id in enumerate(filled) if photo_id not in set(catalog.hidden_photos())]
    assert len(left) == 5
    assert found(paths) == expected(left)


# -- damage -----------------------------------------------------------------------------------------


def truncate(path: Path, other: bytes) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def garble(path: Path, other: bytes) -> None:
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)


def garble_head(path: Path, other: bytes) -> None:
    whole = path.read_bytes()
    path.write_bytes(b"\xff" * 64 + whole[64:])


def delete(path: Path, other: bytes) -> None:
    path.unlink()


def swap(path: Path, other: bytes) -> None:
    path.write_bytes(other)


def empty(path: Path, other: bytes) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [truncate, garble, garble_head, delete, swap, empty])
def test_a_damaged_generation_is_noticed_answers_stay_and_the_next_run_replaces_it(
    catalog: Catalog,
    space: Space,
    folder: Path,
    filled: list[int],
    paths: config.Paths,
    damage: Callable[[Path, bytes], None],
) -> None:
    """(I2) A mapped file with one wrong byte gives wrong photos or ends the process."""
    make_checkpoint(catalog, space, folder)
    other = generation_file(catalog, space, folder).read_bytes()
    catalog.put_vector(space, filled[0], hashed_vector(b"replaced", DIM), "fake")
    make_checkpoint(catalog, space, folder)
    before = answers(paths)
    path, checkpoint = generation_file(catalog, space, folder), catalog.checkpoint(space)
    assert checkpoint is not None
    damage(path, other)
    with pytest.raises(DamagedGeneration, match=path.name):
        open_generation(folder, checkpoint, DIM)
    assert answers(paths) == before
    with Library(paths) as opened:
        status = opened.status().checkpoint
    assert not status.healthy and path.name in status.state
    assert needs_checkpoint(catalog, space, folder)
    make_checkpoint(catalog, space, folder)
    assert not needs_checkpoint(catalog, space, folder)
    assert answers(paths) == before
    assert list(folder.iterdir()) == [generation_file(catalog, space, folder)]


def test_a_generation_of_another_dimension_is_damaged(
    catalog: Catalog, space: Space, folder: Path, filled: list[int]
) -> None:
    """Searching it with a query of the wrong length would read beyond its memory."""
    make_checkpoint(catalog, space, folder)
    checkpoint = catalog.checkpoint(space)
    assert checkpoint is not None
    with pytest.raises(DamagedGeneration, match="dimensions"):
        open_generation(folder, checkpoint, DIM + 1)


def test_a_reader_that_has_a_generation_open_answers_while_it_is_replaced(
    catalog: Catalog, space: Space, root: Root, folder: Path, filled: list[int], paths: config.Paths
) -> None:
    """(I3) A search in an open window must neither crash nor answer from a file that changed under it."""
    make_checkpoint(catalog, space, folder)
    with Library(paths) as reader:
        asked(reader, QUERIES[0])
        fill(catalog, space, root, 50, first=ROWS)
        make_checkpoint(catalog, space, folder)
        hits = [asked(reader, query).hits for query in QUERIES]
    assert [[hit.path for hit in group] for group in hits] == expected(range(ROWS + 50))


# -- crashes ----------------------------------------------------------------------------------------

_KILLED_AT = """
import os, signal, sys
from pathlib import Path
from clipsearch.index.catalog import Catalog
from clipsearch.index.vectors import make_checkpoint
def reached(step):
    if step == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)
with Catalog.open_writer(Path(sys.argv[1]) / "catalog.db") as catalog:
    make_checkpoint(catalog, catalog.active_space(), Path(sys.argv[1]) / "vectors", reached)
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
@pytest.mark.parametrize("step", STEPS)
def test_killed_after_each_step_of_a_checkpoint_the_library_answers_as_before(
    catalog: Catalog, space: Space, root: Root, folder: Path, filled: list[int], paths: config.Paths, step: str
) -> None:
    """(I2, I3) A half-written checkpoint must not lose or change what was searchable, nor leave litter."""
    make_checkpoint(catalog, space, folder)
    fill(catalog, space, root, 50, first=ROWS)
    before = answers(paths)
    former = catalog.checkpoint(space)
    assert former is not None
    command = [sys.executable, "-c", _KILLED_AT, str(paths.library), step]
    child = subprocess.run(command, timeout=60, check=False)
    assert child.returncode == -signal.SIGKILL
    assert answers(paths) == before
    checkpoint = catalog.checkpoint(space)
    assert checkpoint is not None
    recorded = STEPS.index(step) >= STEPS.index("recorded")
    assert (checkpoint.generation > former.generation) is recorded
    open_generation(folder, checkpoint, DIM)
    left = {path.name for path in folder.iterdir()}
    assert len(left) == (1 if step == "swept" else 2)
    make_checkpoint(catalog, space, folder)
    assert list(folder.iterdir()) == [generation_file(catalog, space, folder)]
    assert answers(paths) == before
    assert not needs_checkpoint(catalog, space, folder)


def test_a_checkpoint_is_synced_then_renamed_then_recorded_and_old_ones_go_last(
    catalog: Catalog,
    space: Space,
    folder: Path,
    filled: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """(I3) Killing shows order, not durability: unsynced, a power cut leaves a row that names an empty file."""
    make_checkpoint(catalog, space, folder)
    old = generation_file(catalog, space, folder)
    steps: list[str] = []

    def recorded(owner: object, name: str, step: str) -> None:
        real = getattr(owner, name)

        def call(*arguments: object, **options: object) -> object:
            steps.append(step)
            result = real(*arguments, **options)
            if step == "record":
                assert old.exists()
            return result

        monkeypatch.setattr(owner, name, call)

    recorded(files, "sync_file", "sync file")
    recorded(Path, "replace", "rename")
    recorded(files, "sync_folder", "sync folder")
    recorded(Catalog, "record_checkpoint", "record")
    recorded(Path, "unlink", "unlink")
    catalog.put_vector(space, filled[0], hashed_vector(b"replaced", DIM), "fake")
    make_checkpoint(catalog, space, folder)
    assert steps == ["sync file", "rename", "sync folder", "record", "unlink"]
    assert not old.exists()


_DISK_FULL = """
import resource, signal, sys
from pathlib import Path
from clipsearch.errors import SystemFault
from clipsearch.index.catalog import Catalog
from clipsearch.index.vectors import make_checkpoint
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Catalog.open_writer(Path(sys.argv[1]) / "catalog.db") as catalog:
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
    try:
        make_checkpoint(catalog, catalog.active_space(), Path(sys.argv[1]) / "vectors")
    except SystemFault as fault:
        print(fault.exit_code, fault.hint)
"""


@pytest.mark.skipif(os.name == "nt", reason="RLIMIT_FSIZE")
def test_a_disk_that_is_too_full_for_a_checkpoint_is_a_system_fault_and_answers_stay(
    catalog: Catalog, space: Space, root: Root, folder: Path, filled: list[int], paths: config.Paths
) -> None:
    """A short file must not get the final name, and the user must not see a traceback."""
    make_checkpoint(catalog, space, folder)
    fill(catalog, space, root, 50, first=ROWS)
    before, checkpoint = answers(paths), catalog.checkpoint(space)
    child = subprocess.run(
        [sys.executable, "-c", _DISK_FULL, str(paths.library)], capture_output=True, text=True, timeout=60, check=False
    )
    assert child.stdout.startswith(f"{SystemFault.exit_code:d} "), child.stderr
    assert catalog.checkpoint(space) == checkpoint
    assert answers(paths) == before


# -- the graph --------------------------------------------------------------------------------------


def test_above_the_threshold_pictures_go_to_the_graph_and_texts_stay_exact(
    catalog: Catalog, space: Space, root: Root, folder: Path, paths: config.Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text lies outside the cloud of images, where a graph loses a third of the hits."""
    monkeypatch.setattr(vectors, "GRAPH_THRESHOLD", 100)
    rows = 2000
    with catalog.transaction():
        for number in range(rows):
            catalog._run(
                "INSERT INTO photo (digest, width, height, format) VALUES (?, 1, 1, 'JPEG')", (b"%d" % number,)
            )
            catalog.put_vector(space, number + 1, hashed_vector(b"content %d" % number, DIM), "fake")
            catalog.put_file(root.id, stamp(b"%05d.jpg" % number), number + 1)
    make_checkpoint(catalog, space, folder)
    truth = expected(range(rows))
    texts = answers(paths)
    assert {answer.plan for answer in texts} == {"exact"}
    assert [[hit.path for hit in answer.hits] for answer in texts] == truth
    pictures = answers(paths, is_image=True)
    assert {answer.plan for answer in pictures} == {"graph + tail"}
    hits = [len({hit.path for hit in answer.hits} & set(true)) for answer, true in zip(pictures, truth, strict=True)]
    assert sum(hits) / (20 * len(QUERIES)) >= 0.9
    scores = {hit.path: hit.score for answer in texts[:1] for hit in answer.hits}
    assert all(scores.get(hit.path, hit.score) == hit.score for hit in pictures[0].hits)


def test_a_photo_whose_twin_has_the_same_vector_is_not_lost(
    catalog: Catalog, space: Space, root: Root, folder: Path, paths: config.Paths
) -> None:
    """Copies saved anew have other bytes and equal pixels; a checkpoint must not take them for damage."""
    one = add_photo(catalog, space, root, stamp(b"a.jpg"), b"one")
    two = add_photo(catalog, space, root, stamp(b"b.jpg"), b"two")
    catalog.put_vector(space, two, hashed_vector(b"one", DIM), "fake")
    make_checkpoint(catalog, space, folder)
    assert one < two
    assert found(paths)[0] == [b"/photos/a.jpg", b"/photos/b.jpg"]
