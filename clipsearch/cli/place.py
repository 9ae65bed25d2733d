"""Photos into a folder, as copies or links: a free name for each, never over something that is there.

Says in one line what it did. Which photos these are is not known here.
"""

from __future__ import annotations

import filecmp
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from clipsearch.cli import output
from clipsearch.cli.voice import is_verbose
from clipsearch.errors import SystemFault


def copy_all(paths: Sequence[bytes], folder: Path) -> bool:
    """Copies with the times of their sources; a name whose file has the same content is not copied again."""
    return _place_all(paths, folder, _copy, _same_content, "Copied", "to")


def link_all(paths: Sequence[bytes], folder: Path) -> bool:
    """Symbolic links to the absolute paths; a link that leads there already is not made again."""
    return _place_all(paths, folder, _link, _links_to, "Linked", "in")


def _place_all(
    paths: Sequence[bytes],
    folder: Path,
    place: Callable[[bytes, bytes], None],
    is_there: Callable[[bytes, bytes], bool],
    did: str,
    where: str,
) -> bool:
    """One file a path in `folder`, under a free name; a path that `is_there` already gets none."""
    _make(folder)
    placed = renamed = known = 0
    failures = []
    for path in paths:
        try:
            target, is_new = _placed(path, os.fsencode(folder), place, is_there)
        except OSError as error:
            failures.append(f"clipsearch: {output.shown(path)} was left out: {error.strerror or error}")
            continue
        placed += is_new
        known += not is_new
        renamed += is_new and os.path.basename(target) != os.path.basename(path)
        if is_new and is_verbose():
            output.narrate(f"{output.shown(path)} -> {output.shown(target)}")
    notes = f"{did} {placed:,} photo{'' if placed == 1 else 's'} {where} {output.shown(os.fsencode(folder))}"
    notes += f", {renamed:,} under another name" if renamed else ""
    notes += f"; {known:,} {'was' if known == 1 else 'were'} there already" if known else ""
    output.narrate(notes + ".")
    for failure in failures:
        output.tell(failure)
    return not failures


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SystemFault(
            f"The folder {folder} cannot be made ({error.strerror}).", "Name a folder in a place you may write to."
        ) from error


def _placed(
    path: bytes, folder: bytes, place: Callable[[bytes, bytes], None], is_there: Callable[[bytes, bytes], bool]
) -> tuple[bytes, bool]:
    """The file that now stands for `path` in `folder`, and whether it is new. Raises OSError."""
    for name in _names(os.path.basename(path)):
        target = os.path.join(folder, name)
        try:
            place(path, target)
        except FileExistsError:
            if is_there(path, target):
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


def _link(source: bytes, target: bytes) -> None:
    os.symlink(source, target)


def _links_to(source: bytes, target: bytes) -> bool:
    return os.path.islink(target) and os.readlink(target) == source
