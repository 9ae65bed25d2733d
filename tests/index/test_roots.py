"""Which root covers a path."""

from __future__ import annotations

import os
from pathlib import Path

import pathspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from clipsearch.errors import SystemFault
from clipsearch.index.catalog import Catalog, Root
from clipsearch.index.roots import patterns_below, root_for


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog.open_writer(tmp_path / "catalog.db")


def photo(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8)).save(path, format="PNG")
    return path


def paths_of_roots(catalog: Catalog) -> list[bytes]:
    return [root.path for root in catalog.roots()]


def test_folders_named_in_any_order_leave_one_root(catalog: Catalog, tmp_path: Path) -> None:
    """A path listed under two roots would be counted twice and vanish only once."""
    inner, outer = photo(tmp_path / "photos" / "2019" / "a.png").parent, tmp_path / "photos"
    for order in ((inner, outer), (outer, inner)):
        for folder in order:
            root_for(catalog, os.fsencode(folder))
        assert paths_of_roots(catalog) == [os.fsencode(outer)]


def test_a_neighbour_whose_name_begins_alike_is_another_root(catalog: Catalog, tmp_path: Path) -> None:
    """photos-old does not lie in photos."""
    for name in ("photos", "photos-old"):
        root_for(catalog, os.fsencode(photo(tmp_path / name / "a.png").parent))
    assert len(catalog.roots()) == 2


@pytest.mark.parametrize("below", ["noextension", ".hidden.png", ".hidden/a.png", "@eaDir/a.png"])
def test_what_a_walk_skips_is_indexed_when_it_is_named(catalog: Catalog, tmp_path: Path, below: str) -> None:
    """Naming a photo must index it, wherever it lies."""
    folder = photo(tmp_path / "photos" / "a.png").parent
    named = photo(folder / below)
    root_for(catalog, os.fsencode(folder))
    assert root_for(catalog, os.fsencode(named)).path == os.fsencode(named)
    root_for(catalog, os.fsencode(folder))
    assert len(catalog.roots()) == 2


def test_a_text_file_is_a_slip_and_not_a_photo_that_failed(catalog: Catalog, tmp_path: Path) -> None:
    """`index notes.txt` must say so, and leave nothing behind."""
    notes = tmp_path / "notes.txt"
    notes.write_text("no picture")
    with pytest.raises(SystemFault, match=r"notes\.txt is not a picture"):
        root_for(catalog, os.fsencode(notes))
    assert not catalog.roots()


def test_an_offline_root_is_not_absorbed_by_its_parent(catalog: Catalog, tmp_path: Path) -> None:
    """Indexing the folder of mounts while a disk is away would take its photos for deleted (I5)."""
    disk = photo(tmp_path / "media" / "usb" / "a.png").parent
    root_for(catalog, os.fsencode(disk))
    disk.rename(tmp_path / "unplugged")
    root_for(catalog, os.fsencode(tmp_path / "media"))
    assert os.fsencode(disk) in paths_of_roots(catalog) and len(catalog.roots()) == 2


def test_a_fifo_is_refused_and_not_waited_for(catalog: Catalog, tmp_path: Path) -> None:
    """Reading it would block for ever."""
    os.mkfifo(tmp_path / "f.jpg")
    with pytest.raises(SystemFault, match="neither a folder nor a file"):
        root_for(catalog, os.fsencode(tmp_path / "f.jpg"))


PATTERNS = ["*.gif", "drafts/", "/raw/", "a/b", "!keep.gif", "# note", "**/x", "y/**"]
NAMES = ["x", "a.gif", "keep.gif", "drafts/1.jpg", "deep/drafts/1.jpg", "raw/1.jpg", "deep/raw/1.jpg", "a/b", "y/z/1"]


@given(st.lists(st.sampled_from(PATTERNS), max_size=4))
def test_patterns_of_a_folder_mean_in_its_root_what_they_mean_in_the_folder(patterns: list[str]) -> None:
    """A folder that is taken over by its parent would lose what was shut out, or shut out its neighbours."""
    root = Root(1, b"/photos", False, (), None)
    inner = pathspec.GitIgnoreSpec.from_lines(patterns)
    outer = pathspec.GitIgnoreSpec.from_lines(patterns_below(root, b"/photos/20[1]9 *", patterns))
    for name in NAMES:
        assert outer.match_file(f"20[1]9 */{name}") == inner.match_file(name), name
        assert not outer.match_file(name) and not outer.match_file(f"2019 x/{name}")
