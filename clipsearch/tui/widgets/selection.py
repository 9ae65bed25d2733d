"""Which photos are selected, and the range that is being drawn. Pure.

By path, in the order of selecting: a selection outlives the question it was made in.
"""

from __future__ import annotations

from collections.abc import Sequence

from clipsearch.types import Hit


class Selection:
    """Hits by path, and where a range began."""

    def __init__(self) -> None:
        self._hits: dict[bytes, Hit] = {}
        self._anchor: int | None = None

    def __contains__(self, path: bytes) -> bool:
        return path in self._hits

    def __len__(self) -> int:
        return len(self._hits)

    @property
    def hits(self) -> tuple[Hit, ...]:
        return tuple(self._hits.values())

    @property
    def is_ranging(self) -> bool:
        return self._anchor is not None

    def clear(self) -> None:
        self._hits.clear()
        self._anchor = None

    def take(self, hits: Sequence[Hit]) -> None:
        """Selects these, and nothing else."""
        self._hits = {hit.path: hit for hit in hits}

    def toggle(self, hit: Hit) -> None:
        if self._hits.pop(hit.path, None) is None:
            self._hits[hit.path] = hit

    def begin_range(self, place: int, hit: Hit) -> None:
        self._anchor = place
        self._hits[hit.path] = hit

    def end_range(self) -> None:
        self._anchor = None

    def stretch(self, hits: Sequence[Hit], before: int, now: int) -> range:
        """Takes the range along as the cursor moves; what it has left is taken out. The places touched."""
        if self._anchor is None:
            return range(0)
        for place in _between(self._anchor, before):
            self._hits.pop(hits[place].path, None)
        for place in _between(self._anchor, now):
            self._hits[hits[place].path] = hits[place]
        return range(min(self._anchor, before, now), max(self._anchor, before, now) + 1)


def _between(one: int, other: int) -> range:
    return range(min(one, other), max(one, other) + 1)
