"""An open generation: flat arrays of a space's vectors, mapped, and what a large one has besides.

    part          array                 what for
    ids           int64 (rows,)         which photo a row is; in the order of seq
    vectors       f16 (rows, dim)       exact scans, and ranking what the others propose
    projection    f32 (1 + width, dim)  the mean and the directions of the sketches
    sketches      int8 (rows, width)    scanned for texts and under filters
    poor          int64 (poor,)         rows that a sketch does not tell apart
    graph         USearch's own         walked for images

The last four exist from vectors.LARGE_ROWS on, the graph up to vectors.GRAPH_ROWS. Flat arrays cannot harm a process
whatever bytes they hold: rows are numbers below their length, ids are looked up in SQLite, where the scores come from.
A graph can, so nothing is opened that is not what its row says (I2).
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.index.sketch import Projection
from clipsearch.index.spaces import Checkpoint

if TYPE_CHECKING:
    from clipsearch.index.graph import Graph

PARTS = ("ids", "vectors", "projection", "sketches", "poor", "graph")


class DamagedGeneration(Exception):
    """A file is not what its row says; its vectors are in SQLite."""


@dataclass(frozen=True)
class Generation:
    """One whose files are those of its rows. Its arrays are mapped and read-only."""

    checkpoint: Checkpoint
    ids: NDArray[np.int64]
    vectors: NDArray[np.float16]
    projection: Projection | None
    sketches: NDArray[np.int8]  # empty without a projection
    poor: NDArray[np.int64]
    graph_file: Path | None

    @cached_property
    def poor_vectors(self) -> NDArray[np.float16]:
        """f16 (poor, dim)."""
        return np.asarray(self.vectors[self.poor])

    @cached_property
    def graph(self) -> Graph:
        """Mapped when it is first walked: importing USearch takes longer than a search."""
        from clipsearch.index.graph import mapped

        assert self.graph_file is not None and self.projection is not None
        return mapped(self.graph_file, len(self.projection.directions), self.checkpoint.rows)


def open_generation(folder: Path, checkpoint: Checkpoint, dim: int, *, thoroughly: bool = False) -> Generation:
    """The generation that the row names. Raises DamagedGeneration unless its files are those very ones (I2).

    A file that nothing has touched since its writer had its digest is taken for it; hashing 2 GB for a query would
    take longer than the query. Any other one, of a copied library for instance, must have that digest; with
    `thoroughly` all of them.
    """
    graph = checkpoint.file("graph")
    for file in checkpoint.files:
        path = folder / file.name
        try:
            if (size := path.stat().st_size) != file.bytes:
                raise DamagedGeneration(f"{file.name} has {size} bytes instead of {file.bytes}")
            if (thoroughly or stamp_of(path) != file.stamp) and (digest := digest_of(path)) != file.sha256:
                raise DamagedGeneration(f"{file.name} was changed (its digest is {digest[:12]}…)")
        except OSError as error:
            raise DamagedGeneration(f"{file.name} cannot be read ({error.strerror})") from error
    rows, parameters = checkpoint.rows, json.loads(checkpoint.parameters)
    ids = _mapped(folder, checkpoint, "ids", np.int64, (rows,))
    vectors = _mapped(folder, checkpoint, "vectors", np.float16, (rows, dim))
    if checkpoint.file("sketches") is None:
        nothing = np.empty((0, 0), np.int8)
        return Generation(checkpoint, ids, vectors, None, nothing, np.empty(0, np.int64), None)
    width = int(parameters["width"])
    stored = np.array(_mapped(folder, checkpoint, "projection", np.float32, (1 + width, dim)))
    return Generation(
        checkpoint,
        ids,
        vectors,
        Projection(stored[0], stored[1:], parameters["step"], parameters["poor_loss"]),
        _mapped(folder, checkpoint, "sketches", np.int8, (rows, width)),
        np.array(_mapped(folder, checkpoint, "poor", np.int64, (int(parameters["poor"]),))),
        folder / graph.name if graph else None,
    )


def touched(folder: Path, checkpoint: Checkpoint) -> list[tuple[str, str]]:
    """(name, stamp) of the files that are not as the writer left them."""
    stamps = [(file.name, stamp_of(folder / file.name)) for file in checkpoint.files]
    return [pair for pair, file in zip(stamps, checkpoint.files, strict=True) if pair[1] != file.stamp]


def stamp_of(path: Path) -> str:
    """Changes when the file is replaced, written, renamed or given other rights (ctime; on Windows when replaced)."""
    status = os.stat(path)
    return f"{status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"


def digest_of(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _mapped(
    folder: Path, checkpoint: Checkpoint, part: str, kind: type[np.generic], shape: tuple[int, ...]
) -> NDArray[Any]:
    file = checkpoint.file(part)
    dtype = np.dtype(kind).newbyteorder("<")
    if file is None or file.bytes != math.prod(shape) * dtype.itemsize:
        raise DamagedGeneration(f"{file.name if file else part} is no array of {' x '.join(map(str, shape))} numbers")
    if not file.bytes:  # nothing cannot be mapped
        return np.empty(shape, dtype)
    try:
        return np.asarray(np.memmap(folder / file.name, dtype, "r", shape=shape))
    except (OSError, ValueError) as error:
        raise DamagedGeneration(f"{file.name} cannot be mapped ({error})") from error
