"""Photos are taken elsewhere without a loss: neither of what is exported nor of what is there already."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clipsearch.deeds import listed, placed
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
    out = tmp_path / "out"
    done = list(placed([*two, b"/nowhere/y.jpg"], "copy", out))
    assert [(one.is_new, one.is_renamed) for one in done] == [(True, False), (True, True), (False, False)]
    assert done[2].target is None and done[2].reason
    assert {path.name: path.read_text() for path in out.iterdir()} == {"x.jpg": "a", "x-2.jpg": "b"}
    (again,) = placed(two[1:], "copy", out)
    assert again.target == bytes(out / "x-2.jpg") and not again.is_new


def test_links_lead_to_the_originals(two: list[bytes], tmp_path: Path) -> None:
    """A broken link in the way is a file too."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "x.jpg").symlink_to("/nowhere")
    assert all(one.is_new for one in placed(two, "link", out))
    assert os.readlink(out / "x.jpg") == "/nowhere"
    assert {os.fsencode(os.readlink(out / name)) for name in ("x-2.jpg", "x-3.jpg")} == set(two)


def test_a_list_holds_the_paths_as_they_are_on_the_disk(tmp_path: Path) -> None:
    """A name that is not UTF-8 is a name."""
    first = listed([b"/p/caf\xe9.jpg", b"/p/b.jpg"], tmp_path)
    second = listed([b"/p/b.jpg"], tmp_path)
    assert first.read_bytes() == b"/p/caf\xe9.jpg\n/p/b.jpg\n"
    assert second.name == "photos-2.txt"


def test_a_folder_that_cannot_be_made_is_named(two: list[bytes], tmp_path: Path) -> None:
    """Half an export that says nothing is found out next year."""
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemFault, match="file"):
        list(placed(two, "copy", tmp_path / "file" / "out"))
    with pytest.raises(SystemFault, match="file"):
        listed(two, tmp_path / "file" / "out")
