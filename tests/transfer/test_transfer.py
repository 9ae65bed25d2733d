"""A library in a file, and back: the same answers, whatever it holds; and nothing of a file that is not whole."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipsearch.errors import ClipsearchError, LibraryError, ModelError, SystemFault, UsageError
from clipsearch.index import portable, schema
from clipsearch.index.annotations import Annotations
from clipsearch.index.catalog import Catalog
from clipsearch.opened import catalog_path
from clipsearch.transfer import formats, header
from clipsearch.types import Metadata, SpaceIdentity
from tests.index.filled import DIM, new_root, stamp
from tests.support.encoder import hashed_vector
from tests.transfer.content import content
from tests.upkeep.kept import Kept

FORMS = ("parquet", "npz")


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    made = Kept(tmp_path / "first")
    made.add(*range(6))
    made.add(10, 11, folder="trip")
    shutil.copy(made.photos / "001.jpg", made.photos / "trip" / "copy.jpg")
    (made.photos / "broken.jpg").write_bytes(b"broken")
    made.index(made.photos)
    with made.library as library:
        library.set_labels([(made.photos / "001.jpg", "cat", 0.25), (made.photos / "002.jpg", "dog", 1.0)])
        library.save_search("cats", "label:cat")
    return made


def export(kept: Kept, name: str) -> Path:
    with kept.library as library:
        return library.export(kept.base / name).file


@pytest.mark.parametrize("form", FORMS)
def test_a_library_from_a_file_answers_the_same_and_knows_its_photos(kept: Kept, tmp_path: Path, form: str) -> None:
    """What is lost on the way to another machine is lost for good, when the first one is given away."""
    done: list[tuple[int, int]] = []
    with kept.library as library:
        exported = library.export(kept.base / f"x.{form}", progress=lambda *rows: done.append(rows))
    assert (exported.photos, exported.vectors, exported.failures) == (8, 8, 1) and done[-1] == (9, 9)
    other = Kept(tmp_path / "second")
    with other.library as library:
        imported = library.import_(exported.file)
        assert (imported.photos, imported.files, imported.failures, imported.offline) == (8, 9, 1, ())
        assert content(other) == content(kept)
        again = library.import_(exported.file)
        assert (again.photos, again.known, again.vectors, again.files, again.labels) == (0, 8, 0, 0, 0)
        assert (again.failures, again.searches) == (0, 0)
    assert content(other) == content(kept)
    assert other.found() == kept.found() and other.found("label:cat") == kept.found("label:cat")
    query = kept.photos / "003.jpg"
    assert other.nearest(query, 8) == kept.nearest(query, 8)
    summary = other.index()
    assert (summary.unchanged, other.encoder.encoded) == (10, 0)


name = st.binary(min_size=1, max_size=12).filter(lambda one: not {0, 47} & set(one) and one not in (b".", b".."))
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
number = st.integers(-(2**63), 2**63 - 1)
degree = st.floats(-180, 180)
photos = st.builds(
    Metadata, width=st.integers(1, 10**6), height=st.integers(1, 10**6), format=text, taken_at=text | st.none(),
    taken_offset=text | st.none(), latitude=degree | st.none(), longitude=degree | st.none(), camera=text | st.none(),
    lens=text | st.none(), colors=st.sampled_from([(), ("red",), ("red", "blue")]), phash=number | st.none(),
    phash_fine=st.binary(min_size=24, max_size=24) | st.none(),
)  # fmt: skip


@settings(max_examples=10)
@given(
    described=st.lists(
        st.tuples(
            photos,
            st.lists(st.tuples(st.lists(name, max_size=2).map(b"/".join), name, number), min_size=1, max_size=3),
            st.dictionaries(text.filter(bool), st.floats(0, 1), max_size=2),
            st.booleans(),
        ),
        max_size=6,
    ),
    failed=st.lists(st.tuples(name, text.filter(bool)), max_size=2),
    form=st.sampled_from(FORMS),
)
def test_whatever_a_library_holds_comes_back(
    described: list[tuple[Metadata, list[tuple[bytes, bytes, int]], dict[str, float], bool]],
    failed: list[tuple[bytes, str]],
    form: str,
) -> None:
    """A name that is not UTF-8, a caption with a quote in it, a photo without a vector yet."""
    with TemporaryDirectory() as folder:
        first, second = Kept(Path(folder) / "first"), Kept(Path(folder) / "second")
        first.paths.library.mkdir()
        labels = []
        with Catalog.open_writer(catalog_path(first.paths)) as catalog:
            space = catalog.space_for(SpaceIdentity("hash-0-32", "starter", DIM))
            root = new_root(catalog, b"/not here/\xff")
            with catalog.transaction():
                for reason in failed:
                    catalog.put_failure(root.id, stamp(reason[0]), reason[1], "decoder")
                for place, (metadata, files, given_labels, has_vector) in enumerate(described):
                    photo = catalog.put_photo(place.to_bytes(32, "big"), metadata)
                    if has_vector:
                        catalog.put_vector(space, photo, hashed_vector(bytes([place]), DIM), "fake")
                    for below, called, time in files:
                        catalog.put_file(root.id, stamp(called, below, mtime_ns=time), photo)
                    labels += [(photo, label, score) for label, score in given_labels.items()]
        with Annotations.open_writer(catalog_path(first.paths)) as annotations:
            annotations.put_labels(labels)
        export(first, f"x.{form}")
        with second.library as library:
            library.import_(first.base / f"x.{form}")
        assert content(second) == content(first)


@pytest.mark.parametrize("form", FORMS)
def test_rows_are_read_and_written_batch_by_batch(
    kept: Kept, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million photos in memory are gigabytes; and the seam between two batches is where rows get lost."""
    monkeypatch.setattr(portable, "BATCH_ROWS", 3)
    largest: list[int] = []
    real = portable.PortableCatalog.merge

    def watched(self: portable.PortableCatalog, rows: list[portable.PortableRow], *rest: object) -> None:
        largest.append(len(rows))
        real(self, rows, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(portable.PortableCatalog, "merge", watched)
    other = Kept(tmp_path / "second")
    with other.library as library:
        library.import_(export(kept, f"x.{form}"))
    assert content(other) == content(kept)
    assert len(largest) > 2 and max(largest) <= 3


# -- merging ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_parts_of_a_tree_imported_in_any_order_are_the_whole(tmp_path: Path, form: str) -> None:
    """Photos indexed by two machines are one library, whoever comes first."""
    whole = Kept(tmp_path / "whole")
    whole.add(0, 1, 2, folder="a")
    whole.add(2, 3, 4, folder="b")  # one photo is in both
    whole.index(whole.photos / "a", whole.photos / "b")
    files = []
    for part in ("a", "b"):
        one = Kept(tmp_path / part)
        one.index(whole.photos / part)
        files.append(export(one, f"x.{form}"))
    wanted = content(whole)
    for order in (files, files[::-1], [*files, *files]):
        with TemporaryDirectory(dir=tmp_path) as folder:
            merged = Kept(Path(folder))
            with merged.library as library:
                for file in order:
                    library.import_(file)
            assert content(merged) == wanted
            assert len(merged.vectors()) == 6 and len(set(merged.vectors().values())) == 5


def test_what_the_library_knows_stays_as_it_is(kept: Kept, tmp_path: Path) -> None:
    """An old export must not take back what was changed since."""
    file = export(kept, "old.npz")
    with kept.library as library:
        library.set_labels([(kept.photos / "001.jpg", "cat", 0.75)])
        library.save_search("cats", "label:cat after:2020")
    (kept.photos / "000.jpg").write_bytes((kept.photos / "005.jpg").read_bytes())
    kept.index()
    before = content(kept)
    with kept.library as library:
        done = library.import_(file)
    assert (done.files, done.labels, done.searches) == (0, 0, 0)
    assert content(kept) == before


def test_files_of_another_machine_are_offline_until_it_is_said_where_they_lie(kept: Kept, tmp_path: Path) -> None:
    """Photos that are found and lie nowhere; or all encoded again, for their disk has another name here."""
    file = export(kept, "x.parquet")
    here = tmp_path / "mounted elsewhere"
    kept.photos.rename(here)
    other = Kept(tmp_path / "second")
    with other.library as library:
        assert library.import_(file).offline == (os.fsencode(kept.photos),)
        assert other.roots() == [(os.fsencode(kept.photos), 10, False)]
        assert len(other.found()) == 8
        library.relocate(kept.photos, here)
    assert other.index().unchanged == 10 and other.encoder.encoded == 0
    assert set(other.vectors()) == {os.fsencode(path) for path in here.rglob("*.jpg") if path.name != "broken.jpg"}


def test_photos_that_lie_in_a_root_of_this_library_join_it(kept: Kept, tmp_path: Path) -> None:
    """Two roots over one folder show each photo twice."""
    file = export(kept, "x.npz")
    other = Kept(tmp_path / "second")
    other.index(kept.base)  # the folder above
    before = content(other)
    with other.library as library:
        library.import_(file)
    assert [root[0] for root in other.roots()] == [os.fsencode(kept.base)]
    assert content(other)["files"] == before["files"]
    inner = Kept(tmp_path / "third")
    inner.index(kept.photos / "trip")
    with inner.library as library:
        library.import_(file)
    assert inner.roots() == [(os.fsencode(kept.photos), 10, True)]


# -- what is refused --------------------------------------------------------------------------------


def test_vectors_of_another_model_are_refused(kept: Kept, tmp_path: Path) -> None:
    """Vectors of two models in one library are answers by chance (I4)."""
    other = Kept(tmp_path / "second", seed=9)
    other.index(kept.photos)
    before = content(other)
    with other.library as library, pytest.raises(ModelError) as told:
        library.import_(export(kept, "x.npz"))
    assert "holds vectors of the model hash-0, and the library those of hash-9" in told.value.message
    assert content(other) == before


@pytest.mark.parametrize("form", FORMS)
def test_a_file_of_a_newer_clipsearch_is_refused(
    kept: Kept, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it holds besides would be dropped in silence."""
    file = export(kept, f"x.{form}")
    for module, name in ((schema, "VERSION"), (header, "FORMAT")):
        with monkeypatch.context() as older:
            older.setattr(module, name, 0)
            older.setattr(module, "migrate", lambda connection: None, raising=False)
            with Kept(tmp_path / "second").library as library, pytest.raises(SystemFault, match="newer clipsearch"):
                library.import_(file)
    assert not catalog_path(Kept(tmp_path / "second").paths).exists()


def _refused(file: Path, kept: Kept) -> str:
    with kept.library as library, pytest.raises(SystemFault) as told:
        library.import_(file)
    return told.value.message


@pytest.mark.parametrize("form", FORMS)
def test_a_file_that_is_not_whole_adds_nothing(kept: Kept, tmp_path: Path, form: str) -> None:
    """Half a library that looks like a whole one is noticed when the first one is gone."""
    file = export(kept, f"x.{form}")
    whole = file.read_bytes()
    other, nothing = Kept(tmp_path / "second"), Kept(tmp_path / "third")
    other.photos = kept.photos
    other.index(kept.photos / "trip")
    before = content(other)
    for size in (0, 3, 4, 12, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:size])
        assert "cannot be imported: it is" in _refused(file, other)
        assert "cannot be imported: it is" in _refused(file, nothing)
    for junk in (b"PAR1" + bytes(100) + b"PAR1", b"PK\3\4" + bytes(100), b"\xff\xd8 a photo"):
        file.write_bytes(junk)
        assert "cannot be imported: it " in _refused(file, other)
    assert content(other) == before
    assert not catalog_path(nothing.paths).exists()
    with other.library as library:
        for path in (tmp_path / "nowhere", tmp_path):
            with pytest.raises(SystemFault, match="cannot be read"):
                library.import_(path)


@pytest.mark.parametrize("flips", [12, pytest.param(400, marks=pytest.mark.slow)])
@pytest.mark.parametrize("form", FORMS)
def test_a_byte_that_changed_is_noticed_or_changes_nothing(kept: Kept, tmp_path: Path, form: str, flips: int) -> None:
    """A vector or a path with one wrong bit is a wrong picture, for years."""
    file = export(kept, f"x.{form}")
    whole = file.read_bytes()
    wanted = content(kept)
    refused = 0
    for place in np.random.default_rng(0).permutation(len(whole))[:flips]:
        broken = bytearray(whole)
        broken[place] ^= 1 << (place % 8)
        file.write_bytes(broken)
        with TemporaryDirectory(dir=tmp_path) as folder:
            other = Kept(Path(folder))
            try:
                with other.library as library:
                    library.import_(file)
            except ClipsearchError:
                refused += 1
                assert not catalog_path(other.paths).exists()
            else:
                assert content(other) == wanted, place
    assert refused > flips // 4  # of a Parquet file half the bytes are its schema twice and padding


def _rewritten(file: Path, change: Callable[[dict[str, object]], None], place: int = 0) -> None:
    """An .npz of which one row was changed by somebody who knows the format."""
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    rows = [json.loads(line) for line in parts["photos.jsonl"].splitlines()]
    change(rows[place])
    parts["photos.jsonl"] = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    with zipfile.ZipFile(file, "w") as archive:
        for called, data in parts.items():
            archive.writestr(called, data)


@pytest.mark.parametrize(
    "change",
    [
        lambda row: row.update(width=None),
        lambda row: row.update(width="wide"),
        lambda row: row.update(width=2**70),
        lambda row: row.update(camera=["a"]),
        lambda row: row.update(digest="00"),
        lambda row: row.update(vector=3),
        lambda row: row.pop("files"),
        lambda row: row["files"][0].update(root=7),
        lambda row: row["files"][0].update(root=-1),
        lambda row: row["files"][0].update(name="../../etc/passwd"),
        lambda row: row["files"][0].update(folder="../.."),
        lambda row: row["files"][0].update(name_b64="%"),
    ],
)
def test_rows_that_no_library_would_have_written_are_refused(
    kept: Kept, tmp_path: Path, change: Callable[[dict[str, object]], None]
) -> None:
    """A file made by hand must not leave a library that SQLite or a search trips over."""
    file = export(kept, "x.npz")
    _rewritten(file, change)
    assert "cannot be imported" in _refused(file, Kept(tmp_path / "second"))


def test_a_file_that_is_wrong_at_its_end_adds_nothing(
    kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a file that was added cannot be told from a whole one."""
    monkeypatch.setattr(portable, "BATCH_ROWS", 2)
    file = export(kept, "x.npz")
    _rewritten(file, lambda row: row.update(width=None), place=-2)
    other = Kept(tmp_path / "second")
    other.index(kept.photos / "trip")
    before = content(other)
    assert "a row does not fit into a library" in _refused(file, other)
    assert content(other) == before and len(before["photos"]) == 3


def test_vectors_that_are_none_are_refused(kept: Kept, tmp_path: Path) -> None:
    """A vector of zeros or NaN is near to everything or to nothing."""
    file = export(kept, "x.npz")
    with zipfile.ZipFile(file) as archive:
        parts = {called: archive.read(called) for called in archive.namelist()}
    for wrong in (b"\0\0" * DIM, b"\xff\xff" * DIM):
        parts["vectors.npy"] = parts["vectors.npy"][: -2 * DIM] + wrong
        with zipfile.ZipFile(file, "w") as archive:
            for called, data in parts.items():
                archive.writestr(called, data)
        assert "not of length 1" in _refused(file, Kept(tmp_path / "second"))


def test_a_target_that_cannot_be_is_refused(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that takes the place of another one, or that nothing can read."""
    with kept.library as library:
        with pytest.raises(UsageError, match="does not say which format"):
            library.export(kept.base / "x.csv")
        library.export(kept.base / "x.csv", form="npz")
        with pytest.raises(SystemFault, match="is there already"):
            library.export(kept.base / "x.csv", form="npz")
        monkeypatch.setattr(formats.parquet.importlib.util, "find_spec", lambda name: None)
        with pytest.raises(UsageError) as told:
            library.export(kept.base / "x.parquet")
        assert 'pip install "clipsearch[parquet]"' in told.value.hint
    with Kept(kept.base / "nothing").library as library, pytest.raises(LibraryError):
        library.export(kept.base / "y.npz")


# -- for other programs -----------------------------------------------------------------------------


def test_other_programs_read_the_files(kept: Kept) -> None:
    """An export that only clipsearch can read is a backup."""
    import pyarrow.parquet as pq

    table = pq.read_table(export(kept, "x.parquet"))
    photo = next(row for row in table.to_pylist() if row["path"] == str(kept.photos / "003.jpg"))
    own = np.frombuffer(kept.vectors()[os.fsencode(kept.photos / "003.jpg")], "<f2")
    assert np.array_equal(np.array(photo["vector"], np.float16), own)
    assert photo["width"] == 32 and photo["labels"] == []
    assert json.loads(json.loads(table.schema.metadata[b"clipsearch"])["content"])["model"] == "hash-0"
    with np.load(export(kept, "x.npz")) as archive:
        rows = [json.loads(line) for line in archive["photos.jsonl"].splitlines()]
        number = next(row["vector"] for row in rows if row["path"] == str(kept.photos / "003.jpg"))
        assert np.array_equal(archive["vectors"][number], own)
