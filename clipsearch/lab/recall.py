"""Recall of an index: what the usual search finds of what an exact one finds, and what that saves."""

from __future__ import annotations

from clipsearch.lab.findings import Bars, Column, Finding, Table
from clipsearch.upkeep.recall import Measured, Recall


def finding(found: Recall) -> Finding:
    says = _says(found)
    columns = (
        Column("questions"),
        Column("plan"),
        Column("asked", "measured"),
        Column(f"recall@{found.k}", "measured", form=".4f"),
        Column("from", "measured", form=".4f"),
        Column("to", "measured", form=".4f"),
        Column("worst", "measured", form=".2f"),
        Column("usual", "measured", "ms", ",.1f"),
        Column("p95", "measured", "ms", ",.1f"),
        Column("exact", "measured", "ms", ",.1f"),
        Column("gain", "measured", form=".1f"),
    )
    rows = tuple(
        (
            one.kind, one.plan, one.questions, one.mean, one.low, one.high, one.worst, one.p50_ms, one.p95_ms,
            one.exact_p50_ms, _gain(one),
        )
        for one in found.measured
    )  # fmt: skip
    bars = Bars(
        says,
        tuple(f"{one.kind}, {one.plan}" for one in found.measured),
        tuple(one.mean for one in found.measured),
        f"recall@{found.k}",
        tuple(one.low for one in found.measured),
        tuple(one.high for one in found.measured),
    )
    return Finding(
        title="Recall of the index",
        says=says,
        tables=(Table(f"{found.photos:,} photos", columns, rows),),
        plots=(bars,) if rows else (),
        notes=(
            "From, to: the 95 % interval of the mean, questions drawn anew. Where none of N missed a hit it is a point,"
            " and 3 of N may still miss one. Times: medians, once words and pictures are vectors.",
            "A hit as near as the farthest true one counts: which of two equal photos comes first says nothing.",
        ),
    )


def _gain(one: Measured) -> float:
    return one.exact_p50_ms / one.p50_ms if one.p50_ms else float("nan")


def _says(found: Recall) -> str:
    if not found.measured:
        return "No question found a photo: there is nothing to compare."
    approximate = [one for one in found.measured if "exact" not in one.plan]
    if not approximate:
        return f"A library of {found.photos:,} photos is searched exactly: nothing can be missed."
    told = "; ".join(
        f"{one.kind} {one.mean:.4f} [{one.low:.4f}, {one.high:.4f}] by {one.plan}, {_gain(one):.1f} times as fast"
        for one in approximate
    )
    return f"Of the {found.k} nearest by exact search the usual one finds: {told}."
