"""Where the files of a model come from: a repository of a hub (hub.py), or a folder that somebody has copied here.

A source says what it holds and appends a file's missing end to what is there. It decides nothing: which files make a
model is the layout's to say, and whether they are whole is checked in pull.py.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from clipsearch.errors import ModelError, SystemFault

CHUNK = 1 << 20  # bytes that are written at once, and lost at most when the process is killed


@dataclass(frozen=True, slots=True)
class Digest:
    """What a source promises of a file: the sha256 of its bytes, or the name that git gives them (small files)."""

    kind: str  # "sha256" or "git"
    value: str  # hex

    def matches(self, path: Path) -> bool:
        return file_digest(path, self.kind) == self.value


@dataclass(frozen=True, slots=True)
class SourceFile:
    path: str  # below the model's folder, with slashes
    size: int  # bytes
    digest: Digest | None  # None where nobody says


@dataclass(frozen=True, slots=True)
class Waiting:
    """The source does not answer; it is asked again."""

    seconds: float
    reason: str


class Source(Protocol):
    @property
    def origin(self) -> str:
        """For the card: repository and commit, or the folder."""

    @property
    def files(self) -> tuple[SourceFile, ...]: ...

    @property
    def licence(self) -> str | None:
        """What the source itself says."""

    def fetched(self, file: SourceFile, part: Path) -> Iterator[int | Waiting]:
        """Appends to `part` what it misses; yields how many bytes came, negative where it had to begin again."""


class LocalFolder:
    """A folder in one of the layouts: a clone, a snapshot of a cache, or what a colleague has sent."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.origin = str(folder.absolute())
        self.licence = None
        self.files = tuple(self._found())

    def _found(self) -> Iterator[SourceFile]:
        # os.walk: pathlib's rglob passes over folders that it may not list, and the model would miss what is in them.
        for parent, folders, names in os.walk(self._folder, onerror=_unlisted):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                path = Path(parent, name)
                if path.is_file():  # also through a link, which the snapshots of caches are made of
                    yield SourceFile(path.relative_to(self._folder).as_posix(), path.stat().st_size, None)

    def fetched(self, file: SourceFile, part: Path) -> Iterator[int | Waiting]:
        # From the beginning: copying is quick, and nothing says that an older part is of the same file.
        if part.exists():
            yield -part.stat().st_size
        with part.open("wb") as target:
            for chunk in self._chunks(file):
                target.write(chunk)
                yield len(chunk)

    def _chunks(self, file: SourceFile) -> Iterator[bytes]:
        path = self._folder / file.path
        try:
            with path.open("rb") as handle:
                while chunk := handle.read(CHUNK):
                    yield chunk
        except OSError as error:
            raise SystemFault(f"{path} cannot be read ({error.strerror}).", "Change its permissions.") from error


def safe_path(path: str) -> str:
    """The path of a file inside a repository. Raises ModelError for one that leads out of the model's folder."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\\" in path or ":" in path or "\0" in path:
        raise ModelError(
            f'The source names a file "{path}", which would lie outside of the model\'s folder; nothing was fetched.',
            "Do not use this source.",
        )
    return path


def file_digest(path: Path, kind: str = "sha256") -> str:
    """Hex digest of a file; `git` is the sha1 that git names these bytes by (gitformat: "blob <size>\\0<bytes>")."""
    with path.open("rb") as handle:
        if kind == "sha256":
            return hashlib.file_digest(handle, "sha256").hexdigest()
        sha1 = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
        while chunk := handle.read(CHUNK):
            sha1.update(chunk)
        return sha1.hexdigest()


def _unlisted(error: OSError) -> None:
    raise SystemFault(
        f"The folder {error.filename} cannot be listed ({error.strerror}).", "Change its permissions."
    ) from error
