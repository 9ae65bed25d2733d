"""Files of public git repositories at pinned commits.

A `Pinned` reads the files of one commit, and checks those whose sha256 is known. The repository comes from a folder
of clones (`OWNER+NAME`, or `OWNER+NAME/repo`) where that has the commit, and is fetched from GitHub otherwise.
Knows nothing of what the files hold.
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# A clone that lacks a file must say so, not fetch it in silence.
ENVIRONMENT = {**os.environ, "GIT_NO_LAZY_FETCH": "1"}


@dataclass(frozen=True)
class Pinned:
    """One commit of a repository whose clone lies in `clone`."""

    name: str  # OWNER/NAME
    commit: str
    clone: Path
    sha256: Mapping[str, str]  # of paths in the repository

    def read(self, path: str) -> bytes:
        """The bytes of a file that is named in `sha256`."""
        content = _git(self.clone, "show", f"{self.commit}:{path}")
        if hashlib.sha256(content).hexdigest() != self.sha256[path]:
            raise ValueError(f"{self.name}@{self.commit[:7]} {path}: not the file whose sha256 is on record")
        return content

    def check(self) -> None:
        """Every file on record is the one that was used."""
        for path in self.sha256:
            self.read(path)

    def paths(self) -> list[str]:
        """All paths of the commit, in git's order."""
        listing = _git(self.clone, "ls-tree", "-r", "-z", "--name-only", self.commit)
        return [path for path in listing.decode().split("\0") if path]

    def texts_under(self, folder: str) -> Iterator[tuple[str, str]]:
        """(path, text) of the files in a folder, in git's order; the commit alone vouches for them."""
        content = _git(self.clone, "archive", f"--prefix={folder}/", f"{self.commit}:{folder}")
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for member in archive:
                inside = archive.extractfile(member)
                if inside is not None:
                    yield member.name, inside.read().decode("utf-8", "replace")


def pinned(source: Mapping[str, Any], work: Path, clones: Path | None) -> Pinned:
    """The repository of a table of text_sources.toml, from `clones` or fetched into `work`/repositories; checked."""
    name, commit = source["repository"], source["commit"]
    folder = name.replace("/", "+")
    places = [] if clones is None else [clones / folder, clones / folder / "repo"]
    fetched = work / "repositories" / folder
    place = next((place for place in [*places, fetched] if _has(place, commit)), None)
    if place is None:
        place = fetched
        place.mkdir(parents=True, exist_ok=True)
        _git(place, "init", "--quiet")
        _git(place, "fetch", "--quiet", "--depth", "1", f"https://github.com/{name}", commit)
    repository = Pinned(name, commit, place, source["sha256"])
    repository.check()
    return repository


def _has(clone: Path, commit: str) -> bool:
    # A folder without a repository of its own would answer for one that lies around it.
    own = (clone / ".git").exists() or (clone / "HEAD").exists()
    command = ["git", "-C", str(clone), "cat-file", "-e", f"{commit}^{{commit}}"]
    return own and subprocess.run(command, env=ENVIRONMENT, stderr=subprocess.DEVNULL).returncode == 0


def _git(clone: Path, *arguments: str) -> bytes:
    command = ["git", "-C", str(clone), *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, env=ENVIRONMENT, check=True).stdout
