"""Checkpoints: the vectors in SQLite, written into a new generation of files that searches map.

Life of a generation (I2, I3), with what a crash leaves behind after each step:

    step         a crash after it leaves
    built        temporary files, removed by the next checkpoint
    compared     the same
    renamed      whole, synced files that no row names, replaced or removed by the next checkpoint
    recorded     the new generation in use, and the old files, removed by the next checkpoint
    swept        nothing

A checkpoint copies what the former generation holds and adds the tail, so that a million photos take seconds, not
minutes; where the former one is missing, damaged or no longer fits, it starts from SQLite alone.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import SystemFault
from clipsearch.files import publish
from clipsearch.index.catalog import Catalog
from clipsearch.index.generation import (
    PARTS,
    DamagedGeneration,
    Generation,
    digest_of,
    open_generation,
    stamp_of,
    touched,
)
from clipsearch.index.sketch import MOST_POOR, SAMPLE, Projection, fitted
from clipsearch.index.spaces import Checkpoint, GenerationFile, Space

LARGE_ROWS = 200_000  # from here on a generation has sketches; below, an exact scan takes 11 ms or less
GRAPH_ROWS = 4_000_000  # up to here it has a graph; beyond, its files would take more than 14 GB of ten million rows

TAIL_ROWS = 1_000  # a tail up to this is searched in about 2 ms
TAIL_SHARE = 0.005  # of the generation; beyond both a run makes a new checkpoint (15 s at a million rows)

STEPS = ("built", "compared", "renamed", "recorded", "swept")

_SUFFIXES = {*(f".{part}" for part in PARTS), ".tmp", ".usearch"}  # the last one of versions before 3
_ID_BYTES = 8
_COPIED = 65_536  # rows copied at once: 64 MiB at 512 dimensions
_COMPARED_ROWS = 256  # of a new generation that must equal those in SQLite before it gets its name


def needs_checkpoint(catalog: Catalog, space: Space, folder: Path) -> bool:
    """Whether a run should make a new generation: the tail is long, many rows are gone, or a file is damaged.

    Files that were only touched, as those of a copied library, are verified here once for all readers.
    """
    checkpoint = catalog.checkpoint(space)
    if checkpoint is None:
        return catalog.vector_count(space) > 0
    tail = catalog.tail_count(space, checkpoint.max_seq)
    gone = checkpoint.rows - (catalog.vector_count(space) - tail)
    if max(tail, gone) > max(TAIL_ROWS, TAIL_SHARE * checkpoint.rows):
        return True
    try:
        open_generation(folder, checkpoint, space.identity.dim)
    except DamagedGeneration:
        return True
    if stamps := touched(folder, checkpoint):
        catalog.restamp(stamps)
    return False


def make_checkpoint(
    catalog: Catalog, space: Space, folder: Path, reached: Callable[[str], None] = lambda step: None
) -> None:
    """Writes all vectors of the space into a new generation and points to it. Needs the writer's lock.

    `reached` is called after each of STEPS, for the tests that kill the process there.
    """
    folder.mkdir(exist_ok=True)
    rows = catalog.vector_count(space)
    if rows == 0:
        return
    with _disk_errors(folder):
        # Before gigabytes are read and written in vain: a watcher on a full disk tries again every half minute.
        if shutil.disk_usage(folder).free < rows * (_ID_BYTES + 2 * space.identity.dim):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        build = _Build(catalog, space, folder)
        build.write()
        reached("built")
        build.compare()
        reached("compared")
        checkpoint = build.published()
        reached("renamed")
    catalog.record_checkpoint(space, checkpoint)
    reached("recorded")
    sweep(folder, keep=catalog.checkpoint_files())
    reached("swept")


def sweep(folder: Path, *, keep: set[str]) -> None:
    """Removes generation files that no row names. Readers that have one open keep it until they close it."""
    for path in strays(folder, keep=keep):
        with contextlib.suppress(PermissionError):  # Windows: somebody has it open; the next checkpoint removes it
            path.unlink(missing_ok=True)


def strays(folder: Path, *, keep: set[str]) -> list[Path]:
    """Files of generations that no row names: left over from a crash, or from before."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES and path.name not in keep)


@contextlib.contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """What cannot be written, or comes back otherwise, is removed: on a full disk it takes what is left."""
    try:
        yield
    except (RuntimeError, OSError, DamagedGeneration) as error:  # USearch raises RuntimeError for all that fails
        for path in folder.glob("*.tmp"):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        raise SystemFault(
            f"The checkpoint in {folder} cannot be written ({error}).",
            "Free some space and run the same command again; all photos are kept and can be searched.",
        ) from error


class _Build:
    """A generation on its way, as temporary files: rows of the former one that still hold, then those written since."""

    def __init__(self, catalog: Catalog, space: Space, folder: Path) -> None:
        self._catalog = catalog
        self._space = space
        self._folder = folder
        self._generation = catalog.next_generation()
        self._max_seq = catalog.last_seq(space)
        self._former, self._kept = _former(catalog, space, folder)
        self._rows = 0
        self._parts: dict[str, Path] = {}
        self._parameters: dict[str, float] = {}
        self._projection: Projection | None = None

    def write(self) -> None:
        self._write_vectors()
        if self._rows >= LARGE_ROWS:
            self._write_sketches()
            if self._rows <= GRAPH_ROWS:
                self._write_graph()

    def _write_vectors(self) -> None:
        with self._new("ids") as ids, self._new("vectors") as vectors:
            for photos, rows in self._vectors():
                ids.write(photos.astype("<i8").tobytes())
                vectors.write(np.ascontiguousarray(rows, "<f2").data)
                self._rows += len(photos)

    def _vectors(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float16]]]:
        after = 0
        if self._former is not None:
            after = self._former.checkpoint.max_seq
            for rows in _pieces(self._kept):
                yield self._former.ids[rows], self._former.vectors[rows]
        yield from self._catalog.vector_chunks(self._space, after_seq=after, up_to_seq=self._max_seq)

    def _write_sketches(self) -> None:
        """By the former directions while they fit; else by new ones, for all rows."""
        former = self._former if self._former is not None and self._former.projection is not None else None
        vectors = self._written("vectors", np.float16, self._space.identity.dim)
        if former is not None and former.projection is not None:
            self._projection = former.projection
            poor = self._draw(vectors, former)
        if former is None or len(poor) > MOST_POOR * self._rows:
            self._projection = fitted(vectors[:: -(-self._rows // SAMPLE)])
            poor = self._draw(vectors, None)
        assert self._projection is not None
        with self._new("projection") as file:
            file.write(self._projection.mean.astype("<f4").tobytes())
            file.write(self._projection.directions.astype("<f4").tobytes())
        with self._new("poor") as file:
            file.write(poor.astype("<i8").tobytes())
        self._parameters |= {
            "width": len(self._projection.directions),
            "step": self._projection.step,
            "poor_loss": self._projection.poor_loss,
            "poor": len(poor),
        }

    def _draw(self, vectors: NDArray[np.float16], former: Generation | None) -> NDArray[np.int64]:
        """Writes the sketches, those of `former` without drawing them again; the rows that are poorly drawn."""
        assert self._projection is not None
        poor = []
        with self._new("sketches") as file:
            done = 0
            if former is not None:
                for rows in _pieces(self._kept):
                    file.write(former.sketches[rows].data)
                done = len(self._kept)
                poor.append(np.flatnonzero(np.isin(self._kept, former.poor)))
            for start in range(done, self._rows, _COPIED):
                drawn, lost = self._projection.drawn(vectors[start : start + _COPIED])
                file.write(drawn.data)
                poor.append(start + np.flatnonzero(lost))
        return np.concatenate(poor)

    def _write_graph(self) -> None:
        """The former graph with the new rows in it, unless some rows or the directions are others by now."""
        from clipsearch.index import graph

        assert self._projection is not None
        width, former, done = len(self._projection.directions), self._former, 0
        index = graph.new(width)
        if (
            former is not None
            and former.graph_file is not None
            and former.projection is self._projection
            and len(self._kept) == former.checkpoint.rows
        ):
            index, done = graph.loaded(former.graph_file, width, len(self._kept)), len(self._kept)
        ids, sketches = self._written("ids", np.int64, 1)[:, 0], self._written("sketches", np.int8, width)
        for start in range(done, self._rows, _COPIED):
            graph.extend(index, ids[start : start + _COPIED], sketches[start : start + _COPIED])
        self._new("graph").close()
        graph.save(index, self._parts["graph"])

    def compare(self) -> None:
        """Reopens what was written: some of its rows must be those of SQLite, be drawn so, and find themselves."""
        dim = self._space.identity.dim
        ids, vectors = self._written("ids", np.int64, 1)[:, 0], self._written("vectors", np.float16, dim)
        chosen = np.arange(0, self._rows, max(1, self._rows // _COMPARED_ROWS))
        place = dict(zip(ids[chosen].tolist(), chosen.tolist(), strict=True))
        for photos, stored in self._catalog.vectors_of(self._space, list(place)):
            rows = [place.pop(photo) for photo in photos.tolist()]
            if not np.array_equal(vectors[rows], stored):
                raise DamagedGeneration("its vectors are not those of the catalog")
        if place:
            raise DamagedGeneration(f"photo {min(place)} has no vector in the catalog")
        if self._projection is None:
            return
        sketches = self._written("sketches", np.int8, len(self._projection.directions))
        # A matrix product rounds differently with the number of rows, so a coordinate may fall to its neighbour.
        drawn, _ = self._projection.drawn(vectors[chosen])
        if np.abs(drawn.astype(np.int16) - sketches[chosen]).max() > 1:
            raise DamagedGeneration("its sketches are not those of its vectors")
        if "graph" in self._parts:
            from clipsearch.index import graph

            graph.check(self._parts["graph"], self._rows, sketches[chosen[::16]])

    def published(self) -> Checkpoint:
        """All files under their names, whole and synced, for the row that will name them."""
        files = []
        for part, temporary in self._parts.items():
            digest, final = digest_of(temporary), temporary.with_suffix("")
            publish(temporary, final)
            files.append(GenerationFile(part, final.name, final.stat().st_size, digest, stamp_of(final)))
        parameters = json.dumps(self._parameters)
        return Checkpoint(self._generation, self._rows, self._max_seq, parameters, tuple(files))

    def _new(self, part: str) -> BinaryIO:
        self._parts[part] = self._folder / f"generation-{self._generation:06d}.{part}.tmp"
        return self._parts[part].open("wb")

    def _written(self, part: str, kind: type[np.generic], width: int) -> NDArray[Any]:
        dtype = np.dtype(kind).newbyteorder("<")
        return np.asarray(np.memmap(self._parts[part], dtype, "r", shape=(self._rows, width)))


def _former(catalog: Catalog, space: Space, folder: Path) -> tuple[Generation | None, NDArray[np.int64]]:
    """The generation in use and its rows that still hold; every byte of it is verified, for they are copied."""
    nothing = np.empty(0, np.int64)
    checkpoint = catalog.checkpoint(space)
    if checkpoint is None:
        return None, nothing
    try:
        former = open_generation(folder, checkpoint, space.identity.dim, thoroughly=True)
    except DamagedGeneration:
        return None, nothing
    rows = np.arange(checkpoint.rows)
    if catalog.vector_count(space) - catalog.tail_count(space, checkpoint.max_seq) == checkpoint.rows:
        return former, rows
    # A vector that is written again has a higher seq, so what is left below is what the generation still has right.
    return former, rows[np.isin(former.ids, catalog.photos_between(space, 0, checkpoint.max_seq))]


def _pieces(rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(rows), _COPIED):
        yield rows[start : start + _COPIED]
