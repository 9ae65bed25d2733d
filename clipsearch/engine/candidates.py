"""What there is to choose from: a way to run a graph, a variant of the model, a batch. Opens and measures nothing."""

from __future__ import annotations

from dataclasses import dataclass

from clipsearch.engine.backends import AUTO, TABLE, Way, default_way
from clipsearch.engine.cards import ModelCard, Variant
from clipsearch.errors import ModelError

IMAGE_BATCH = 16  # images a run where nothing was measured; on 2 cores the starter gains nothing beyond
LEAST_DRIFT = 0.98  # mean cosine with the reference's vectors, below which `auto` takes no variant


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
    fitting = (one for one in card.variants if fits(one, way))
    chosen = next(fitting, None)
    if chosen is None:
        raise ModelError(
            f"The model {card.name} has no files for {way.runtime}.",
            f"It was made for {', '.join(card.reference.runtimes)}: name that with --backend.",
        )
    return Candidate(way, chosen.name)


def fits(variant: Variant, way: Way) -> bool:
    """Whether the variant's files are made for that runtime, and mean what the reference means."""
    opens = all(tower.file.endswith(TABLE[way.runtime].reads) for tower in (variant.image, variant.text))
    made_for_it = opens and (not variant.runtimes or way.runtime in variant.runtimes)
    # What was quantised computes in its own arithmetic; another one on top would be a variant nobody measured.
    plain = way.arithmetic == "f32" or variant.drift is None
    return made_for_it and plain and (variant.drift is None or variant.drift >= LEAST_DRIFT)


def variant_of(card: ModelCard, name: str) -> Variant:
    return next(one for one in card.variants if one.name == name)
