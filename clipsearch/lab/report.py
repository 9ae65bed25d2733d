"""All experiments on one set of photos, one after the other: what each found, or why it could not be done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from clipsearch.errors import ClipsearchError
from clipsearch.lab.findings import Finding


@dataclass(frozen=True, slots=True)
class Experiment:
    title: str
    run: Callable[[], Finding]


def found(experiments: Sequence[Experiment]) -> Iterator[tuple[Finding, bool]]:
    """Of each its finding, and whether it was done: hours of measuring are not lost to the one that fails."""
    for experiment in experiments:
        try:
            yield experiment.run(), True
        except ClipsearchError as error:
            yield Finding(experiment.title, f"Not done: {error.message} {error.hint}"), False
