"""service.json in the library's folder: where the service of this library listens, and what it would answer with.

Readable by its owner only, for it holds the token of a port. A record outlives a killed server; whoever reads
one must see whether somebody answers who knows its `proof`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from clipsearch import __version__
from clipsearch.config import Paths
from clipsearch.service.wire import Malformed, dumps, loads

LIMIT_BYTES = 64 * 1024  # far more than a record has


@dataclass(frozen=True, slots=True)
class Record:
    version: str  # of the program: another one may mean other things by the same words
    library: str
    cache: str
    models: str
    pid: int
    socket: bytes | None  # path of a Unix socket, or
    port: int | None  # on 127.0.0.1
    token: str | None  # what a client of the port must know
    proof: str  # what only this server knows: another program may listen where a killed one did

    def serves(self, paths: Paths) -> bool:
        """Whether its answers are those that this program would find itself."""
        ours = (__version__, str(paths.library), str(paths.cache), str(paths.models))
        return ours == (self.version, self.library, self.cache, self.models)


def record_path(library: Path) -> Path:
    return library / "service.json"


def read_record(library: Path) -> Record | None:
    """The record of the library; None when there is none, or none that this program can read."""
    try:
        with record_path(library).open("rb") as handle:
            return loads(Record, handle.read(LIMIT_BYTES))
    except (OSError, Malformed):
        return None


def write_record(library: Path, record: Record) -> None:
    from clipsearch.files import publish_private

    publish_private(record_path(library), dumps(record) + b"\n")
