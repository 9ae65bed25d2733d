"""The graph of a large generation: photos near a photo, in a fraction of a millisecond. Only here is USearch known.

It holds sketches (int8), not vectors: it is built 15 times faster than with 512 dimensions in f16, in 468 bytes a
row instead of 1,500 (docs/scale.md). What it proposes is ranked by exact scores like everything else.

USearch's own `save` writes in place, does not sync and ignores the result of closing; its default scalar type
depends on the CPU; `get` of an absent key and the keys of a viewed index are not to be trusted. So: dtype is
passed, the file is made aside, keys and vectors are never read back out of it.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

# First: USearch 2.26.6 loaded before ONNX Runtime 1.31.1 ends the process with a segmentation fault when the
# latter is loaded (each works alone, and in this order). Costs 30 ms, where a graph is walked at all.
import onnxruntime  # noqa: F401
from numpy.typing import NDArray
from usearch.index import Index

CONNECTIVITY = 24  # with 16 the 100 nearest sketches hold 0.993 of a photo's 20 true neighbours, with 24 0.998
EXPANSION = 64  # while adding
SEARCHED = 256  # expansion while searching, 0.5 ms; of a million rows 64 find 0.978 of the 20 nearest, this 0.994

Sketches = NDArray[np.int8]
Graph = Index


class UnreadableGraph(RuntimeError):
    """USearch cannot read the file, or it is another graph."""


def new(width: int) -> Graph:
    # Squared distances of sketches order photos as cosines do; their products do not, once the mean is taken away.
    return Graph(ndim=width, metric="l2sq", dtype="i8", connectivity=CONNECTIVITY, expansion_add=EXPANSION)


def loaded(path: Path, width: int, rows: int) -> Graph:
    """A copy in memory, to be extended."""
    index = new(width)
    try:
        index.load(str(path))
    except RuntimeError as error:
        raise UnreadableGraph(str(error)) from error
    return _checked(index, path, width, rows)


def mapped(path: Path, width: int, rows: int) -> Graph:
    try:
        index = Graph.restore(str(path), view=True, expansion_search=SEARCHED)
    except RuntimeError as error:
        raise UnreadableGraph(str(error)) from error
    if index is None:
        raise UnreadableGraph(f"{path.name} is no graph")
    return _checked(index, path, width, rows)


def extend(index: Graph, ids: NDArray[np.int64], sketches: Sketches) -> None:
    index.add(ids.astype(np.uint64), sketches, threads=os.cpu_count() or 1)


def save(index: Graph, path: Path) -> None:
    index.save(str(path))


def check(path: Path, rows: int, sketches: Sketches) -> None:
    """Reopens what was saved. Raises UnreadableGraph unless each of these rows finds itself."""
    index = mapped(path, sketches.shape[1], rows)
    for sketch in sketches:
        # Equal contents may be nearest to each other, so the distance is compared, not the key.
        if float(index.search(sketch, 1, exact=True).distances[0]) != 0:
            raise UnreadableGraph(f"{path.name} does not find a photo again")


def nearest(index: Graph, sketch: Sketches, count: int) -> NDArray[np.int64]:
    """Ids of most of the `count` rows whose sketches are nearest to `sketch` (n,)."""
    # One thread: for one query, starting others takes longer than walking.
    return np.asarray(index.search(sketch, min(count, len(index)), threads=1).keys, dtype=np.int64)


def _checked(index: Graph, path: Path, width: int, rows: int) -> Graph:
    if index.ndim != width or len(index) != rows:
        raise UnreadableGraph(f"{path.name} holds {len(index)} rows of {index.ndim} dimensions")
    return index
