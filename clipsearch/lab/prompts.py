"""Prompt engineering: which templates recognise most photos, alone, as they were published together, and chosen.

What is chosen is chosen on one half of the photos and told by the other: the best of eighty on few photos is mostly
luck, and on the photos that chose it, luck looks like skill.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsearch.encoding import Engine
from clipsearch.errors import UsageError
from clipsearch.evaluation.encoded import EncodedPhotos, Progress
from clipsearch.evaluation.halves import halves
from clipsearch.evaluation.intervals import Interval, difference_interval, mean_interval
from clipsearch.evaluation.labelled import LabelledPhotos
from clipsearch.evaluation.templates import Vectors, forward_selection, hits, template_vectors, together
from clipsearch.lab.findings import Bars, Cell, Column, Finding, Lines, Series, Table
from clipsearch.labels.sets import PLAIN_TEMPLATES, checked_templates, published_templates
from clipsearch.types import FailedFile

REFERENCE = "a photo of a {}."  # what gains are measured from: CLIP's own default (Radford et al. 2021, section 3.1.4)
_MOST_BYTES = 4 * 2**30  # of the scores that forward selection keeps
_BEST, _WORST = 10, 3  # of the single templates that a table shows
_STEPS, _BEYOND = 20, 3  # of the selection that a table shows; of them, after the best


@dataclass(frozen=True, slots=True)
class Rated:
    """Templates, averaged."""

    name: str  # for a person
    templates: tuple[str, ...]
    choosing: float  # share of the photos that choose which is recognised, 0..1
    telling: Interval  # share of the others
    gain: Interval  # by how much that is above the reference's, on the same photos


@dataclass(frozen=True, slots=True)
class Single:
    template: str
    choosing: float
    telling: float


@dataclass(frozen=True, slots=True)
class Added:
    """A step of forward selection: one template comes to those before it."""

    template: str
    choosing: float  # of all so far together
    telling: float


@dataclass(frozen=True, slots=True)
class PromptChoice:
    model: str
    photos: str  # the name of the set
    classes: int
    choosing: int  # photos
    telling: int
    failures: tuple[FailedFile, ...]
    singles: tuple[Single, ...]  # all candidates, best first on the photos that choose
    ensembles: tuple[Rated, ...]  # as published and so on; the reference is the first
    chosen: Rated
    over_all: Interval  # by how much what was chosen is above all candidates together
    steps: tuple[Added, ...]  # through all candidates


@dataclass(frozen=True, slots=True)
class PromptPlan:
    """Which templates are asked, and what for."""

    offered: tuple[str, ...]  # what is chosen from, each once
    groups: dict[str, tuple[str, ...]]  # what the choice is compared with, by its name for a person

    @property
    def every(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*self.offered, *(one for group in self.groups.values() for one in group)]))


def prompt_plan(photos: LabelledPhotos, templates: Sequence[str] = ()) -> PromptPlan:
    """Choosing from `templates`; of none, from CLIP's eighty for ImageNet and those published for this set.

    Raises UsageError for a template that is neither a name nor a sentence, and for more than memory should hold.
    """
    own = [photos.published] if photos.published in published_templates() else []
    offered = tuple(dict.fromkeys(checked_templates(templates or ["imagenet", *own])))
    _check_memory(len(offered), photos)
    return PromptPlan(offered, _groups(photos, offered))


def prompt_choice(
    engine: Engine,
    photos: LabelledPhotos,
    encoded: EncodedPhotos,
    plan: PromptPlan,
    progress: Progress = lambda done, total: None,
) -> PromptChoice:
    """`progress` is called after each template. Raises UsageError for too few photos to halve."""
    parts = halves(encoded.truth)
    matrices = template_vectors(engine, photos.classes, plan.every, progress)
    vectors = dict(zip(plan.every, matrices, strict=True))
    choosing, telling = (
        _Half(encoded.vectors[one], encoded.truth[one], vectors) for one in (parts.choosing, parts.telling)
    )
    offered = plan.offered
    steps = _steps(choosing, telling, offered)
    best = max(range(len(steps)), key=lambda number: steps[number].choosing)  # the fewest of those that are equal
    chosen = tuple(one.template for one in steps[: best + 1])
    singles = sorted(
        (Single(one, choosing.share([one]), telling.share([one])) for one in offered), key=lambda one: -one.choosing
    )
    groups = plan.groups | {"best single one": (singles[0].template,)}
    return PromptChoice(
        model=engine.card.name,
        photos=photos.name,
        classes=len(photos.classes),
        choosing=len(parts.choosing),
        telling=len(parts.telling),
        failures=encoded.failures,
        singles=tuple(singles),
        ensembles=tuple(_rated(name, group, choosing, telling) for name, group in groups.items()),
        chosen=_rated(f"chosen, {len(chosen)} of {len(offered)}", chosen, choosing, telling),
        over_all=difference_interval(telling.hits(chosen), telling.hits(offered), telling.truth),
        steps=steps,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Half:
    photos: Vectors
    truth: NDArray[np.int64]
    vectors: dict[str, Vectors]  # of each template (classes, dim)

    def hits(self, templates: Sequence[str]) -> NDArray[np.bool_]:
        return hits(self.photos, together(self.of(templates)), self.truth)

    def share(self, templates: Sequence[str]) -> float:
        return float(self.hits(templates).mean())

    def of(self, templates: Sequence[str]) -> Vectors:
        return np.stack([self.vectors[one] for one in templates])


def _groups(photos: LabelledPhotos, offered: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    published = published_templates()
    groups = {
        REFERENCE: (REFERENCE,),
        "the bare name": ("{}",),
        f"{PLAIN_TEMPLATES[0]} (zsl)": PLAIN_TEMPLATES,
        "CLIP's 7 for ImageNet": published["imagenet-7"],
        "CLIP's 18 for CIFAR-10": published["cifar10"],
        "CLIP's 80 for ImageNet": published["imagenet"],
    }
    if (own := published.get(photos.published or "")) and own not in groups.values():
        groups[f"CLIP's {len(own)} for this set"] = own
    if offered not in groups.values():
        groups[f"all {len(offered)}"] = offered
    return groups


def _check_memory(templates: int, photos: LabelledPhotos) -> None:
    """Before the work: an hour of encoding that ends for want of memory."""
    needed = templates * len(photos.classes) * len(photos.pictures) / 2 * np.dtype(np.float32).itemsize
    if needed > _MOST_BYTES:
        raise UsageError(
            f"{templates} templates, {len(photos.classes):,} classes and {len(photos.pictures):,} photos need "
            f"{needed / 1e9:.0f} GB of memory.",
            "Take fewer photos of each class (--per-class 5), or fewer templates.",
        )


def _steps(choosing: _Half, telling: _Half, offered: tuple[str, ...]) -> tuple[Added, ...]:
    selected = forward_selection(choosing.photos, choosing.of(offered), choosing.truth)
    order = [offered[one.template] for one in selected]
    return tuple(
        Added(order[number], one.accuracy, telling.share(order[: number + 1])) for number, one in enumerate(selected)
    )


def _rated(name: str, templates: tuple[str, ...], choosing: _Half, telling: _Half) -> Rated:
    found = telling.hits(templates)
    gain = difference_interval(found, telling.hits([REFERENCE]), telling.truth)
    return Rated(name, templates, choosing.share(templates), mean_interval(found, telling.truth), gain)


# -- what it tells --------------------------------------------------------------------------------


def finding(choice: PromptChoice) -> Finding:
    gain = choice.chosen.gain
    count, offered = len(choice.chosen.templates), len(choice.steps)
    says = (
        f'Chosen {count} of {offered}: {_told(gain)} over "{REFERENCE}" and {_told(choice.over_all)} over all '
        f"{offered} together, on {choice.telling:,} photos that were not used to choose."
    )
    return Finding(
        title=f"Prompts for {choice.photos}",
        says=says,
        tables=(_ensembles(choice), _selection(choice), _singles(choice)),
        plots=(_curve(choice), _gains(choice)),
        notes=(
            f"{choice.model}; {choice.classes:,} classes. Half of the photos of each class choose, the others tell; "
            "which, is drawn once and always the same.",
            "In brackets: 95 % intervals, the photos of each class drawn anew 1,000 times; gains in pairs. They do not "
            "know that other photos might have chosen otherwise.",
            "Averaged: of each class the unit vectors of its prompts, their mean, made unit again.",
        ),
        ready=ready(choice.chosen.templates),
    )


def points(interval: Interval) -> str:
    """A difference of shares in percentage points."""
    value, low, high = (100 * one for one in (interval.value, interval.low, interval.high))
    return f"{value:+.1f} points [{low:+.1f}, {high:+.1f}]"


def ready(templates: Sequence[str]) -> tuple[str, ...]:
    """Lines to copy: the options of a command, then the same for a label file."""
    options = " \\\n".join(f"--template {shlex.quote(one)}" for one in templates).split("\n")
    rows = [f"  {json.dumps(one, ensure_ascii=False)}," for one in templates]  # TOML's basic strings are JSON's
    return (*options, "", "templates = [", *rows, "]")


def _told(interval: Interval) -> str:
    return points(interval) + (" (may be chance)" if interval.low <= 0 <= interval.high else "")


def _ensembles(choice: PromptChoice) -> Table:
    columns = (
        Column("averaged"),
        Column("recognised", "measured", form=".1%"),
        Column("95 %", "measured"),
        Column("gain", "measured", "points", "+.1f"),
        Column("95 %", "measured"),
    )
    rows = tuple(
        (one.name, one.telling.value, _span(one.telling, ".1f"), *_gain(one))
        for one in (*choice.ensembles, choice.chosen)
    )
    return Table(f"On {choice.telling:,} photos that were not used to choose", columns, rows)


def _gain(one: Rated) -> tuple[Cell, Cell]:
    if one.templates == (REFERENCE,):
        return None, None
    return 100 * one.gain.value, _span(one.gain, "+.1f")


def _span(interval: Interval, form: str) -> str:
    return f"[{100 * interval.low:{form}}, {100 * interval.high:{form}}]"


_OF_BOTH = (Column("choosing half", "measured", form=".1%"), Column("other half", "measured", form=".1%"))


def _selection(choice: PromptChoice) -> Table:
    shown = min(len(choice.chosen.templates) + _BEYOND, _STEPS)
    rows = tuple(
        (f"{number}. {one.template}", one.choosing, one.telling) for number, one in enumerate(choice.steps[:shown], 1)
    )
    title = f"Chosen one after the other: the best are the first {len(choice.chosen.templates)}"
    return Table(title, (Column("template"), *_OF_BOTH), rows)


def _singles(choice: PromptChoice) -> Table:
    rows: list[tuple[Cell, ...]] = [(one.template, one.choosing, one.telling) for one in choice.singles]
    title = "Alone, best first on the choosing half"
    if len(rows) > _BEST + _WORST:
        rows[_BEST:-_WORST] = [("…", None, None)]
        title += f": the best {_BEST} and the worst {_WORST} of {len(choice.singles)}"
    return Table(title, (Column("template"), *_OF_BOTH), tuple(rows))


def _curve(choice: PromptChoice) -> Lines:
    numbers = tuple(float(number + 1) for number in range(len(choice.steps)))
    reference = choice.ensembles[0].telling.value
    most, other = choice.chosen.choosing, choice.chosen.telling.value
    count = len(choice.chosen.templates)
    return Lines(
        f"The first {count} look like {most:.1%} on the half that chose them and are worth {other:.1%}",
        (
            Series("choosing half", numbers, tuple(100 * one.choosing for one in choice.steps)),
            Series("other half", numbers, tuple(100 * one.telling for one in choice.steps)),
            Series(f"{REFERENCE} on the other half", (1.0, numbers[-1]), (100 * reference,) * 2, quiet=True),
        ),
        "templates chosen",
        "recognised, %",
    )


def _gains(choice: PromptChoice) -> Bars:
    rated = [*choice.ensembles[1:], choice.chosen]
    return Bars(
        f"Chosen templates: {points(choice.chosen.gain)}",
        tuple(one.name for one in rated),
        tuple(100 * one.gain.value for one in rated),
        f"points above {REFERENCE}",
        tuple(100 * one.gain.low for one in rated),
        tuple(100 * one.gain.high for one in rated),
    )
