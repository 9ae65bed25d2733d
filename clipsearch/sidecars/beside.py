"""Which sidecar is a photo's, what a label would change in it, and writing that.

`photo.jpg.xmp` is what darktable and digiKam read and write, and what immich prefers; `photo.xmp` is Adobe's, which may
belong to several photos of one name. So what exists is taken where it is one photo's only, and new ones are called
`photo.jpg.xmp`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from clipsearch.decoding.names import is_listed, is_raw
from clipsearch.files import write_whole
from clipsearch.sidecars.packet import UnreadableSidecar, with_label
from clipsearch.types import FailedFile, LabelSet

LabelPath = tuple[str, ...]  # from the broadest group to the label itself
Kind = Literal["made", "changed", "unchanged"]
_SUFFIXES = (b".xmp", b".XMP")


@dataclass(frozen=True, slots=True)
class Change:
    """What a label would do to the sidecar of a photo."""

    photo: bytes
    sidecar: bytes
    kind: Kind
    label: str | None


class Sidecars:
    """The sidecars of photos that are labelled with one set."""

    def __init__(self, labels: LabelSet) -> None:
        self._paths = _paths_of(labels)
        self._names: tuple[bytes, list[bytes]] = b"", []  # of the folder that was looked at last

    def planned(self, labelled: Iterable[tuple[bytes, str | None]]) -> Iterator[Change | FailedFile]:
        """Of each (photo, label or None) what would be done. A failure is a sidecar's, or its folder's."""
        for photo, label in labelled:
            sidecar = self.sidecar_of(photo)
            try:
                content = self._changed(photo, sidecar, label)
                if content is not None and not os.access(os.path.dirname(sidecar), os.W_OK):
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            except (OSError, UnreadableSidecar) as error:
                yield _failure(sidecar, error)
                continue
            made: Kind = "changed" if os.path.exists(sidecar) else "made"
            yield Change(photo, sidecar, "unchanged" if content is None else made, label)

    def write(self, change: Change) -> FailedFile | None:
        """What was planned, of the sidecar as it is now; why not, where it cannot be."""
        try:
            content = self._changed(change.photo, change.sidecar, change.label)
            if content is not None:
                write_whole(Path(os.fsdecode(change.sidecar)), content)
        except (OSError, UnreadableSidecar) as error:
            return _failure(change.sidecar, error)
        return None

    def sidecar_of(self, photo: bytes) -> bytes:
        """The one that is there, `photo.jpg.xmp` first; `photo.xmp` only where no other photo may mean it too."""
        stem = os.path.splitext(photo)[0]
        for suffix in _SUFFIXES:
            if os.path.lexists(photo + suffix):
                return photo + suffix
        for suffix in _SUFFIXES:
            if os.path.lexists(stem + suffix) and not self._has_rivals(photo):
                return stem + suffix
        return photo + _SUFFIXES[0]

    def _has_rivals(self, photo: bytes) -> bool:
        """Whether `photo.xmp` may be another photo's: of `photo.jpg` and a RAW it is the RAW's, of two RAWs nobody's.

        Beside `photo.cr2.jpg`, as converters call theirs, `photo.cr2.xmp` is that of `photo.cr2`.
        """
        folder, name = os.path.split(photo)
        if self._names[0] != folder:
            self._names = folder, [one for one in os.listdir(folder) if is_listed(one)]
        stem = os.path.splitext(name)[0]
        namesakes = [one for one in self._names[1] if one != name and os.path.splitext(one)[0] == stem]
        return stem in self._names[1] or any(is_raw(one) or not is_raw(name) for one in namesakes)

    def _changed(self, photo: bytes, sidecar: bytes, label: str | None) -> bytes | None:
        if not os.path.exists(photo):
            raise FileNotFoundError(errno.ENOENT, "its photo is not there now")
        path: LabelPath = self._paths[label] if label is not None else ()
        try:
            with open(sidecar, "rb") as handle:
                packet = handle.read()
        except FileNotFoundError:
            if os.path.islink(sidecar):
                raise UnreadableSidecar("it is a link to a file that is not there") from None
            packet = None
        return with_label(packet, path, list(self._paths.values()))


def _paths_of(labels: LabelSet) -> dict[str, LabelPath]:
    """Label -> the groups above it from the broadest, and itself."""
    above = {label.name: label.under for label in (*labels.labels, *labels.groups)}
    return {name: _path(name, above) for name in above}


def _path(name: str, above: dict[str, str | None]) -> LabelPath:
    path = [name]
    while (group := above[path[-1]]) is not None:
        path.append(group)
    return tuple(reversed(path))


def _failure(sidecar: bytes, error: OSError | UnreadableSidecar) -> FailedFile:
    """Of the folder, where that is the matter: the same for all that lies in it."""
    folder = os.path.dirname(sidecar)
    if not os.path.isdir(folder):
        return FailedFile(folder, "the folder is not there now", 1)
    if not os.access(folder, os.W_OK):
        return FailedFile(folder, "the folder is read-only", 1)
    return FailedFile(sidecar, (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error), 1)
