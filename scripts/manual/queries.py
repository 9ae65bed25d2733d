"""What the shipped starter answers to the queries of sample_images/queries.tsv, misses included.

The queries and their right photos were written and committed before any model saw the photos.
"""

from __future__ import annotations

import csv
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from clipsearch.config import Paths
from clipsearch.engine.store import DEFAULT_MODEL, find_model
from clipsearch.events import Summary
from clipsearch.library import Library

SAMPLES = Path(__file__).absolute().parents[2] / "sample_images"
SHOWN = 5

SECTION = """\
## Everyday queries

{queries} everyday queries over the {photos} photos of `sample_images/`, answered by the starter {version}, which ships
with clipsearch. The [queries and their right photos](../sample_images/queries.tsv) were written and committed before
any model saw the photos; nothing was left out or reworded afterwards.

| | queries | share |
| --- | ---: | ---: |
| a right photo comes first | {first} of {queries} | {first_share:.0%} |
| a right photo among the first 3 | {third} of {queries} | {third_share:.0%} |
| a right photo among the first 5 | {fifth} of {queries} | {fifth_share:.0%} |

{photos} photos are few: by chance alone a query with one right photo has it among the first 5 in {chance:.0%} of cases.

One by hand: `clipsearch search -k 5 "cat"`.

### First hits

| query | first hit | right? | rank of the first right photo |
| --- | --- | :---: | ---: |
{table}

### The first {shown}

| query | photos, best first; right ones in bold |
| --- | --- |
{lists}
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A query and all photos of the library, best first."""

    query: str
    ranking: tuple[str, ...]  # one path a content, relative to sample_images
    right: frozenset[int]  # places in `ranking`, from 0

    @property
    def rank(self) -> int:
        """Of the first right photo, from 1."""
        return min(self.right) + 1


def section() -> str:
    """Indexes the samples anew and asks each query."""
    with tempfile.TemporaryDirectory() as folder:
        paths = Paths(Path(folder) / "library", Path(folder) / "cache", Path(folder) / "models")
        with Library(paths) as library:
            *_, summary = library.index([SAMPLES])
            assert isinstance(summary, Summary), summary
            with (SAMPLES / "queries.tsv").open(encoding="utf-8") as lines:
                asked = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
            rows = [answered(library, one["query"], set(one["right"].split(", ")), summary.indexed) for one in asked]
        return filled(rows, find_model(DEFAULT_MODEL, paths.models).version)


def answered(library: Library, query: str, right: set[str], photos: int) -> Row:
    """A photo is right when any copy of it is."""
    hits = library.search(query, k=photos).hits
    names = [[os.path.relpath(os.fsdecode(path), SAMPLES) for path in (hit.path, *hit.copies)] for hit in hits]
    known = {name for copies in names for name in copies}
    assert right <= known, f"{query}: no such photo: {right - known}"
    return Row(
        query,
        tuple(copies[0] for copies in names),
        frozenset(place for place, copies in enumerate(names) if right.intersection(copies)),
    )


def filled(rows: list[Row], version: str) -> str:
    queries, photos = len(rows), len(rows[0].ranking)
    first, third, fifth = (within(rows, k) for k in (1, 3, 5))
    return SECTION.format(
        queries=queries,
        photos=photos,
        version=version,
        first=first,
        third=third,
        fifth=fifth,
        first_share=first / queries,
        third_share=third / queries,
        fifth_share=fifth / queries,
        chance=SHOWN / photos,
        shown=SHOWN,
        table="\n".join(
            f"| {row.query} | {row.ranking[0]} | {'yes' if row.rank == 1 else '**no**'} | {row.rank} |" for row in rows
        ),
        lists="\n".join(f"| {row.query} | {', '.join(marked(row))} |" for row in rows),
    )


def marked(row: Row) -> list[str]:
    return [f"**{name}**" if place in row.right else name for place, name in enumerate(row.ranking[:SHOWN])]


def within(rows: list[Row], k: int) -> int:
    """How many queries have a right photo among the first k."""
    return sum(row.rank <= k for row in rows)
