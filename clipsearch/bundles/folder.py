"""The folder of a bundle: parts that appear whole, the manifest that comes last, and both read back, checked.

Needs no lock: many may write parts at once, on one machine or on several (B1). One of them seals, when all are done.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

from clipsearch.bundles import table
from clipsearch.bundles.header import Manifest, Part, is_part_name, manifest_of, manifest_text, part_name
from clipsearch.bundles.rows import Copy, Header, NoBundle, Photo, Row, Unreadable, wrong_place
from clipsearch.errors import SystemFault, UsageError
from clipsearch.files import publish, write_whole

MANIFEST = "bundle.json"
MOST_ROWS = table.MOST_GROUP_ROWS  # in a part, which its readers hold whole
_MOST_BYTES = 1 << 30


def create_folder(folder: Path) -> None:
    """Makes it, empty or begun. Raises SystemFault, and UsageError without pyarrow and for a folder of other things."""
    table.check_installed()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        names = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise _unwritable(folder, error) from error
    if any(map(is_part_name, names)):
        return
    if MANIFEST not in names and names:
        raise UsageError(
            f"{folder} holds other things, and is no bundle.", "Name an empty folder, or one that is not there yet."
        )
    if MANIFEST in names:
        try:
            read_manifest(folder)  # of an empty share
        except Unreadable as error:
            raise UsageError(
                f"{folder / MANIFEST} is no file of clipsearch: {error}.", "Name another folder for the bundle."
            ) from error


def remove_torn(folder: Path) -> None:
    """Removes what killed writers have left of parts. Only for who knows that nobody else writes there."""
    for path in folder.glob(".part-*.new"):
        path.unlink(missing_ok=True)


def write_part(folder: Path, header: Header, rows: Sequence[Row]) -> Part:
    """Writes 1 to MOST_ROWS rows; when it returns, they outlive a power cut.

    Raises SystemFault where the disk refuses, ValueError for a place that no library could have.
    """
    assert 0 < len(rows) <= MOST_ROWS, len(rows)
    for row in rows:
        if wrong := wrong_place(row.place):
            raise ValueError(f"{wrong}: {row.place}")
    content = table.table_bytes(header, rows)
    part = Part(
        name=part_name(hashlib.sha256(content).hexdigest()),
        bytes=content.size,
        photos=sum(isinstance(row, Photo) for row in rows),
        copies=sum(isinstance(row, Copy) for row in rows),
        unread=sum(not isinstance(row, (Photo, Copy)) for row in rows),
    )
    temporary = folder / f".part-{secrets.token_hex(8)}.new"  # not by process: machines share the folder
    try:
        try:
            temporary.write_bytes(content)
            publish(temporary, folder / part.name)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return part


def seal(folder: Path, header: Header, parts: Sequence[Part]) -> Manifest:
    """Makes these parts a whole bundle (B2); one that was sealed before becomes the new one at once."""
    manifest = Manifest(header, tuple(sorted(parts, key=lambda part: part.name)))
    try:
        write_whole(folder / MANIFEST, manifest_text(manifest).encode())
    except OSError as error:
        raise _unwritable(folder, error) from error
    return manifest


def is_sealed(folder: Path) -> bool:
    return (folder / MANIFEST).exists()


def parts_in(folder: Path) -> list[tuple[Header, Part]]:
    """Every part that a folder has, sealed or not. Raises Unreadable, with the name of the part."""
    found = []
    for path in sorted(folder.iterdir()):
        if is_part_name(path.name):
            try:
                header, photos, copies, unread = table.read_header(path)
            except Unreadable as error:
                raise type(error)(f"{path.name}: {error}") from error
            found.append((header, Part(path.name, path.stat().st_size, photos, copies, unread)))
    return found


def read_manifest(folder: Path) -> Manifest:
    """Raises Unreadable for what is no whole bundle, SystemFault where the disk refuses."""
    table.check_installed()
    try:
        return manifest_of((folder / MANIFEST).read_bytes())
    except FileNotFoundError as error:
        if folder.is_dir() and any(is_part_name(path.name) for path in folder.iterdir()):
            raise Unreadable("it is not finished: the command that writes it finishes it when run again") from error
        raise NoBundle("it has no bundle.json, so it is no bundle, or one that is not finished") from error
    except NotADirectoryError as error:
        raise NoBundle("it is no bundle, which is a folder") from error
    except OSError as error:
        raise SystemFault(
            f"{folder} cannot be read ({error.strerror or error}).", "Check the folder's disk."
        ) from error


def check_parts(folder: Path, manifest: Manifest) -> None:
    """Whether every part is there, as long as it was written. Raises Unreadable."""
    for part in manifest.parts:
        _check_size(folder, part)


def read_part(folder: Path, part: Part, header: Header | None = None) -> Iterator[list[Row]]:
    """The rows of a part, batch by batch, of bytes whose checksum was right. Raises Unreadable.

    With a `header` the part must be of the same model and description.
    """
    _check_size(folder, part)
    content = (folder / part.name).read_bytes()
    if hashlib.sha256(content).hexdigest() != part.sha256:
        raise Unreadable(f"{part.name} is damaged")
    said, photos, copies, unread = table.read_header(content)
    if header is not None and (said.model != header.model or said.description != header.description):
        raise Unreadable(f"{part.name} belongs to another bundle")
    if (photos, copies, unread) != (part.photos, part.copies, part.unread):
        raise Unreadable(f"{part.name} does not hold what bundle.json says")
    yield from table.read_rows(content)


def _check_size(folder: Path, part: Part) -> None:
    try:
        size = (folder / part.name).stat().st_size
    except FileNotFoundError as error:
        raise Unreadable(f"{part.name} is missing") from error
    if size != part.bytes or size > _MOST_BYTES:
        raise Unreadable(f"{part.name} is {size:,} bytes long, and was written with {part.bytes:,}")


def _unwritable(folder: Path, error: OSError) -> SystemFault:
    return SystemFault(
        f"The bundle {folder} cannot be written ({(error.strerror or os.strerror(error.errno or 0)).lower()}).",
        "Free some space or choose another folder, and run the same command again; what was written is kept.",
    )
