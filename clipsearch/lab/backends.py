"""Backend parity: whether each way to run a model on this machine gives the vectors of the reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clipsearch.engine.backends import Way
from clipsearch.engine.cards import ModelCard
from clipsearch.engine.choosing.candidates import Candidate, fits
from clipsearch.engine.choosing.trials import LEAST_COSINE
from clipsearch.evaluation.agreement import (
    AskedSamples,
    Beside,
    absent_ways,
    below_gate,
    beside_reference,
    listed_ways,
    reference_candidate,
)
from clipsearch.evaluation.pixels import Progress
from clipsearch.lab.findings import Bars, Cell, Column, Finding, Table
from clipsearch.types import FailedFile

AGREES, ROUNDS, DIFFERS, FAILED = "agrees", "rounds", "differs", "failed"


@dataclass(frozen=True, slots=True)
class JudgedWay:
    beside: Beside
    verdict: str  # AGREES, ROUNDS for shorter floats that stay inside of the gate, DIFFERS or FAILED
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AbsentWay:
    way: str
    reason: str


@dataclass(frozen=True, slots=True)
class BackendParity:
    model: str
    variant: str  # that all ways run
    reference: str  # the way that the others are compared with
    samples: str
    texts: int
    least_cosine: float  # of a way in 32-bit floats: below it a photo or a text is not what the reference makes of it
    ways: tuple[JudgedWay, ...]
    absent: tuple[AbsentWay, ...]  # not on this machine
    failures: tuple[FailedFile, ...]

    @property
    def all_agree(self) -> bool:
        return all(one.verdict in (AGREES, ROUNDS) for one in self.ways)


def backend_parity(
    card: ModelCard,
    samples: AskedSamples,
    cache: Path,
    ways: Sequence[Way] | None = None,
    progress: Progress = lambda done, total: None,
) -> BackendParity:
    """Of `ways`; by default of all that this machine offers. Raises ModelError where the reference fails."""
    reference = reference_candidate(card)
    here = listed_ways(card) if ways is None else list(ways)
    absent: list[AbsentWay] = []
    if ways is None:  # a way that is named is run, and says itself why it cannot be
        absent = [AbsentWay(way.name, why) for way, why in absent_ways(card, here)]
        unfit = [way for way in here if not fits(card.reference, way)]
        absent += [AbsentWay(way.name, f"opens no file of {card.reference.name}") for way in unfit]
        here = [way for way in here if way not in unfit]
    others = [way for way in here if way.name != reference.way.name]
    rows = beside_reference(card, [Candidate(way, card.reference.name) for way in others], samples, cache, progress)
    return BackendParity(
        model=card.name,
        variant=card.reference.name,
        reference=reference.way.name,
        samples=samples.name,
        texts=len(samples.texts),
        least_cosine=LEAST_COSINE,
        ways=tuple(_judged(card, row) for row in rows),
        absent=tuple(absent),
        failures=samples.failures,
    )


def _judged(card: ModelCard, row: Beside) -> JudgedWay:
    """32-bit floats must give the same vectors; shorter ones round, and are asked what the card asks of a variant."""
    if row.compared is None:
        return JudgedWay(row, FAILED, row.reason)
    if row.arithmetic != "f32":
        reason = below_gate(card, row)
        return JudgedWay(row, DIFFERS, reason) if reason else JudgedWay(row, ROUNDS)
    cosines = (("photos", row.compared.image_least), ("texts", row.compared.text_least))
    wrong = [f"{what} down to {cosine:.3f}" for what, cosine in cosines if not cosine >= LEAST_COSINE]
    return JudgedWay(row, DIFFERS, " and ".join(wrong)) if wrong else JudgedWay(row, AGREES)


def finding(parity: BackendParity) -> Finding:
    columns = (
        Column("way"),
        Column("photos", "measured", form=".5f"),
        Column("least", "measured", form=".5f"),
        Column("texts", "measured", form=".5f"),
        Column("least", "measured", form=".5f"),
        Column("same first", "measured", form=".1%"),
        Column("ten nearest", "measured", form=".1%"),
        Column("verdict"),
    )
    rows = tuple((one.beside.way, *_cells(one.beside), _told(one)) for one in parity.ways)
    title = f"{parity.model}, {parity.variant}, beside {parity.reference}; {parity.samples}"
    tables = [Table(title, columns, rows)]
    if parity.absent:
        tables.append(Table("Not compared", (Column("ways"), Column("why")), _absent(parity.absent)))
    says = _says(parity)
    shown = [(one.beside.way, one.beside.compared) for one in parity.ways if one.beside.compared]
    bars = Bars(
        says,
        tuple(way for way, _ in shown),
        tuple(found.image_least for _, found in shown),
        "least cosine of a photo with the reference's",
    )
    return Finding(
        title="Backends",
        says=says,
        tables=tuple(tables),
        plots=(bars,) if shown else (),
        notes=(
            f"{parity.texts:,} texts. A way in 32-bit floats agrees where no photo and no text has a cosine below "
            f"{parity.least_cosine:g} with the reference's. Shorter floats round: they are asked what the model's "
            "card asks of a variant.",
            "Photos, texts: the mean cosine with the reference's vectors, and the least. Same first, ten nearest: the "
            "pictures nearest to a text that are the reference's.",
        ),
    )


def _absent(ways: Sequence[AbsentWay]) -> tuple[tuple[Cell, ...], ...]:
    """One row a reason."""
    reasons = dict.fromkeys(one.reason for one in ways)
    return tuple((", ".join(one.way for one in ways if one.reason == reason), reason) for reason in reasons)


def _cells(row: Beside) -> tuple[Cell, ...]:
    found = row.compared
    if found is None:
        return (None,) * 6
    return found.image_mean, found.image_least, found.text_mean, found.text_least, row.top1, found.top10


def _told(one: JudgedWay) -> str:
    return f"{one.verdict}: {one.reason}" if one.reason else one.verdict


def _says(parity: BackendParity) -> str:
    ways = parity.ways
    if not ways:
        return f"There is nothing to compare with {parity.reference}, which is the reference."
    if not parity.all_agree:
        wrong = [f"{one.beside.way} {_told(one)}" for one in ways if one.verdict in (DIFFERS, FAILED)]
        return f"{len(wrong)} of {len(ways)} ways do not give the vectors of {parity.reference}: {'; '.join(wrong)}."
    farthest, least = min(
        ((one.beside.way, one.beside.compared.image_least) for one in ways if one.beside.compared),
        key=lambda pair: pair[1],
    )
    agree = [one.beside.way for one in ways if one.verdict == AGREES]
    begins = (
        f"{' and '.join(agree)} agree{'s' * (len(agree) == 1)} with {parity.reference}" if agree else "None differs"
    )
    return f"{begins}; farthest is a photo with a cosine of {least:.5f} ({farthest})."
