"""Generations: immutable USearch files, checkpoints of the vectors in SQLite. The only module that knows USearch.

Life of a generation (I2, I3), with what a crash leaves behind after each step:

    step         a crash after it leaves
    built        a temporary file, removed by the next checkpoint
    compared     the same
    renamed      a whole, synced file that no row names, replaced or removed by the next checkpoint
    recorded     the new generation in use, and the old file, removed by the next checkpoint
    swept        nothing

USearch's own `save` writes in place, does not sync and ignores the result of closing; its default scalar
type depends on the CPU; `get` of an absent key and the keys of a viewed index are not to be trusted. So:
dtype is passed, the file is made aside, keys and vectors are never read back out of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# First: USearch 2.26.6 loaded before ONNX Runtime 1.31.1 ends the process with a segmentation fault when the
# latter is loaded (each works alone, and in this order). Costs 30 ms, in libraries that need USearch at all.
import onnxruntime  # noqa: F401
from numpy.typing import NDArray
from usearch.index import Index

from clipsearch.errors import SystemFault
from clipsearch.files import publish
from clipsearch.index.catalog import Catalog
from clipsearch.index.spaces import Checkpoint, Space

GRAPH_THRESHOLD = 200_000  # rows; below it an exact scan takes 20 ms or less (DESIGN section 8)

# (connectivity, expansion while adding). Below the threshold the graph is never walked, so it is made as
# thin as USearch allows: 20,000 rows take 0.05 s instead of 4 s (2 cores). Above, DESIGN section 8's choice.
FLAT = (2, 1)
GRAPH = (32, 64)

TAIL_ROWS = 1_000  # a tail up to this is searched in about 2 ms
TAIL_SHARE = 0.1  # of the generation; beyond both a run makes a new checkpoint

_COMPARED_ROWS = 256  # rows that must find themselves before a new generation gets its name

STEPS = ("built", "compared", "renamed", "recorded", "swept")


class DamagedGeneration(Exception):
    """The file is not what its row says; its vectors are in SQLite."""


@dataclass(frozen=True, slots=True)
class Generation:
    """An open, mapped generation that matches its row."""

    checkpoint: Checkpoint
    index: Index

    def nearest(self, query: NDArray[np.float32], k: int, *, exact: bool) -> NDArray[np.int64]:
        """Keys of the k nearest rows: all of the true ones when exact, most of them through the graph."""
        wanted = min(k, self.checkpoint.rows)
        matches = self.index.search(query.astype(np.float16), wanted, exact=exact)
        return np.asarray(matches.keys, dtype=np.int64)


def open_generation(folder: Path, checkpoint: Checkpoint, dim: int) -> Generation:
    """The generation that the row names. Raises DamagedGeneration unless it is that very file (I2).

    The digest is always computed: a mapped file with one wrong byte can end the process.
    """
    path = folder / checkpoint.file
    try:
        size = path.stat().st_size
        if size != checkpoint.bytes:
            raise DamagedGeneration(f"{path.name} has {size} bytes instead of {checkpoint.bytes}")
        if (digest := _sha256(path)) != checkpoint.sha256:
            raise DamagedGeneration(f"{path.name} was changed (its digest is {digest[:12]}…)")
    except OSError as error:
        raise DamagedGeneration(f"{path.name} cannot be read ({error.strerror})") from error
    return Generation(checkpoint, _viewed(path, dim))


def needs_checkpoint(catalog: Catalog, space: Space, folder: Path) -> bool:
    """Whether a run should end with a new generation: the tail is long, or the last one is damaged."""
    checkpoint = catalog.checkpoint(space)
    if checkpoint is None:
        return catalog.vector_count(space) > 0
    tail = catalog.vector_count(space, after_seq=checkpoint.max_seq)
    if tail > max(TAIL_ROWS, TAIL_SHARE * checkpoint.rows):
        return True
    try:
        open_generation(folder, checkpoint, space.identity.dim)
    except DamagedGeneration:
        return True
    return False


def make_checkpoint(
    catalog: Catalog, space: Space, folder: Path, reached: Callable[[str], None] = lambda step: None
) -> None:
    """Writes all vectors of the space into a new generation and points to it. Needs the writer's lock.

    `reached` is called after each of STEPS, for the tests that kill the process there.
    """
    folder.mkdir(exist_ok=True)
    max_seq = catalog.last_seq(space)
    rows = catalog.vector_count(space)
    if rows == 0:  # restoring an empty index ends the interpreter (usearch issue 195)
        return
    connectivity, expansion = GRAPH if rows >= GRAPH_THRESHOLD else FLAT
    index = Index(ndim=space.identity.dim, metric="ip", dtype="f16", connectivity=connectivity, expansion_add=expansion)
    sample_ids: list[NDArray[np.int64]] = []
    sample: list[NDArray[np.float16]] = []
    stride = max(1, rows // _COMPARED_ROWS)
    for ids, vectors in catalog.vector_chunks(space, up_to_seq=max_seq):
        index.add(ids.astype(np.uint64), vectors, threads=os.cpu_count() or 1)
        sample_ids.append(ids[::stride])
        sample.append(vectors[::stride])
    generation = catalog.next_generation()
    final = folder / f"generation-{generation:06d}.usearch"
    temporary = final.with_suffix(".tmp")
    with _disk_errors(temporary):
        index.save(str(temporary))
        reached("built")
        _compare(temporary, space.identity.dim, rows, np.concatenate(sample_ids), np.concatenate(sample))
        reached("compared")
        checkpoint = Checkpoint(
            generation=generation,
            file=final.name,
            rows=rows,
            max_seq=max_seq,
            bytes=temporary.stat().st_size,
            sha256=_sha256(temporary),
            parameters=json.dumps({"connectivity": connectivity, "expansion_add": expansion}),
        )
        publish(temporary, final)
        reached("renamed")
    catalog.record_checkpoint(space, checkpoint)
    reached("recorded")
    sweep(folder, keep=catalog.checkpoint_files())
    reached("swept")


@contextlib.contextmanager
def _disk_errors(temporary: Path) -> Iterator[None]:
    """A file that cannot be written, or comes back otherwise, is removed: on a full disk it takes what is left."""
    try:
        yield
    except (RuntimeError, OSError, DamagedGeneration) as error:  # USearch raises RuntimeError for all that fails
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise SystemFault(
            f"The checkpoint {temporary} cannot be written ({error}).",
            "Free some space and run the same command again; all photos are kept and can be searched.",
        ) from error


def sweep(folder: Path, *, keep: set[str]) -> None:
    """Removes generation files that no row names. Readers that have one open keep it until they close it."""
    for path in folder.iterdir():
        if path.suffix in (".usearch", ".tmp") and path.name not in keep:
            path.unlink(missing_ok=True)


def _viewed(path: Path, dim: int) -> Index:
    index = Index.restore(str(path), view=True)
    if index is None or index.ndim != dim:
        raise DamagedGeneration(f"{path.name} is not an index of {dim} dimensions")
    return index


def _compare(path: Path, dim: int, rows: int, ids: NDArray[np.int64], vectors: NDArray[np.float16]) -> None:
    """Reopens what was saved and checks that its rows are there and find themselves exactly."""
    index = _viewed(path, dim)
    if len(index) != rows:
        raise DamagedGeneration(f"{path.name} holds {len(index)} rows instead of {rows}")
    for chosen in range(0, len(ids), max(1, len(ids) // 16)):
        matches = index.search(vectors[chosen], 1, exact=True)
        # Equal contents may be nearest to each other, so the distance is compared, not the key.
        if abs(float(matches.distances[0])) > 0.01:
            raise DamagedGeneration(f"{path.name} does not find photo {ids[chosen]} again")


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
