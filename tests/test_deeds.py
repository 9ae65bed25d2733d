"""Photos are taken elsewhere without a loss: neither of what is exported nor of what is there already."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clipsearch.deeds import Export, exported, open_photos
from clipsearch.errors import SystemFault


@pytest.fixture
def two(tmp_path: Path) -> list[bytes]:
    """Two photos of one name."""
    paths = [tmp_path / "a" / "x.jpg", tmp_path / "b" / "x.jpg"]
    for path in paths:
        path.parent.mkdir()
        path.write_text(path.parent.name)
    return [bytes(path) for path in paths]


def test_two_photos_of_one_name_are_two_copies(two: list[bytes], tmp_path: Path) -> None:
    """DSC_0001.JPG is the name of a thousand photos."""
    done = exported([*two, b"/nowhere/y.jpg"], Export("copy", tmp_path / "out"))
    assert (done.made, done.missing) == (2, (b"/nowhere/y.jpg",))
    assert sorted(path.name for path in done.target.iterdir()) == ["x-2.jpg", "x.jpg"]
    assert {path.read_text() for path in done.target.iterdir()} == {"a", "b"}
    exported(two[:1], Export("copy", tmp_path / "out"))
    assert (tmp_path / "out" / "x-3.jpg").read_text() == "a" and (tmp_path / "out" / "x.jpg").read_text() == "a"


def test_links_lead_to_the_originals(two: list[bytes], tmp_path: Path) -> None:
    """A broken link in the way is a file too."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "x.jpg").symlink_to("/nowhere")
    exported(two, Export("link", out))
    assert os.readlink(out / "x.jpg") == "/nowhere"
    assert {os.fsencode(os.readlink(out / name)) for name in ("x-2.jpg", "x-3.jpg")} == set(two)


def test_a_list_holds_the_paths_as_they_are_on_the_disk(tmp_path: Path) -> None:
    """A name that is not UTF-8 is a name."""
    first = exported([b"/p/caf\xe9.jpg", b"/p/b.jpg"], Export("list", tmp_path))
    second = exported([b"/p/b.jpg"], Export("list", tmp_path))
    assert first.target.read_bytes() == b"/p/caf\xe9.jpg\n/p/b.jpg\n"
    assert second.target.name == "photos-2.txt"


def test_a_folder_that_cannot_be_made_is_named(two: list[bytes], tmp_path: Path) -> None:
    """Half an export that says nothing is found out next year."""
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemFault, match="file"):
        exported(two, Export("copy", tmp_path / "file" / "out"))
    with pytest.raises(SystemFault, match="not there"):
        open_photos([b"/nowhere/y.jpg"])
