"""catalog.db: embedding spaces, the vectors of photos in them, and which generation is their checkpoint.

Knows photos by their ids alone; what they are is catalog.py's, and a generation's file is vectors.py's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsearch.index.database import Database, Row, ids_of, parts_of, storage_errors
from clipsearch.types import SpaceIdentity

CHUNK_ROWS = 4096  # rows of a vector scan held at once: 4 MiB at 512 dimensions

_LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Space:
    id: int
    identity: SpaceIdentity


@dataclass(frozen=True, slots=True)
class GenerationFile:
    """One file of a generation, as the writer left it."""

    part: str
    name: str
    bytes: int
    sha256: str
    stamp: str  # vectors.stamp_of; it changes when anything touches the file


@dataclass(frozen=True, slots=True)
class Checkpoint:
    generation: int
    rows: int
    max_seq: int
    parameters: str  # JSON: of the sketches, where there are any
    files: tuple[GenerationFile, ...]

    def file(self, part: str) -> GenerationFile | None:
        return next((file for file in self.files if file.part == part), None)


class Spaces(Database):
    """The half of a catalog that the plans of a search read; use it as Catalog."""

    # -- spaces and their vectors -----------------------------------------------------------------

    def space_for(self, identity: SpaceIdentity) -> Space:
        """The space of this identity, made if new; the first one is active at once."""
        self._run(
            """
            INSERT INTO space (fingerprint, model, dim, active)
            VALUES (?, ?, ?, NOT EXISTS (SELECT 1 FROM space WHERE active = 1))
            ON CONFLICT (fingerprint) DO UPDATE SET model = excluded.model
            """,
            (identity.fingerprint, identity.model, identity.dim),
        )
        row = self._one("SELECT id FROM space WHERE fingerprint = ?", (identity.fingerprint,))
        assert row is not None
        return Space(row[0], identity)

    def active_space(self) -> Space | None:
        row = self._one("SELECT id, fingerprint, model, dim FROM space WHERE active = 1")
        return Space(row[0], SpaceIdentity(row[1], row[2], row[3])) if row else None

    def activate(self, space: Space) -> None:
        with self.transaction():
            self._run("UPDATE space SET active = 0 WHERE active = 1 AND id <> ?", (space.id,))
            self._run("UPDATE space SET active = 1 WHERE id = ?", (space.id,))

    def put_vector(self, space: Space, photo_id: int, vector: NDArray[np.float32], variant: str) -> None:
        """Stores a unit vector, replacing the photo's former one. Refuses NaN, zero and non-unit vectors."""
        length = float(np.linalg.norm(vector.astype(np.float64)))
        assert vector.shape == (space.identity.dim,), vector.shape
        assert abs(length - 1) < 1e-3, f"vector of length {length} for photo {photo_id}"  # NaN fails too
        self._run("DELETE FROM embedding WHERE space_id = ? AND photo_id = ?", (space.id, photo_id))
        self._run(
            "INSERT INTO embedding (space_id, photo_id, vector, variant) VALUES (?, ?, ?, ?)",
            (space.id, photo_id, vector.astype("<f2").tobytes(), variant),
        )

    def vector_chunks(
        self, space: Space, *, after_seq: int = 0, up_to_seq: int | None = None
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float16]]]:
        """(photo ids, f16 (n, dim)) of the vectors with after_seq < seq <= up_to_seq, in the order of seq."""
        cursor = self._run(
            # `+` keeps SQLite from the index of spaces, which would sort all vectors before the first row.
            "SELECT photo_id, vector FROM embedding WHERE +space_id = ? AND seq > ? AND seq <= ? ORDER BY seq",
            (space.id, after_seq, _LARGEST if up_to_seq is None else up_to_seq),
        )
        with storage_errors(self._path):
            while rows := cursor.fetchmany(CHUNK_ROWS):
                yield _chunk(rows, space.identity.dim)

    def vectors_of(self, space: Space, ids: Sequence[int]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float16]]]:
        """The same for these photos; one without a vector is left out."""
        for part in parts_of(ids):
            marks = ",".join("?" * len(part))
            rows = self._all(
                f"SELECT photo_id, vector FROM embedding WHERE space_id = ? AND photo_id IN ({marks})",
                (space.id, *part),
            )
            if rows:
                yield _chunk(rows, space.identity.dim)

    def encoded(self, space: Space, ids: Iterable[int]) -> set[int]:
        """Which of these photos have a vector."""
        found: set[int] = set()
        for part in parts_of(list(ids)):
            marks = ",".join("?" * len(part))
            found |= {
                row[0]
                for row in self._all(
                    f"SELECT photo_id FROM embedding WHERE space_id = ? AND photo_id IN ({marks})", (space.id, *part)
                )
            }
        return found

    def sample(self, space: Space, size: int) -> NDArray[np.float16]:
        """At most `size` vectors (n, dim) of photos that answer, the same until they change, over their whole age."""
        row = self._one("SELECT coalesce(max(id), 0) FROM photo")
        assert row is not None
        hidden = self.hidden_photos()
        chosen = _spread(np.setdiff1d(_spread(np.arange(1, row[0] + 1), 2 * size), hidden, assume_unique=True), size)
        sample = self._vectors(space, chosen)
        if len(sample) < min(size, row[0]) // 2:  # most photos are gone, or were gone when the model came
            known = ids_of(self._all("SELECT photo_id FROM embedding WHERE space_id = ?", (space.id,)))
            sample = self._vectors(space, _spread(np.setdiff1d(known, hidden, assume_unique=True), size))
        return sample

    def _vectors(self, space: Space, ids: NDArray[np.int64]) -> NDArray[np.float16]:
        parts = [vectors for _, vectors in self.vectors_of(space, ids.tolist())]
        return np.concatenate(parts) if parts else np.empty((0, space.identity.dim), np.float16)

    def hidden_photos(self) -> NDArray[np.int64]:
        """Photos that no file shows any more."""
        # Named, or SQLite reads all photos in an index that has `files` in it.
        return ids_of(self._all("SELECT id FROM photo INDEXED BY photo_hidden WHERE files = 0"))

    def vector_count(self, space: Space) -> int:
        row = self._one("SELECT vectors FROM space WHERE id = ?", (space.id,))
        assert row is not None
        return int(row[0])

    def tail_count(self, space: Space, seq: int) -> int:
        """Vectors written after `seq`."""
        row = self._one("SELECT count(*) FROM embedding WHERE +space_id = ? AND seq > ?", (space.id, seq))
        assert row is not None
        return int(row[0])

    def newest_variant(self, space: Space) -> str | None:
        """Precision and runtime that made the newest vector."""
        row = self._one("SELECT variant FROM embedding WHERE +space_id = ? ORDER BY seq DESC LIMIT 1", (space.id,))
        return row[0] if row else None

    def last_seq(self, space: Space) -> int:
        row = self._one("SELECT seq FROM embedding WHERE +space_id = ? ORDER BY seq DESC LIMIT 1", (space.id,))
        return int(row[0]) if row else 0

    def photos_between(self, space: Space, after_seq: int, up_to_seq: int = _LARGEST) -> NDArray[np.int64]:
        """Photos whose vectors have after_seq < seq <= up_to_seq, in the order of seq."""
        rows = self._all(
            "SELECT photo_id FROM embedding WHERE +space_id = ? AND seq > ? AND seq <= ? ORDER BY seq",
            (space.id, after_seq, up_to_seq),
        )
        return ids_of(rows)

    # -- checkpoints ------------------------------------------------------------------------------

    def checkpoint(self, space: Space) -> Checkpoint | None:
        """The newest one."""
        row = self._one(
            "SELECT generation, rows, max_seq, parameters FROM checkpoint WHERE space_id = ? "
            "ORDER BY generation DESC LIMIT 1",
            (space.id,),
        )
        if row is None:
            return None
        files = self._all(
            "SELECT part, name, bytes, sha256, stamp FROM generation_file WHERE generation = ? ORDER BY part", row[:1]
        )
        generation, rows, max_seq, parameters = row
        parts = tuple(GenerationFile(*file) for file in files)
        return Checkpoint(generation, rows, max_seq, parameters, parts)

    def checkpoint_files(self) -> set[str]:
        """Every file that a generation has, of any space."""
        return {row[0] for row in self._all("SELECT name FROM generation_file")}

    def next_generation(self) -> int:
        """A number that no checkpoint row has had."""
        row = self._one("SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'checkpoint'), 0) + 1")
        assert row is not None
        return int(row[0])

    def record_checkpoint(self, space: Space, checkpoint: Checkpoint) -> None:
        """Points to a new generation and forgets the older ones of its space."""
        with self.transaction():
            self._run(
                "INSERT INTO checkpoint (space_id, generation, rows, max_seq, parameters) VALUES (?, ?, ?, ?, ?)",
                (space.id, checkpoint.generation, checkpoint.rows, checkpoint.max_seq, checkpoint.parameters),
            )
            for file in checkpoint.files:
                self._run(
                    """
                    INSERT INTO generation_file (generation, part, name, bytes, sha256, stamp)
                    VALUES (?, ?, ?, ?, ?, ?)
                    """,
                    (checkpoint.generation, file.part, file.name, file.bytes, file.sha256, file.stamp),
                )
            self._run("DELETE FROM checkpoint WHERE space_id = ? AND generation < ?", (space.id, checkpoint.generation))

    def restamp(self, stamps: Sequence[tuple[str, str]]) -> None:
        """(name, stamp) of files that were found to be the recorded ones, though something has touched them."""
        with self.transaction():
            for name, stamp in stamps:
                self._run("UPDATE generation_file SET stamp = ? WHERE name = ?", (stamp, name))


def _spread(ids: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """At most `size` of them, in even steps."""
    return ids[:: max(1, -(-len(ids) // size))]


def _chunk(rows: list[Row], dim: int) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
    vectors = np.frombuffer(b"".join(row[1] for row in rows), dtype="<f2").reshape(len(rows), dim)
    return ids_of(rows), vectors
