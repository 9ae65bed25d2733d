"""What is done with photos that were found: open them, show where they lie, copy, link or list them elsewhere.

The photos themselves are only ever read, and nothing that is there already is written over: a name that is taken
gets -2, -3, … before its ending. Says nothing to a person; the command line and the interface do.
"""

from __future__ import annotations

import filecmp
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from clipsearch.errors import SystemFault

PlaceKind = Literal["copy", "link"]
LIST_NAME = "photos.txt"
_OPENER_S = 1.0  # a program that cannot open a photo says so within this time


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of one photo that was to be copied or linked."""

    photo: bytes
    target: bytes | None  # the file that now stands for it; None if there is none
    is_new: bool = False  # False too where that file was there already
    reason: str = ""  # why there is none

    @property
    def is_renamed(self) -> bool:
        return self.is_new and os.path.basename(self.target or b"") != os.path.basename(self.photo)


def placed(photos: Sequence[bytes], kind: PlaceKind, folder: Path) -> Iterator[Placed]:
    """Copies of photos with their times, or symbolic links to them, one after the other, in `folder`, made if new.

    A copy of the same content or a link to the same file is not made again. Raises SystemFault for a folder that
    cannot be made.
    """
    _make(folder)
    place, is_there = (_copy, _same_content) if kind == "copy" else (os.symlink, _links_to)
    for photo in photos:
        try:
            yield Placed(photo, *_place(photo, os.fsencode(folder), place, is_there))
        except OSError as error:
            yield Placed(photo, None, reason=error.strerror or str(error))


def listed(photos: Sequence[bytes], folder: Path) -> Path:
    """A new file in `folder` with one path a line, in the disk's own bytes. Raises SystemFault."""
    _make(folder)
    content = b"\n".join([*photos, b""])

    def write(_: bytes, target: bytes) -> None:
        with open(target, "xb") as new:
            new.write(content)

    try:
        target, _ = _place(os.fsencode(LIST_NAME), os.fsencode(folder), write, lambda *_: False)
    except OSError as error:
        raise SystemFault(f"{folder} cannot be written ({error.strerror}).", "Choose another folder.") from error
    return Path(os.fsdecode(target))


def opened(photos: Sequence[bytes]) -> list[tuple[bytes, int]]:
    """Opens photos with the system's program for them; those it could not open, with the code it ended with.

    Raises SystemFault when there is no such program. Not click.launch: its viewer keeps our stdout open, and a reader
    in a pipe would wait for its end.
    """
    if sys.platform == "win32":
        for photo in photos:
            os.startfile(os.fsdecode(photo))
        return []
    started = [(photo, _started([opener(), photo])) for photo in photos]
    until = time.monotonic() + _OPENER_S
    return [(photo, code) for photo, process in started if (code := _code_by(process, until))]


def reveal(photo: bytes) -> int:
    """Shows a photo in its folder; 0, or the code that the program ended with. Raises SystemFault without one."""
    command: list[str | bytes] = (
        ["open", "-R", photo] if sys.platform == "darwin" else [opener(), os.path.dirname(photo)]
    )
    return _code_by(_started(command), time.monotonic() + _OPENER_S)


def opener() -> str:
    """The program that opens a file as the system would."""
    return "open" if sys.platform == "darwin" else "xdg-open"


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SystemFault(
            f"The folder {folder} cannot be made ({error.strerror}).", "Name a folder in a place you may write to."
        ) from error


def _place(
    photo: bytes, folder: bytes, place: Callable[[bytes, bytes], None], is_there: Callable[[bytes, bytes], bool]
) -> tuple[bytes, bool]:
    """The file that now stands for `photo` in `folder`, and whether it is new. Raises OSError."""
    for name in _names(os.path.basename(photo)):
        target = os.path.join(folder, name)
        try:
            place(photo, target)
        except FileExistsError:
            if is_there(photo, target):
                return target, False
        else:
            return target, True
    raise AssertionError("names never end")


def _names(name: bytes) -> Iterator[bytes]:
    """a.jpg, a-2.jpg, a-3.jpg, …"""
    yield name
    stem, ending = os.path.splitext(name)
    number = 2
    while True:
        yield b"%s-%d%s" % (stem, number, ending)
        number += 1


def _copy(source: bytes, target: bytes) -> None:
    """A copy with the times of the source; FileExistsError where there is something already, even a broken link."""
    with open(source, "rb") as content, open(target, "xb") as copy:
        try:
            shutil.copyfileobj(content, copy, 1 << 20)
        except BaseException:
            os.unlink(target)  # half a photo is none
            raise
        times = os.fstat(content.fileno())
    # Times only: a copy may be written to, and a memory card knows no permissions.
    os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))


def _same_content(source: bytes, target: bytes) -> bool:
    return os.path.isfile(target) and filecmp.cmp(source, target, shallow=False)


def _links_to(source: bytes, target: bytes) -> bool:
    return os.path.islink(target) and os.readlink(target) == source


def _started(command: Sequence[str | bytes]) -> subprocess.Popen[bytes]:
    null = subprocess.DEVNULL
    try:
        # In a session of its own, so that Ctrl-C here closes no picture there.
        return subprocess.Popen(command, stdin=null, stdout=null, stderr=null, start_new_session=True)
    except FileNotFoundError:
        raise SystemFault(
            f"There is no program {os.fsdecode(command[0])} here to open photos with.",
            "Install xdg-utils, or name your viewer: clipsearch search … --exec 'viewer {}'",
        ) from None


def _code_by(process: subprocess.Popen[bytes], until: float) -> int:
    try:
        return process.wait(max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.returncode = 0  # a viewer that stays is one that works; Python need not warn that nobody waits for it
        return 0
