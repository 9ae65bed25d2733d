"""Which formats there are, and which one a file is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from clipsearch.errors import SystemFault, UsageError
from clipsearch.index.portable import PortableRow
from clipsearch.transfer import archive, parquet
from clipsearch.transfer.header import Header, Unreadable

Batches = Iterator[Sequence[PortableRow]]


@dataclass(frozen=True, slots=True)
class Format:
    name: str  # and the end of a file's name
    magic: bytes
    write: Callable[[Path, Header, Callable[[], Batches]], None]
    read_header: Callable[[Path], Header]
    read: Callable[[Path], Batches]
    check_installed: Callable[[], None] = lambda: None


FORMATS = (
    Format("parquet", parquet.MAGIC, parquet.write, parquet.read_header, parquet.read, parquet.check_installed),
    Format("npz", archive.MAGIC, archive.write, archive.read_header, archive.read),
)


def format_named(name: str | None, target: Path) -> Format:
    """The format of this name, or the one that a file's name ends with. Raises UsageError."""
    wanted = name or target.suffix.removeprefix(".").lower()
    for one in FORMATS:
        if one.name == wanted:
            one.check_installed()
            return one
    names = " or ".join(f".{one.name}" for one in FORMATS)
    raise UsageError(
        f"{target} does not say which format it shall have.",
        f"Use a name that ends in {names}; or --to lance for a library that many read.",
    )


def format_of(source: Path) -> Format:
    """The format that a file begins with. Raises SystemFault where it cannot be read, Unreadable where it is none."""
    try:
        with source.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise SystemFault(
            f"{source} cannot be read ({(error.strerror or str(error)).lower()}).", "Name a file of clipsearch export."
        ) from error
    for one in FORMATS:
        if start.startswith(one.magic):
            one.check_installed()
            return one
    raise Unreadable("it is no file of clipsearch export")
