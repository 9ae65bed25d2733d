"""A shared library answers as the one it was exported from: the same hits, in the same order, with the same scores."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipsearch.index.annotations import Annotations
from clipsearch.index.catalog import Catalog
from clipsearch.index.nearest import Nearest
from clipsearch.library import Library
from clipsearch.opened import catalog_path, vectors_folder
from clipsearch.query import Query, Term, formatted
from clipsearch.shared import nearest as plans
from clipsearch.shared import store
from clipsearch.types import Answer
from tests.index.filled import new_root, stamp
from tests.index.test_filters import some_filters
from tests.shared.made import fill, made_vectors, own_paths, reader_paths, share

pytestmark = pytest.mark.skipif(find_spec("lance") is None, reason="the extra [lance] is not installed")


@dataclass(frozen=True)
class Pair:
    local: Library
    shared: Library
    base: Path


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    base = tmp_path_factory.mktemp("shared")
    paths = own_paths(base)
    fill(paths, 240)
    reader = reader_paths(share(paths, base / "store"), base / "elsewhere")
    with Library(replace(paths, models=reader.models)) as local, Library(reader) as shared:
        yield Pair(local, shared, base)


def told(answer: Answer) -> Answer:
    """What a person sees of it; how it was found and how long that took is each library's own."""
    return replace(answer, plan="", steps=())


words = st.builds(
    Term,
    st.sampled_from(["a dog on a beach", "lake", "harbour at night", "receipt"]),
    st.sampled_from([1.0, 2.0, -1.0]),
)
queries = st.builds(
    Query,
    st.lists(words, max_size=2, unique_by=lambda term: term.text).map(tuple),
    st.lists(some_filters, max_size=3).map(tuple),
    st.lists(st.sampled_from(["snow", "people"]), max_size=1).map(tuple),
).filter(lambda query: bool(query.terms or query.filters) and any(term.weight > 0 for term in query.terms) == bool(
    query.terms))  # fmt: skip
ways = st.fixed_dictionaries(
    {
        "k": st.sampled_from([0, 1, 5, 20, 50, 100]),
        "sort": st.sampled_from([None, "score", "date", "name"]),
        "under": st.sampled_from([None, b"/Photos", b"/mnt/caf\xe9", b"/Photos/a_b"]),
        "min_relevance": st.sampled_from([None, 0.0, 0.3]),
        "diverse": st.booleans(),
        "exact": st.booleans(),
    }
)


@settings(max_examples=60)
@given(queries, ways)
def test_any_query_with_any_filter_finds_the_same(pair: Pair, query: Query, how: dict[str, object]) -> None:
    """A newsroom that finds other photos than the archive trusts neither."""
    text = formatted(query)
    assert told(pair.shared.search(text, **how)) == told(pair.local.search(text, **how))  # type: ignore[arg-type]


def test_the_comparison_sees_photos(pair: Pair) -> None:
    """Nothing is equal to nothing: hits with copies, of disks that are away, and some that no filter keeps."""
    answer = pair.shared.search("lake", k=0)
    assert 180 < len(answer.hits) < 240
    assert any(hit.copies for hit in answer.hits) and any(hit.offline for hit in answer.hits)
    assert any(hit.same_as for hit in answer.hits) and len(pair.shared.search("label:receipt").hits) > 10


def test_all_else_that_a_library_tells_is_the_same(pair: Pair) -> None:
    """What is not told by an answer: photos, labels, failures, groups of duplicates, saved searches, vectors."""
    ours, theirs = pair.local, pair.shared
    for hit in ours.search("label:receipt", k=0).hits:
        assert theirs.photo(hit.path) == ours.photo(hit.path)
    assert theirs.failures() == ours.failures() != []
    assert list(theirs.duplicates()) == list(ours.duplicates()) != []
    assert theirs.saved_searches() == ours.saved_searches() != []
    assert told(theirs.search("@lake")) == told(ours.search("@lake"))
    labels = ["lake", "street"]
    assert list(theirs.classify(labels=labels)) == list(ours.classify(labels=labels)) != []
    local, shared = ours.status(), theirs.status()
    assert (shared.photos, shared.files, shared.failed, shared.roots, shared.space) == (
        local.photos, local.files, local.failed, local.roots, local.space
    )  # fmt: skip
    assert shared.library == f"lance:{pair.base / 'store'}"
    assert theirs.history() == []  # queries stay at home
    stored = [dict(zip(batch.paths, map(bytes, batch.vectors), strict=True)) for batch in theirs.vectors()]
    own = [dict(zip(batch.paths, map(bytes, batch.vectors), strict=True)) for batch in ours.vectors()]
    assert stored == own


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Large enough for Lance's own index, and several fragments."""
    base = tmp_path_factory.mktemp("indexed")
    paths = own_paths(base)
    fill(paths, 3000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "INDEX_ROWS", 1000)
        patch.setattr(store, "_FRAGMENT_BYTES", 1 << 20)
        patch.setattr(store, "_PARTITION_ROWS", 500)
        patch.setattr(plans, "FEW", 100)
        library = share(paths, base / "store")
        with Library(paths) as local, Library(reader_paths(library, base / "elsewhere")) as shared:
            yield Pair(local, shared, base)


@pytest.mark.parametrize("share_of", [1, 2, 7])
def test_what_the_index_finds_is_what_is_nearest(indexed: Pair, share_of: int) -> None:
    """A row number that is off by a fragment is another photo; an index that leaves photos out loses them silently."""
    space, catalog = indexed.shared._opened.space(), indexed.shared._opened.catalog
    plan, local = indexed.shared._opened.nearest, Nearest(vectors_folder(own_paths(indexed.base)))
    every = catalog.photos_matching((), date.today(), in_order=False)
    among = every[every % share_of == 0]
    found_of = 0
    with indexed.local._opened.another_reader() as ours:
        for vector in made_vectors(20, seed=5):
            if share_of == 1:
                found = plan.find(catalog, space, vector, 20, is_image=False)
                true = local.find(ours, space, vector, 20, is_image=False, exact=True)
            else:
                found = plan.find_among(catalog, space, vector, 20, among)
                true = local.find_among(ours, space, vector, 20, among, exact=True)
            assert "Lance index" in found.plan
            known = dict(zip(true.ids.tolist(), true.scores.tolist(), strict=True))
            both = [photo for photo in found.ids.tolist() if photo in known]
            scores = dict(zip(found.ids.tolist(), found.scores.tolist(), strict=True))
            assert [scores[photo] for photo in both] == [known[photo] for photo in both]
            assert share_of == 1 or set(found.ids.tolist()) <= set(among.tolist())
            found_of += len(both)
    assert found_of >= 0.95 * 20 * 20


def test_exact_looks_at_all_vectors_of_a_library_with_an_index(indexed: Pair) -> None:
    """`--exact` forces the truth, wherever the vectors are."""
    for text in ("harbour at night", "harbour at night camera:nikon", "lake -is:portrait"):
        assert told(indexed.shared.search(text, exact=True)) == told(indexed.local.search(text, exact=True))
    assert indexed.shared.search("lake", exact=True).plan == "exact"
    assert indexed.shared.search("lake").plan == "Lance index + re-rank"


def test_a_photo_is_looked_for_by_the_vector_in_the_store(tmp_path: Path) -> None:
    """`similar` of a photo that the store knows must not wait for a model, nor need one."""
    picture = tmp_path / "photos" / "a.jpg"
    picture.parent.mkdir()
    picture.write_bytes(b"not a picture: only its stored vector can answer")
    paths = own_paths(tmp_path)
    fill(paths, 30)
    status = picture.stat()
    with Catalog.open_writer(catalog_path(paths)) as catalog, catalog.transaction():
        root = new_root(catalog, os.fsencode(picture.parent))
        known = stamp(b"a.jpg", size=status.st_size, mtime_ns=status.st_mtime_ns)
        catalog.put_file(root.id, known, 7)
    with Library(reader_paths(share(paths, tmp_path / "store"), tmp_path / "elsewhere")) as shared:
        best, *_ = shared.similar(picture, k=3).hits
    assert os.fsencode(picture) in (best.path, *best.copies) and best.score == pytest.approx(1, abs=1e-3)


def test_labels_given_after_an_export_come_with_the_next_one(tmp_path: Path) -> None:
    """One version is one moment of the library."""
    paths = own_paths(tmp_path)
    fill(paths, 30)
    library = share(paths, tmp_path / "store")
    with Annotations.open_writer(catalog_path(paths)) as annotations:
        annotations.put_labels([(1, "new", 0.9)])
    with Library(reader_paths(library, tmp_path / "elsewhere")) as shared:
        assert not shared.search("label:new").hits
    share(paths, tmp_path / "store")
    with Library(reader_paths(library, tmp_path / "elsewhere")) as shared:
        assert len(shared.search("label:new").hits) == 1
