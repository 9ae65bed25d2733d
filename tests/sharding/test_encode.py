"""A share of some folders into a bundle: all of it, once, whatever ends the run; and shares together are the whole."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipsearch.bundles.folder import create_folder, is_sealed, parts_in, read_manifest, read_part
from clipsearch.bundles.rows import Copy, Header, Photo, Row, Unread
from clipsearch.bundles.shard import Shard
from clipsearch.errors import LibraryBusy, ModelError, SystemFault, UsageError
from clipsearch.events import Event, Planned, Summary
from clipsearch.files import exclusive_lock
from clipsearch.index import ingest
from clipsearch.index.catalog import DESCRIPTION
from clipsearch.index.roots import root_for, roots_of_no_library
from clipsearch.library import Library
from clipsearch.sharding import store
from clipsearch.sharding.encode import encoded_share
from clipsearch.types import Decoded, Failure
from tests.index.filled import photo
from tests.sharding.made import share
from tests.support.encoder import HashEncoder, InlineDecoder
from tests.transfer.content import content
from tests.upkeep.kept import Kept

pytest.importorskip("pyarrow", reason='bundles need pip install "clipsearch[parquet]"')


def summary_of(events: Sequence[Event]) -> Summary:
    summary = events[-1]
    assert isinstance(summary, Summary)
    return summary


def rows(folder: Path) -> list[Row]:
    """Of all parts, sealed or not."""
    return [row for _, part in parts_in(folder) for batch in read_part(folder, part) for row in batch]


def places(folder: Path) -> list[bytes]:
    return sorted(row.place.path for row in rows(folder))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for number in range(8):
        photo(folder / f"{number % 2}" / f"{number}.jpg", number)
    shutil.copy(folder / "0" / "0.jpg", folder / "copy.jpg")
    (folder / "broken.jpg").write_bytes(b"broken")
    return folder


def test_a_bundle_has_every_file_as_photo_copy_or_reason(photos: Path, tmp_path: Path) -> None:
    """A file that is neither would be missed by nobody and found by nobody."""
    summary = summary_of(share(tmp_path / "b", photos))
    assert (summary.indexed, summary.duplicates, summary.failed) == (8, 1, 1)
    manifest = read_manifest(tmp_path / "b")
    assert (manifest.photos, manifest.copies, manifest.unread) == (8, 1, 1)
    found = rows(tmp_path / "b")
    assert sorted(row.place.path for row in found) == sorted(
        [*(b"%d/%d.jpg" % (n % 2, n) for n in range(8)), b"broken.jpg", b"copy.jpg"]
    )
    (broken,) = (row for row in found if isinstance(row, Unread))
    assert broken.place.path == b"broken.jpg" and broken.reason and broken.decoder
    assert {row.digest for row in found if isinstance(row, Copy)} <= {r.digest for r in found if isinstance(r, Photo)}
    assert all(row.place.mtime_ns == os.stat(os.path.join(row.place.root, row.place.path)).st_mtime_ns for row in found)


# -- going on ---------------------------------------------------------------------------------------


def test_what_a_bundle_has_is_not_encoded_again(photos: Path, tmp_path: Path) -> None:
    encoder = HashEncoder()
    share(tmp_path / "b", photos, encoder=encoder)
    whole = read_manifest(tmp_path / "b")
    again = summary_of(share(tmp_path / "b", photos, encoder=encoder))
    assert (encoder.encoded, again.indexed, again.unchanged) == (8, 0, 10)
    assert read_manifest(tmp_path / "b") == whole
    photo(photos / "new.jpg", 100)
    (photos / "0" / "0.jpg").rename(photos / "renamed.jpg")
    (photos / "broken.jpg").unlink()
    events = share(tmp_path / "b", photos, encoder=encoder)
    more = summary_of(events)
    assert [(one.fresh, one.gone) for one in events if isinstance(one, Planned)] == [(2, 1)]
    assert (encoder.encoded, more.indexed, more.duplicates) == (9, 1, 1)
    assert {b"new.jpg", b"renamed.jpg"} <= set(places(tmp_path / "b")) and is_sealed(tmp_path / "b")


def test_a_stopped_run_is_no_whole_bundle_and_the_next_one_goes_on(photos: Path, tmp_path: Path) -> None:
    """Ctrl-C after a night must not cost the night, nor pass for a finished share."""
    encoder = HashEncoder()
    first = summary_of(share(tmp_path / "b", photos, encoder=encoder, stop=lambda: encoder.encoded >= 4))
    assert first.interrupted and not is_sealed(tmp_path / "b") and encoder.encoded >= 4
    kept = len(rows(tmp_path / "b"))
    assert kept >= 4
    second = summary_of(share(tmp_path / "b", photos, encoder=encoder))
    assert not second.interrupted and second.unchanged == kept
    assert is_sealed(tmp_path / "b") and encoder.encoded == 8 and len(places(tmp_path / "b")) == 10


# Ends itself at some moment of a run whose parts are small; `moment` counts calls into this package and the files'.
_KILLED = """
import os, signal, sys
from pathlib import Path
from clipsearch.sharding import store
from tests.sharding.made import share
from tests.support.encoder import HashEncoder
store.PART_ROWS = 3
left = [int(sys.argv[3])]
def kill_at_some_call(frame, event, argument):
    if frame.f_code.co_filename.endswith(("store.py", "folder.py", "table.py", "files.py", "ingest.py")):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
sys.setprofile(kill_at_some_call)
encoder = HashEncoder()
share(Path(sys.argv[1]), Path(sys.argv[2]), encoder=encoder)
sys.setprofile(None)
print(encoder.encoded, left[0])
"""


def killed(folder: Path, photos: Path, moment: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _KILLED, folder, photos, str(moment)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_killed_at_any_moment_a_run_leaves_whole_parts_and_the_next_one_finishes(photos: Path, tmp_path: Path) -> None:
    """A power cut must cost the part in hand: nothing that is there is half, and nothing is encoded for nothing."""
    whole = killed(tmp_path / "whole", photos, 10**9)
    calls = 10**9 - int(whole.stdout.split()[1])
    truth = sorted(rows(tmp_path / "whole"), key=lambda row: row.place)
    seen = set()
    for moment in random.Random(0).sample(range(1, calls), 4):
        folder = tmp_path / str(moment)
        assert killed(folder, photos, moment).returncode == -signal.SIGKILL
        known = rows(folder) if folder.is_dir() else []  # raises for half a part
        if folder.is_dir() and is_sealed(folder):
            assert len(known) == 10
        encoder = HashEncoder()
        share(folder, photos, encoder=encoder)
        assert encoder.encoded == 8 - len({row.digest for row in known if isinstance(row, Photo)})
        assert {row.place for row in rows(folder)} == {row.place for row in truth}
        assert read_manifest(folder).rows == len(rows(folder))
        seen.add(len(known))
    assert len(seen) > 1, "these moments are all the same one"


def test_parts_are_written_while_a_run_goes_on(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day's work in memory would be a day's work lost; a part for each batch would be a million files."""
    monkeypatch.setattr(store, "PART_ROWS", 5)
    share(tmp_path / "rows", photos)
    assert len(parts_in(tmp_path / "rows")) == 2
    monkeypatch.setattr(store, "PART_S", 0.0)
    share(tmp_path / "time", photos)
    assert len(parts_in(tmp_path / "time")) > 2


def test_a_root_that_goes_away_leaves_the_bundle_unfinished(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is unplugged is no empty one: a share without its photos would pass for a whole one (I5)."""
    monkeypatch.setattr(ingest, "identity_of", lambda root: None)

    class Gone(InlineDecoder):
        def submit(self, path: bytes) -> Future[Decoded | Failure]:
            done: Future[Decoded | Failure] = Future()
            done.set_result(Failure("input/output error", lasting=False))
            return done

    encoder = HashEncoder()
    create_folder(tmp_path / "b")
    roots = roots_of_no_library([os.fsencode(photos)], ())
    header = Header(encoder.space, DESCRIPTION, "1.0")
    events = list(encoded_share(tmp_path / "b", header, roots, encoder, Gone(encoder.prepare)))
    assert summary_of(events).offline == (os.fsencode(photos),)
    assert not is_sealed(tmp_path / "b") and rows(tmp_path / "b") == []


# -- what cannot be gone on with --------------------------------------------------------------------


def bundled(folder: Path, *named: Path, paths: Path, **how: object) -> list[Event]:
    from clipsearch.config import Paths

    library = Library(Paths(paths / "library", paths / "cache", paths / "models"))
    with library:
        return list(library.bundle(folder, named, **how))  # type: ignore[arg-type]


def test_a_bundle_of_another_share_model_or_description_is_not_gone_on_with(photos: Path, tmp_path: Path) -> None:
    """Rows of two kinds in one bundle would be merged as if they were of one (B3)."""
    share(tmp_path / "b", photos, shard=Shard(1, 2))
    with pytest.raises(ModelError):  # the starter's vectors are not those of the fake model
        bundled(tmp_path / "b", photos, paths=tmp_path, shard="1/2", model="starter")
    bundled(tmp_path / "c", photos / "0", paths=tmp_path, shard="1/2")
    with pytest.raises(UsageError, match="share 1/2, not of 2/2"):
        bundled(tmp_path / "c", photos / "0", paths=tmp_path, shard="2/2")
    with pytest.raises(UsageError, match="No folder"):
        bundled(tmp_path / "d", paths=tmp_path)
    with pytest.raises(SystemFault, match="There is no"):
        bundled(tmp_path / "d", tmp_path / "absent", paths=tmp_path)
    assert not (tmp_path / "d").exists()


def test_a_damaged_part_is_named_and_nothing_is_done(photos: Path, tmp_path: Path) -> None:
    share(tmp_path / "b", photos)
    part = next((tmp_path / "b").glob("*.parquet"))
    part.write_bytes(part.read_bytes()[:-9])
    with pytest.raises(SystemFault, match=part.name):
        bundled(tmp_path / "b", photos, paths=tmp_path)
    part.unlink()
    assert summary_of(share(tmp_path / "b", photos)).indexed == 8  # what the hint says


def test_a_folder_of_other_things_is_no_place_for_a_bundle(photos: Path, tmp_path: Path) -> None:
    """Parts among somebody's photos, or in the library: a word was forgotten, and who would find them all again?"""
    before = sorted(photos.rglob("*"))
    with pytest.raises(UsageError, match="other things"):
        bundled(photos, photos, paths=tmp_path)
    assert sorted(photos.rglob("*")) == before


def test_what_a_kill_left_of_a_part_goes_with_the_next_run(photos: Path, tmp_path: Path) -> None:
    """Or each power cut leaves ten megabytes in a folder that is then copied about."""
    create_folder(tmp_path / "b")
    (tmp_path / "b" / ".part-0123456789abcdef.new").write_bytes(b"PAR1")
    bundled(tmp_path / "b", photos / "0", paths=tmp_path)
    assert not list((tmp_path / "b").glob(".part-*"))


def test_two_processes_never_write_one_bundle(photos: Path, tmp_path: Path) -> None:
    create_folder(tmp_path / "b")

    def unexpected(holder: str) -> LibraryBusy:
        raise AssertionError(holder)

    with exclusive_lock(tmp_path / "b" / ".lock", "a test", unexpected), pytest.raises(LibraryBusy, match="a test"):
        bundled(tmp_path / "b", photos, paths=tmp_path)


# -- shares together --------------------------------------------------------------------------------

_TREES = st.lists(
    st.tuples(st.sampled_from(["", "a", "a/b", "ä"]), st.integers(0, 5), st.sampled_from([*"xyz", "broken"])),
    min_size=1, max_size=9, unique_by=lambda one: (one[0], one[2], one[1]),
)  # fmt: skip


@settings(max_examples=20)
@given(tree=_TREES, count=st.integers(1, 4), order=st.randoms(use_true_random=False), exclude=st.booleans())
def test_shares_merged_in_any_order_are_one_index_of_the_whole(
    tree: list[tuple[str, int, str]], count: int, order: random.Random, exclude: bool
) -> None:
    """This is all that a share promises. Copies fall into several shares, and broken files into any."""
    with TemporaryDirectory() as name:
        base = Path(name)
        for folder, seed, kind in tree:
            path = base / "photos" / folder / f"{seed}-{kind}.jpg"
            if kind == "broken":
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"broken %d" % seed)
            else:
                photo(path, seed)
        (base / "photos").mkdir(exist_ok=True)
        patterns = ["a/b/"] if exclude else []
        bundles = [base / f"bundle-{number}" for number in range(1, count + 1)]
        for number, folder_of in enumerate(bundles, 1):
            share(folder_of, base / "photos", shard=Shard(number, count), exclude=patterns)
        assert sum(read_manifest(one).rows for one in bundles) == sum(
            1 for folder, *_ in tree if not (exclude and folder == "a/b")
        )
        merged, whole = Kept(base / "merged"), Kept(base / "whole")
        order.shuffle(bundles)
        with merged.library as library:
            library.merge([*bundles, bundles[0]])  # one of them twice
            library.merge(bundles[:1])
        with whole.writer() as catalog:
            root = root_for(catalog, os.fsencode(base / "photos"))
            catalog.set_exclude(root.id, patterns)
            for _ in whole.run(catalog=catalog):
                pass
        assert content(merged) == content(whole)
        with merged.reader() as catalog:
            assert catalog._all("PRAGMA foreign_key_check") == []
            assert catalog._all("SELECT count FROM tally") == catalog._all("SELECT count(*) FROM photo WHERE files > 0")
            assert (
                catalog._all(
                    "SELECT id FROM photo WHERE files <> (SELECT count(*) FROM file WHERE photo_id = photo.id)"
                )
                == []
            )
        summary = merged.index()
        assert (merged.encoder.encoded, summary.indexed, summary.duplicates, summary.removed) == (0, 0, 0, 0)
