"""Makers of rows and bundles, for the tests of all that writes or reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from clipsearch.bundles.folder import create_folder, seal, write_part
from clipsearch.bundles.rows import Copy, Header, Photo, Place, Row, Unread
from clipsearch.bundles.shard import ALL
from clipsearch.index.catalog import DESCRIPTION
from clipsearch.types import Metadata, SpaceIdentity
from tests.support.encoder import hashed_vector

DIM = 8
HEADER = Header(SpaceIdentity("hash-0-8", "starter", DIM), DESCRIPTION, "1.0", ALL)
ROOT = b"/photos"


def vector(content: bytes, dim: int = DIM) -> bytes:
    return hashed_vector(content, dim).astype("<f2").tobytes()


def photo(path: bytes, content: bytes | None = None, *, root: bytes = ROOT, mtime_ns: int = 1) -> Photo:
    """The same content has the same digest and vector."""
    content = path if content is None else content
    place = Place(root, path, len(content), mtime_ns, 7)
    return Photo(place, content.ljust(32, b".")[:32], Metadata(4, 3, "JPEG"), vector(content), "fake/hash")


def bundle(folder: Path, *parts: Sequence[Row], header: Header = HEADER) -> Path:
    """A whole bundle."""
    create_folder(folder)
    seal(folder, header, [write_part(folder, header, rows) for rows in parts])
    return folder


names = st.binary(min_size=1, max_size=12).filter(lambda one: not {0, 47} & set(one) and one not in (b".", b".."))
places = st.builds(
    Place,
    root=st.one_of(names.map(lambda name: b"/" + name), names.map(lambda name: b"s3://" + name)),
    path=st.lists(names, min_size=1, max_size=3).map(b"/".join),
    size=st.integers(0, 2**63 - 1),
    mtime_ns=st.integers(-(2**63), 2**63 - 1),
    inode=st.integers(-(2**63), 2**63 - 1),
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
maybe = st.none() | texts
metadata = st.builds(
    Metadata,
    width=st.integers(1, 2**31), height=st.integers(1, 2**31), format=texts,
    taken_at=maybe, taken_offset=maybe, camera=maybe, lens=maybe, title=maybe, description=maybe,
    latitude=st.none() | st.floats(-90, 90), longitude=st.none() | st.floats(-180, 180),
    colors=st.lists(texts, max_size=3).map(tuple), keywords=st.lists(texts, max_size=3).map(tuple),
    phash=st.none() | st.integers(-(2**63), 2**63 - 1), phash_fine=st.none() | st.binary(min_size=24, max_size=24),
    taken_ms=st.none() | st.integers(0, 999), rating=st.none() | st.integers(-1, 5),
)  # fmt: skip
digests = st.binary(min_size=32, max_size=32)
rows = st.one_of(
    st.builds(Photo, places, digests, metadata, st.binary(max_size=4).map(vector), texts),
    st.builds(Copy, places, digests),
    st.builds(Unread, places, texts.filter(bool), texts),
)


def unit(values: Sequence[float]) -> bytes:
    """f16 bytes, of whatever length they are."""
    return np.array(values, "<f2").tobytes()
