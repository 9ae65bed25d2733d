"""A file into a library, by the bytes of each photo: what is there stays, what is not is added, twice adds nothing.

All of it is one transaction: a file that is damaged at its end, a full disk, a kill leave the library as it was.
Files of roots that are not on this machine are offline; `relocate` says where they lie here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from clipsearch.config import Paths
from clipsearch.errors import SystemFault
from clipsearch.index.portable import Merged, PortableCatalog, PortableRow, UnfitRow, wrong_vector
from clipsearch.index.spaces import Space
from clipsearch.transfer.arrival import arriving, check_space, renew_checkpoint
from clipsearch.transfer.formats import format_of
from clipsearch.transfer.header import Header, Unreadable
from clipsearch.types import AnyPath


@dataclass(frozen=True, slots=True)
class Imported:
    """What was added; `known` photos were there already."""

    photos: int
    known: int
    vectors: int
    files: int
    labels: int
    failures: int
    searches: int
    offline: tuple[bytes, ...]  # roots of its photos that are not on this machine


def imported(paths: Paths, source: AnyPath, progress: Callable[[int, int], None]) -> Imported:
    """What Library.import_ documents."""
    file = Path(os.path.abspath(os.fsdecode(source)))
    try:
        form = format_of(file)
        header = form.read_header(file)
        with arriving(paths, "clipsearch import", PortableCatalog) as catalog:
            catalog.expect_many()
            with catalog.transaction():
                active = catalog.active_space()
                check_space(active, header.space, file, "import FILE")
                space = active or catalog.space_for(header.space)
                done = _merged(catalog, space, form.read(file), header, progress)
            renew_checkpoint(paths, catalog, space)
    except (Unreadable, UnfitRow) as error:
        raise SystemFault(
            f"{file} cannot be imported: {error}. The library is as it was.",
            "Name a whole file of clipsearch export, or export it again.",
        ) from error
    return done


def _merged(
    catalog: PortableCatalog,
    space: Space,
    batches: Iterator[Sequence[PortableRow]],
    header: Header,
    progress: Callable[[int, int], None],
) -> Imported:
    places = [catalog.place_for(root.path, is_file=root.is_file, exclude=root.exclude) for root in header.roots]
    columns = header.columns
    if unknown := {column.name for column in columns} - {column.name for column in catalog.photo_columns()}:
        raise Unreadable(f"nobody knows what {', '.join(sorted(unknown))} of a photo is")
    done, read, photos = Merged(), 0, 0
    for rows in batches:
        _check(rows, header)
        catalog.merge(rows, columns, space, places, done)
        read += len(rows)
        photos += sum(row.digest is not None for row in rows)
        progress(read, header.rows)
    searches = catalog.merge_searches(header.searches, datetime.now(UTC).isoformat(timespec="seconds"))
    catalog.record_event("import", {"photos": done.photos, "files": done.files})
    here = {place.root_id for place in places}
    offline = {root.path for root in catalog.roots() if root.id in here and not os.path.exists(root.path)}
    return Imported(
        photos=done.photos, known=photos - done.photos, vectors=done.vectors, files=done.files, labels=done.labels,
        failures=done.failures, searches=searches, offline=tuple(sorted(offline)),
    )  # fmt: skip


def _check(rows: Sequence[PortableRow], header: Header) -> None:
    """Raises Unreadable for what no library would have written."""
    if wrong := wrong_vector(rows, header.space.dim):
        raise Unreadable(wrong)
    for row in rows:
        if (row.digest is None) == (row.reason is None) or (row.digest is not None and len(row.digest) != 32):
            raise Unreadable("a row is neither a photo nor a file that could not be read")
        for file in row.files:
            if not 0 <= file.root < len(header.roots) or not _is_name(file.name) or not _is_below(file.folder):
                raise Unreadable("a file lies in no folder of it")


def _is_name(name: bytes) -> bool:
    return bool(name) and b"/" not in name and b"\0" not in name and name not in (b".", b"..")


def _is_below(folder: bytes) -> bool:
    return not folder or all(map(_is_name, folder.split(b"/")))
