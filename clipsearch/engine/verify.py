"""Whether an installed model is whole and works: its files, both towers of each variant, its golden vectors.

Each step is told before it begins, for a large model takes its time; the first that fails raises ModelError.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from clipsearch.engine.backends import AUTO, TABLE, Way, is_installed
from clipsearch.engine.cards import LEAST_COSINE, ModelCard, Variant
from clipsearch.engine.choosing.candidates import Candidate, default_candidate, fits, refusal, variant_of
from clipsearch.engine.golden import golden_arrays
from clipsearch.engine.pulling.sources import file_digest
from clipsearch.engine.towers import ImageTower, TextTower
from clipsearch.errors import ModelError

MIN_GOLDEN = 0.999  # cosine of the reference; fp32 on another runtime differs by 1e-5
_SAME = 0.99999  # cosine of two unlike inputs from which on a tower is not looking at them
_TEXTS = ["a dog on a beach", "city skyline at night", "two cups of coffee"]


def checked_files(card: ModelCard) -> Iterator[str]:
    """Each file of the card before it is read. Raises ModelError for one that is gone or has changed."""
    for name, digest in card.digests.items():
        yield name
        path = card.folder / name
        try:
            found = file_digest(path)
        except OSError as error:
            raise ModelError(f"{path} cannot be read ({error.strerror}).", _renew(card)) from error
        if found != digest:
            raise ModelError(
                f"{path} is not the file that its card names (expected {digest[:12]}…, got {found[:12]}…).",
                _renew(card),
            )


def checked_towers(card: ModelCard, backend: str = AUTO, threads: int = 0) -> Iterator[str]:
    """Each tower before it is loaded and run; one at a time is in memory. Raises ModelError.

    First the variant that this backend takes, then each other one on it, or on whatever runtime here opens it.
    """
    golden, how = golden_arrays(card), default_candidate(card, backend, threads)
    yield "text tower"
    _run_text(card, how, golden)
    yield "image tower"
    _run_image(card, how, golden)
    for variant in card.variants:
        if variant.name == how.variant:
            continue
        if reason := refusal(card, variant):
            yield f"{variant.name}, which is refused ({reason}): its files only"
        elif (other := _way_of(variant, how.way)) is None:
            yield f"{variant.name}, which no runtime here opens: its files only"
        else:
            candidate = Candidate(other, variant.name)
            yield f"{variant.name} on {other.name}, text tower"
            _run_text(card, candidate, golden)
            yield f"{variant.name} on {other.name}, image tower"
            _run_image(card, candidate, golden)


def _way_of(variant: Variant, way: Way) -> Way | None:
    ways = (way, *(Way(runtime, threads=way.threads) for runtime in TABLE if is_installed(runtime)))
    return next((one for one in ways if fits(variant, one)), None)


def _run_text(card: ModelCard, how: Candidate, golden: dict[str, np.ndarray]) -> None:
    tower = TextTower(card, how)
    _differ(card, how, "text", tower.encode(_TEXTS).vectors)
    if golden.keys() >= {"texts", "text_vectors"}:
        _agree(card, how, "text", tower.encode([str(text) for text in golden["texts"]]).vectors, golden["text_vectors"])


def _run_image(card: ModelCard, how: Candidate, golden: dict[str, np.ndarray]) -> None:
    tower = ImageTower(card, how)
    side = card.image.size
    ramp = np.linspace(0, 255, side, dtype=np.uint8)
    pictures = np.zeros((3, side, side, 3), np.uint8)
    pictures[1] = ramp[None, :, None]
    pictures[2, ..., 0] = ramp[:, None]
    _differ(card, how, "image", tower.encode_pixels(pictures))
    if golden.keys() >= {"pixels", "image_vectors"}:
        _agree(card, how, "image", tower.encode_pixels(golden["pixels"]), golden["image_vectors"])


def _differ(card: ModelCard, how: Candidate, role: str, vectors: np.ndarray) -> None:
    """Unit length, width and finiteness are the towers' own check; this is whether they look at what they get."""
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1)
    if cosines.max() > _SAME:
        raise ModelError(
            f"{card.name}: the {_tower(card, how, role)} gives the same vector for different things.",
            "Its export is broken: take another source of the model.",
        )


def _agree(card: ModelCard, how: Candidate, role: str, vectors: np.ndarray, reference: np.ndarray) -> None:
    """Each vector of the reference itself; of another variant their mean, as the gate asks of it."""
    cosines = (vectors * reference).sum(axis=1)
    if how.variant == card.reference.name:
        found, least = float(cosines.min()), MIN_GOLDEN
    else:
        compared = variant_of(card, how.variant).compared
        found, least = float(cosines.mean()), compared.least_cosine if compared else LEAST_COSINE
    if not found >= least:
        raise ModelError(
            f"{card.name}: the {_tower(card, how, role)} is off its golden vectors (cosine {found:.4f}, least allowed "
            f"{least:g}).",
            "Try another backend with --backend, and report this processor.",
        )


def _tower(card: ModelCard, how: Candidate, role: str) -> str:
    return f"{role} tower" if how.variant == card.reference.name else f"{role} tower of {how.variant}"


def _renew(card: ModelCard) -> str:
    name = card.folder.name
    return f"Fetch it again: clipsearch model remove {name} && clipsearch model pull {card.name}"
