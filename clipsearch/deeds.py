"""What is done with photos that were found: open them, show where they lie, copy, link or list them elsewhere.

The photos themselves are only ever read, and no file that is there already is written over: a name that is taken
gets -2, -3, … before its ending.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from clipsearch.errors import SystemFault

ExportKind = Literal["copy", "link", "list"]
LIST_NAME = "photos.txt"
_OPENER_S = 1.0  # a program that cannot open a photo says so within this time


@dataclass(frozen=True, slots=True)
class Export:
    """A wish: these photos as copies, as symbolic links or as a list of their paths, in a folder."""

    kind: ExportKind
    folder: Path


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export has made. `missing` are photos that could not be read, which others do not suffer from."""

    made: int
    target: Path  # the folder, or the list in it
    missing: tuple[bytes, ...] = ()


def open_photos(paths: Sequence[bytes]) -> None:
    """Opens photos with the system's program for them. Raises SystemFault when there is none."""
    for path in paths:
        _existing(path)
        _started([_opener(), path])


def reveal(path: bytes) -> None:
    """Shows a photo in its folder. Raises SystemFault."""
    _existing(path)
    if sys.platform == "darwin":
        _started(["open", "-R", path])
    else:
        _started([_opener(), os.path.dirname(path)])


def exported(paths: Sequence[bytes], export: Export) -> Exported:
    """Makes the copies, the links or the list. Raises SystemFault when the folder cannot be written."""
    folder = Path(os.path.abspath(os.path.expanduser(export.folder)))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if export.kind == "list":
            target = _taken(folder, os.fsencode(LIST_NAME), lambda name: _write(name, b"\n".join([*paths, b""])))
            return Exported(len(paths), target)
        place = _copied if export.kind == "copy" else os.symlink
        missing = []
        for path in paths:
            if not os.path.isfile(path):
                missing.append(path)
                continue
            _taken(folder, os.path.basename(path), lambda name, path=path: place(path, name))  # type: ignore[misc]
        return Exported(len(paths) - len(missing), folder, tuple(missing))
    except OSError as error:
        raise SystemFault(
            f"{error.filename or folder} cannot be written ({error.strerror}).", "Choose another folder."
        ) from error


def _taken(folder: Path, name: bytes, make: Callable[[bytes], object]) -> Path:
    """The path that `make` has made, under the first free name; it raises FileExistsError for one that is not."""
    stem, ending = os.path.splitext(name)
    for number in itertools.count(1):
        candidate = name if number == 1 else stem + f"-{number}".encode() + ending
        path = os.path.join(os.fsencode(folder), candidate)
        try:
            make(path)
        except FileExistsError:
            continue
        return Path(os.fsdecode(path))
    raise AssertionError("there is always one more number")


def _write(path: bytes, content: bytes) -> None:
    with open(path, "xb") as target:
        target.write(content)


def _copied(source: bytes, path: bytes) -> None:
    with open(source, "rb") as photo, open(path, "xb") as target:
        shutil.copyfileobj(photo, target)
    shutil.copystat(source, path)


def _existing(path: bytes) -> None:
    if not os.path.exists(path):
        raise SystemFault(
            f"{os.fsdecode(path)} is not there.", "Plug in its disk, or bring the library up to date: clipsearch index"
        )


def _opener() -> str:
    if sys.platform == "darwin":
        return "open"
    if shutil.which("xdg-open") is None:
        raise SystemFault(
            "This machine has no xdg-open, so it cannot open photos.", "Install xdg-utils; y copies the path."
        )
    return "xdg-open"


def _started(command: Sequence[str | bytes]) -> None:
    """Starts a program that outlives us and is silent on our screen. Raises SystemFault when it fails."""
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
    try:
        code = process.wait(_OPENER_S)
    except subprocess.TimeoutExpired:
        process.returncode = 0  # a viewer that stays is one that works; Python need not warn that nobody waits for it
        return
    if code:
        raise SystemFault(
            f"{os.fsdecode(command[0])} could not open {os.fsdecode(command[-1])} (it ended with {code}).",
            "y copies the path.",
        )
