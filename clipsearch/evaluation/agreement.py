"""Ways to run one model, beside its reference: the same pictures and texts through each, and how far apart they are.

Every way runs in a process of its own, so that a driver which crashes or hangs is a row with its reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.background import background_texts
from clipsearch.engine.backends import TABLE, Way, is_installed, usable_cores
from clipsearch.engine.backends.providers import RECIPES
from clipsearch.engine.cards import LEAST_COSINE, LEAST_TOP10, Comparison, ModelCard
from clipsearch.engine.choosing.candidates import Candidate, default_candidate, fits, refusal, variant_of
from clipsearch.engine.choosing.trials import CANDIDATE_S, Samples, encoded_apart, listed
from clipsearch.engine.golden import golden_arrays
from clipsearch.engine.quantize.compare import Views, compared
from clipsearch.errors import ModelError, UsageError
from clipsearch.evaluation.captions import CaptionedPhotos, drawn_captioned
from clipsearch.evaluation.pixels import DecodedPixels, Progress, decoded_pixels
from clipsearch.types import FailedFile
from clipsearch.ways import DEVICES

MOST_PHOTOS = 200  # that are drawn where a person names more: as many hold the mean of a cosine to a thousandth
_NOISE = 32  # pictures
_EVERYDAY = 3  # every third of the everyday texts is asked
_BATCH = 4  # what moves with its batch mates is seen to
_OPENING_S, _PICTURE_S, _TEXT_S = 60.0, 3.0, 0.5  # a way's time: ViT-L/14 on one slow core takes 2 s a picture


@dataclass(frozen=True, slots=True, eq=False)
class AskedSamples:
    """What every way is given."""

    name: str  # for a person: "200 photos"
    pixels: NDArray[np.uint8]  # (n, s, s, 3), as the model's preprocessing makes them
    texts: tuple[str, ...]
    labels: tuple[str, ...]  # what a photo may show, for the change of zero-shot labels
    owners: tuple[int, ...] | None = None  # of each text the picture that it describes, where texts are captions
    failures: tuple[FailedFile, ...] = ()  # photos that could not be read


@dataclass(frozen=True, slots=True)
class Beside:
    """One way, beside the reference."""

    variant: str
    way: str  # as `--backend` takes it
    arithmetic: str  # "f32", "bf16", "f16"
    compared: Comparison | None  # None where it gave no vectors
    top1: float | None  # share of texts whose nearest picture is the reference's
    reason: str = ""  # why there are none


def plain_samples(card: ModelCard) -> AskedSamples:
    """The model's golden pictures and texts, pictures of noise, and everyday texts."""
    golden = golden_arrays(card)
    noise = _noise(card.image.size)
    pictures = [golden["pixels"].astype(np.uint8, copy=False), noise] if "pixels" in golden else [noise]
    texts = tuple(map(str, golden.get("texts", ())))
    name = f"{len(golden.get('pixels', ()))} golden pictures and {len(noise)} of noise"
    return AskedSamples(name, np.concatenate(pictures), (*texts, *_everyday()[0]), _everyday()[1])


def photo_samples(
    card: ModelCard, photos: Sequence[bytes], progress: Progress = lambda done, total: None
) -> AskedSamples:
    """Photos with everyday texts. Raises UsageError where none of them can be read."""
    decoded = _read(decoded_pixels(card.image, photos, progress))
    texts, labels = _everyday()
    return AskedSamples(f"{len(decoded.read):,} photos", decoded.pixels, texts, labels, None, decoded.failures)


def captioned_samples(
    card: ModelCard, asked: CaptionedPhotos, progress: Progress = lambda done, total: None
) -> AskedSamples:
    """Photos with their captions, MOST_PHOTOS where there are more. Raises UsageError where none can be read."""
    count = len(asked.photos)
    asked = drawn_captioned(asked, MOST_PHOTOS)  # the pixels of all are held at once: 150 KB a photo at 224 px
    of = f" of {count:,}" if count > MOST_PHOTOS else ""
    decoded = _read(decoded_pixels(card.image, [bytes(one.absolute()) for one in asked.photos], progress))
    place = {path: number for number, path in enumerate(decoded.read)}
    names = [bytes(one.absolute()) for one in asked.photos]
    spoken = [
        (text, place[names[photo]])
        for text, photo in zip(asked.captions, asked.photo_of, strict=True)
        if names[photo] in place
    ]
    return AskedSamples(
        f"{len(decoded.read):,}{of} photos with {len(spoken):,} captions",
        decoded.pixels,
        tuple(text for text, _ in spoken),
        _everyday()[1],
        tuple(owner for _, owner in spoken),
        decoded.failures,
    )


def listed_ways(card: ModelCard) -> list[Way]:
    """What the runtimes that open some variant of the model offer on this machine, by their own word; each is asked in
    a process of its own."""
    runtimes = [name for name in TABLE if is_installed(name) and any(fits(one, Way(name)) for one in card.variants)]
    return [way for runtime in runtimes for way in listed(runtime, CANDIDATE_S) or [Way(runtime)]]


def absent_ways(card: ModelCard, here: Sequence[Way]) -> Iterator[tuple[Way, str]]:
    """Every way that is not here, with the reason, and with what to install where that helps."""
    names = {way.name for way in here}
    has_cuda = Way("onnxruntime", "cuda").name in names
    for runtime, devices in DEVICES.items():
        for device, arithmetics in devices.items():
            for way in (Way(runtime, device, one) for one in arithmetics):
                if way.name not in names:
                    yield way, _why_absent(card, way, has_cuda=has_cuda)


def reference_candidate(card: ModelCard) -> Candidate:
    """The reference variant in 32-bit floats on ONNX Runtime's CPU, or on whatever opens it. Raises ModelError."""
    plain = Way("onnxruntime")
    if is_installed(plain.runtime) and fits(card.reference, plain):
        return Candidate(plain, card.reference.name, _BATCH)
    found = default_candidate(card)
    if found.variant != card.reference.name:
        raise ModelError(
            f"Nothing here opens {card.reference.name} of {card.name}, which the others are compared with.",
            "docs/backends.md says what to install.",
        )
    return Candidate(found.way, found.variant, _BATCH)


def beside_reference(
    card: ModelCard, candidates: Sequence[Candidate], samples: AskedSamples, cache: Path, progress: Progress
) -> list[Beside]:
    """A row for each candidate. `progress` gets (ways done, of all). Raises ModelError where the reference fails."""
    given = _archived(samples)
    reference = _seen(card, reference_candidate(card), samples, given, cache)
    if isinstance(reference, str):
        raise ModelError(f"{card.name}: the reference gives no vectors: {reference}.", "clipsearch model verify")
    rows = []
    for done, candidate in enumerate(candidates, 1):
        progress(done, len(candidates) + 1)
        found = _seen(card, candidate, samples, given, cache)
        rows.append(_row(card, candidate, found, reference, samples))
    progress(len(candidates) + 1, len(candidates) + 1)
    return rows


def below_gate(card: ModelCard, row: Beside) -> str | None:
    """Why the row is not what the card asks of a variant; None where it is. A way that failed is not."""
    if row.compared is None:
        return row.reason
    return refusal(card, replace(variant_of(card, row.variant), compared=row.compared))


def _seen(card: ModelCard, how: Candidate, samples: AskedSamples, given: Samples, cache: Path) -> Views | str:
    way = Way(how.way.runtime, how.way.device, how.way.arithmetic, how.way.threads or usable_cores())
    seconds = _OPENING_S + _PICTURE_S * len(samples.pixels) + _TEXT_S * len(given["texts"])
    made = encoded_apart(card, Candidate(way, how.variant, _BATCH), given, seconds, cache)
    if isinstance(made, str):
        return made
    texts: NDArray[np.float32] = made["texts"].astype(np.float32)
    return Views(made["images"].astype(np.float32), texts[: len(samples.texts)], texts[len(samples.texts) :])


def _row(card: ModelCard, how: Candidate, found: Views | str, reference: Views, samples: AskedSamples) -> Beside:
    if isinstance(found, str):
        return Beside(how.variant, how.way.name, how.way.arithmetic, None, None, found)
    gate = variant_of(card, how.variant).compared
    least = (gate.least_cosine, gate.least_top10) if gate else (LEAST_COSINE, LEAST_TOP10)
    nearest, truly = ((one.texts @ one.photos.T).argmax(axis=1) for one in (found, reference))
    comparison = compared(found, reference, samples.owners, *least)
    top1 = float((nearest == truly).mean())
    return Beside(how.variant, how.way.name, how.way.arithmetic, comparison, top1)


def _archived(samples: AskedSamples) -> Samples:
    """Texts and labels are asked together."""
    return {"pixels": samples.pixels, "texts": np.array([*samples.texts, *samples.labels])}


def _why_absent(card: ModelCard, way: Way, *, has_cuda: bool) -> str:
    if not is_installed(way.runtime):
        return f"not installed: pip install {TABLE[way.runtime].package}"
    if not any(fits(one, Way(way.runtime)) for one in card.variants):
        return f"opens none of the model's files, but {' and '.join(TABLE[way.runtime].reads)}"
    if way.runtime == "onnxruntime" and way.device in RECIPES:
        recipe = RECIPES[way.device]
        if recipe.takes_minutes and has_cuda:  # a build with the one has the other
            return f"only by name, for it compiles for minutes: --backend {way.name}"
        return f"no {recipe.provider} here: {recipe.install}"
    return f"{way.runtime} does not list it on this machine"


def _read(decoded: DecodedPixels) -> DecodedPixels:
    if not decoded.read:
        raise UsageError("None of the photos can be read.", f"The first reason: {decoded.failures[0].reason}")
    return decoded


def _everyday() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Texts that are asked, and others that serve as labels."""
    texts = background_texts()
    return tuple(texts[::_EVERYDAY]), tuple(texts[1::_EVERYDAY])


def _noise(side: int) -> NDArray[np.uint8]:
    """(n, s, s, 3): patches, from two to sixteen a side, for noise of single pixels looks like nothing."""
    random = np.random.default_rng(0)
    pictures = np.empty((_NOISE, side, side, 3), np.uint8)
    for number, patches in enumerate(random.integers(2, 17, _NOISE).tolist()):
        rows = np.arange(side) * patches // side
        pictures[number] = random.integers(0, 256, (patches, patches, 3), np.uint8)[rows][:, rows]
    return pictures
