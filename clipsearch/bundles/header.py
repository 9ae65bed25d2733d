"""Header and manifest as JSON that says when it is damaged or newer than this program. Pure.

A newer FORMAT is refused: what it holds besides would be dropped in silence.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clipsearch.bundles.rows import Header, Newer, Place, Unreadable, wrong_place
from clipsearch.bundles.shard import shard_named
from clipsearch.errors import UsageError
from clipsearch.named_bytes import bytes_named, named_bytes
from clipsearch.types import SpaceIdentity

FORMAT = 1
KEY = "clipsearch.bundle"  # of the schema metadata of a part

_NONSENSE = (ValueError, KeyError, TypeError, AttributeError, RecursionError, UsageError)
_PART_NAME = re.compile(r"part-[0-9a-f]{64}\.parquet")


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a bundle; its name has the SHA-256 of its bytes."""

    name: str
    bytes: int
    photos: int
    copies: int
    unread: int

    @property
    def rows(self) -> int:
        return self.photos + self.copies + self.unread

    @property
    def sha256(self) -> str:
        return self.name.removeprefix("part-").removesuffix(".parquet")


@dataclass(frozen=True, slots=True)
class Manifest:
    """A whole bundle."""

    header: Header
    parts: tuple[Part, ...]

    @property
    def rows(self) -> int:
        return self.photos + self.copies + self.unread

    @property
    def photos(self) -> int:
        return sum(part.photos for part in self.parts)

    @property
    def copies(self) -> int:
        return sum(part.copies for part in self.parts)

    @property
    def unread(self) -> int:
        return sum(part.unread for part in self.parts)


def part_name(sha256: str) -> str:
    return f"part-{sha256}.parquet"


def is_part_name(name: str) -> bool:
    return _PART_NAME.fullmatch(name) is not None


def header_text(header: Header, *, photos: int, copies: int, unread: int) -> str:
    """What a part says of itself."""
    return _checked_text({**_header_fields(header), "photos": photos, "copies": copies, "unread": unread})


def header_of(text: str | bytes) -> tuple[Header, int, int, int]:
    """(header, photos, copies, unread). Raises Unreadable; Newer for one of a newer program."""
    fields = _checked_fields(text)
    try:
        return _header(fields), _count(fields["photos"]), _count(fields["copies"]), _count(fields["unread"])
    except _NONSENSE as error:
        raise Unreadable("it has no header of clipsearch") from error


def manifest_text(manifest: Manifest) -> str:
    parts = [
        {"name": one.name, "bytes": one.bytes, "photos": one.photos, "copies": one.copies, "unread": one.unread}
        for one in manifest.parts
    ]
    return _checked_text({**_header_fields(manifest.header), "parts": parts})


def manifest_of(text: str | bytes) -> Manifest:
    """Raises Unreadable; Newer for one of a newer program."""
    fields = _checked_fields(text)
    try:
        parts = tuple(
            Part(*(one[name] for name in ("name", "bytes", "photos", "copies", "unread"))) for one in fields["parts"]
        )
        for part in parts:
            if not is_part_name(part.name):
                raise ValueError(part.name)
            for number in (part.bytes, part.photos, part.copies, part.unread):
                _count(number)
        return Manifest(_header(fields), parts)
    except _NONSENSE as error:
        raise Unreadable("its bundle.json is not one of clipsearch") from error


def _header_fields(header: Header) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "program": header.program,
        "model": header.model.model,
        "fingerprint": header.model.fingerprint,
        "dim": header.model.dim,
        "description": header.description,
        "shard": str(header.shard),
        "folders": [{**named_bytes("root", root), "exclude": list(exclude)} for root, exclude in header.folders],
    }


def _header(fields: Mapping[str, Any]) -> Header:
    dim = _count(fields["dim"])
    if not 0 < dim <= 1 << 16:
        raise ValueError(dim)
    return Header(
        model=SpaceIdentity(_text(fields["fingerprint"]), _text(fields["model"]), dim),
        description=_count(fields["description"]),
        program=_text(fields["program"]),
        shard=shard_named(_text(fields["shard"])),
        folders=tuple((_folder(one), tuple(map(_text, one["exclude"]))) for one in fields["folders"]),
    )


def _folder(fields: Mapping[str, Any]) -> bytes:
    root = bytes_named("root", fields)
    if wrong := wrong_place(Place(root, b"name")):
        raise ValueError(wrong)
    return root


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
        raise ValueError(value)
    return value


def _checked_text(fields: dict[str, Any]) -> str:
    return json.dumps({**fields, "crc32": _crc(fields)}, indent=1)


def _checked_fields(text: str | bytes) -> dict[str, Any]:
    try:
        fields = json.loads(text)
        crc = fields.pop("crc32")
        if not isinstance(fields["format"], int) or _crc(fields) != crc:
            raise Unreadable("its header is damaged")
        if fields["format"] > FORMAT:
            raise Newer(f"it was written by a newer clipsearch ({fields['program']})")
    except _NONSENSE as error:
        raise Unreadable("it has no header of clipsearch") from error
    return dict(fields)


def _crc(fields: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode())
