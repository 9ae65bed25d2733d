"""How many photos of known classes a model recognises, told as a finding: the classes, and what is taken for what."""

from __future__ import annotations

from clipsearch.evaluation.intervals import Interval
from clipsearch.evaluation.labelled import LabelledPhotos
from clipsearch.evaluation.templates import told_templates
from clipsearch.evaluation.zero_shot import Recognised
from clipsearch.lab.findings import Bars, Column, Finding, Grid, Plot, Table

_DRAWN = 30  # classes that a matrix has room for


def finding(photos: LabelledPhotos, result: Recognised) -> Finding:
    one, count = result.acc1, len(result.classes)
    says = (
        f"{result.model} recognises {one.value:.1%} [{one.low:.1%}, {one.high:.1%}] of {result.photos:,} photos "
        f"of {count:,} classes; by chance it were {1 / count:.1%}."
    )
    asked = told_templates(result.templates)
    notes = [
        f"{result.variant}; asked with {asked}. In brackets: 95 % intervals, the photos of each class drawn anew.",
        *(f"No figure like the published ones: {one}." for one in photos.differences),
    ]
    return Finding("Accuracy", says, (_figures(result), _by_class(result)), _plots(result), tuple(notes))


def _figures(result: Recognised) -> Table:
    rows = [_row("acc@1", result.acc1)]
    if len(result.classes) > 5:
        rows.append(_row("acc@5", result.acc5))
    rows.append(_row("mean of the classes", result.class_recall))
    columns = (
        Column("figure"),
        Column("measured", "measured", form=".1%"),
        Column("from", "measured", form=".1%"),
        Column("to", "measured", form=".1%"),
    )
    return Table(f"{result.photos:,} photos", columns, tuple(rows))


def _row(name: str, found: Interval) -> tuple[str, float, float, float]:
    return name, found.value, found.low, found.high


def _by_class(result: Recognised) -> Table:
    counts = result.confusion.sum(axis=1).tolist()
    shares = result.class_accuracies.tolist()
    rows = sorted(zip(result.classes, counts, shares, strict=True), key=lambda row: (row[2] != row[2], -row[2]))
    columns = (Column("class"), Column("photos", "measured"), Column("recognised", "measured", form=".1%"))
    return Table("By class", columns, tuple(rows))


def _plots(result: Recognised) -> tuple[Plot, ...]:
    if len(result.classes) > _DRAWN:
        return ()
    shares = result.class_accuracies.tolist()
    best = sorted(zip(shares, result.classes, strict=True), key=lambda one: (one[0] != one[0], -one[0]))
    known = [one for one in best if one[0] == one[0]]
    bars = Bars(
        f"{known[0][1]} is recognised most, {known[-1][1]} least",
        tuple(name for _, name in known),
        tuple(100 * share for share, _ in known),
        "recognised, %",
    )
    values = tuple(tuple(map(float, row)) for row in result.confusion.tolist())
    grid = Grid("What was taken for what", result.classes, result.classes, values, "the class", "taken for", ".0f")
    return bars, grid
