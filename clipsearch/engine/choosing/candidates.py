"""What there is to choose from: a way to run a graph, a variant of the model, a batch. Opens and measures nothing."""

from __future__ import annotations

from dataclasses import dataclass

from clipsearch.engine.backends import AUTO, TABLE, Way, default_way, is_installed
from clipsearch.engine.cards import ModelCard, Variant
from clipsearch.errors import ModelError

IMAGE_BATCH = 16  # images a run where nothing was measured; on 2 cores the starter gains nothing beyond


@dataclass(frozen=True, slots=True)
class Candidate:
    """How a model is run."""

    way: Way
    variant: str  # of the card
    batch: int = IMAGE_BATCH

    @property
    def name(self) -> str:
        return f"{self.variant}/{self.way.name}"


def default_candidate(card: ModelCard, backend: str = AUTO, threads: int = 0) -> Candidate:
    """What `--backend` names, or what `auto` takes before anything was measured. Raises ModelError."""
    way = default_way(backend, threads)
    if backend == AUTO:  # the first runtime that opens the model: files may be made for one of them only
        ways = [way, *(Way(runtime, threads=threads) for runtime in TABLE if is_installed(runtime))]
        way = next((one for one in ways if _first_variant(card, one)), way)
    chosen = _first_variant(card, way)
    if chosen is None:
        raise ModelError(f"No variant of {card.name} runs on {way.runtime}: {_whys(card, way)}.", _way_out(card, way))
    return Candidate(way, chosen.name)


def fits(variant: Variant, way: Way) -> bool:
    """Whether the variant's files are made for that runtime and arithmetic."""
    opens = all(tower.file.endswith(TABLE[way.runtime].reads) for tower in (variant.image, variant.text))
    made_for_it = opens and (not variant.runtimes or way.runtime in variant.runtimes)
    # What was quantised computes in its own arithmetic. Another one on top is a variant that nobody compared: bf16
    # moved vectors of an int8 tower by 0.003 on average and 0.022 at most.
    return made_for_it and (way.arithmetic == "f32" or variant.compared is None)


def refusal(card: ModelCard, variant: Variant) -> str | None:
    """Why the variant does not mean what the reference means, with the number; None where it does (the gate)."""
    found = variant.compared
    if found is None:
        return None if variant.name == card.reference.name else "nobody compared it with the reference"
    measured = (
        ("its vectors of photos have a mean cosine of", found.image_mean, found.least_cosine),
        ("its vectors of texts have a mean cosine of", found.text_mean, found.least_cosine),
        ("of the ten photos nearest to a text it finds", found.top10, found.least_top10),
    )
    reasons = [f"{what} {value:.4f}, {least:g} is asked for" for what, value, least in measured if not value >= least]
    return "beside the reference " + "; ".join(reasons) if reasons else None


def _first_variant(card: ModelCard, way: Way) -> Variant | None:
    return next((one for one in card.variants if fits(one, way) and refusal(card, one) is None), None)


def _whys(card: ModelCard, way: Way) -> str:
    return "; ".join(
        f"{one.name} ({one.image.file}, {one.text.file}): "
        + ((refusal(card, one) or "") if fits(one, way) else "its files are for another runtime")
        for one in card.variants
    )


def _way_out(card: ModelCard, way: Way) -> str:
    for runtime in TABLE:
        if runtime != way.runtime and _first_variant(card, Way(runtime)):
            installed = is_installed(runtime)
            return f"--backend {runtime}" if installed else f"pip install {TABLE[runtime].package}"
    return "Fetch the model again, or one that clipsearch model list shows."


def variant_of(card: ModelCard, name: str) -> Variant:
    return next(one for one in card.variants if one.name == name)
