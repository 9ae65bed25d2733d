"""Photos that moved to another disk: the library follows, and nothing is read or encoded again."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.cli.program import Program, make_photos, said_once


def counted(program: Program) -> dict[str, int]:
    """What an index run over all that is known did."""
    outcome = program("index", "--progress", "json")
    assert outcome.code == 0, outcome.stderr
    events = [json.loads(line) for line in outcome.stdout.splitlines()]
    read = sum(event["fresh"] for event in events if event["event"] == "planned")
    return {"read": read, **{key: events[-1][key] for key in ("indexed", "unchanged", "removed", "moved")}}


@pytest.fixture
def moved(program: Program) -> tuple[Path, Path]:
    """An indexed folder of twelve photos that lies at another place now."""
    old, new = program.folder / "old", program.folder / "elsewhere" / "new"
    make_photos(old, 8)
    make_photos(old / "trip", 4, start=100)
    program("index", old)
    new.parent.mkdir()
    old.rename(new)
    return old, new


def test_photos_on_another_disk_are_found_there_and_none_is_read(program: Program, moved: tuple[Path, Path]) -> None:
    """A new disk must not cost a night of encoding, nor a second copy of everything in the results."""
    old, new = moved
    outcome = program("relocate", old, new, "--yes")
    assert outcome.code == 0 and "12 of 12 files" in outcome.stderr, outcome.stderr
    found = program("search", "ext:png", "-k", "0").paths
    assert len(found) == 12 and all(path.startswith(f"{new}/") for path in found)
    assert counted(program) == {"read": 0, "indexed": 0, "unchanged": 12, "removed": 0, "moved": 0}
    roots = program("status", "--json").json["roots"]
    assert [(root["path"], root["files"], root["online"]) for root in roots] == [(str(new), 12, True)]


def test_without_a_yes_nothing_changes(program: Program, moved: tuple[Path, Path]) -> None:
    """A script that only wanted to look would have moved a library."""
    old, new = moved
    for more in ((), ("--dry-run",), ("--dry-run", "--yes")):
        outcome = program("relocate", old, new, *more)
        assert outcome.code == 0
        assert outcome.stdout.decode() == f"{old} -> {new}  12 files\n"
    fields = program("relocate", old, new, "--json").json
    assert fields["roots"] == [{"old": str(old), "new": str(new), "files": 12}]
    assert (fields["files"], fields["looked_at"], fields["same"], fields["unread"]) == (12, 12, 12, 12)
    assert fields["changed"] is False
    assert [root["path"] for root in program("status", "--json").json["roots"]] == [str(old)]


def test_a_place_where_none_of_the_photos_is_is_refused_unless_it_is_meant(program: Program) -> None:
    """A slip of the finger would make the whole library point at nothing."""
    old = program.folder / "old"
    make_photos(old, 3)
    program("index", old)
    other = program.folder / "other"
    make_photos(other, 3, start=50)
    (other / "photo-0000.png").write_bytes(b"another size")
    told = said_once(program("relocate", old, other, "--yes"), 5)
    assert told == f"None of 3 files looked for is in {other}, so nothing was changed."
    assert [root["path"] for root in program("status", "--json").json["roots"]] == [str(old)]
    absent = program.folder / "not mounted yet"
    assert program("relocate", old, absent, "--yes", "--force").code == 0
    assert program("status", "--json").json["roots"][0]["online"] is False
    old.rename(absent)
    assert counted(program)["indexed"] == 0


def test_a_folder_above_several_roots_moves_all_of_them(program: Program) -> None:
    """A disk with three indexed folders would need three commands, and be half moved in between."""
    disk = program.folder / "disk"
    for number, name in enumerate(("a", "b/c", ".hidden")):
        make_photos(disk / name, 2, start=10 * number)
        program("index", disk / name)
    disk.rename(program.folder / "disk2")
    assert program("relocate", disk, program.folder / "disk2", "--yes").code == 0
    roots = program("status", "--json").json["roots"]
    assert {root["path"] for root in roots} == {f"{disk}2/a", f"{disk}2/b/c", f"{disk}2/.hidden"}
    assert counted(program)["unchanged"] == 6
    # And up into the folder that one of them leaves.
    assert program("relocate", f"{disk}2", disk, "--yes", "--force").code == 0


def test_a_new_place_that_was_indexed_already_gets_each_path_once(program: Program) -> None:
    """Who copies, indexes and only then relocates would see every photo twice."""
    old, new = program.folder / "old", program.folder / "new"
    make_photos(old, 4)
    program("index", old)
    shutil.copytree(old, new)
    (new / "photo-0003.png").unlink()
    make_photos(new, 2, start=70)
    program("index", new)
    outcome = program("relocate", old, new, "--yes")
    assert outcome.code == 0 and f"(joins {new}, which is indexed)" in outcome.stdout.decode()
    status = program("status", "--json").json
    assert [(root["path"], root["files"]) for root in status["roots"]] == [(str(new), 6)]
    assert counted(program) == {"read": 0, "indexed": 0, "unchanged": 5, "removed": 1, "moved": 0}
    assert len(program("search", "ext:png", "-k", "0").paths) == 5


def test_a_new_place_inside_or_around_another_root_joins_it(program: Program) -> None:
    """Two roots that list one folder would find each photo twice from then on."""
    old, archive = program.folder / "old", program.folder / "archive"
    make_photos(old, 3)
    make_photos(archive, 2, start=10)
    program("index", old, archive)
    shutil.move(old, archive / "2020")
    assert program("relocate", old, archive / "2020", "--yes").code == 0
    status = program("status", "--json").json
    assert [(root["path"], root["files"]) for root in status["roots"]] == [(str(archive), 5)]
    assert counted(program) == {"read": 0, "indexed": 0, "unchanged": 5, "removed": 0, "moved": 0}
    # Around: the outer one takes the inner one in.
    outer, disk = program.folder / "outer", program.folder / "disk"
    make_photos(outer, 2, start=30)
    program("index", outer)
    outer.rename(disk)
    shutil.move(archive, disk / "archive")
    program("relocate", archive, disk / "archive", "--yes")
    assert program("relocate", outer, disk, "--yes").code == 0
    assert [(root["path"], root["files"]) for root in program("status", "--json").json["roots"]] == [(str(disk), 7)]
    assert counted(program)["unchanged"] == 7


def test_what_cannot_be_relocated_says_why(program: Program, moved: tuple[Path, Path]) -> None:
    """A sentence that does not say which folder, or what else to do."""
    old, new = moved
    inside = said_once(program("relocate", old / "trip", new / "trip", "--yes"), 2)
    assert inside == f"{old}/trip is a folder inside the indexed {old}."
    assert said_once(program("relocate", "/nowhere", new, "--yes"), 3) == "Nothing in /nowhere is indexed."
    said_once(program("relocate", old, old, "--yes"), 2)
    fresh = Program(program.folder / "fresh")
    assert "no library" in said_once(fresh("relocate", old, new), 3)


@pytest.mark.skipif(sys.platform != "linux", reason="names that are not UTF-8")
def test_names_that_are_not_utf_8_move_byte_for_byte(program: Program) -> None:
    """A photo whose name was written on another system would be lost on the way."""
    old, new = os.fsencode(program.folder) + b"/fotos \xe9", os.fsencode(program.folder) + b"/neu \xff"
    make_photos(Path(os.fsdecode(old)) / os.fsdecode(b"\xfc"), 2)
    program("index", old)
    os.rename(old, new)
    assert program("relocate", old, new, "--yes").code == 0
    assert program("relocate", new, old, "--json").json["roots"][0]["old_b64"]
    assert program("search", "ext:png", "-0").stdout.split(b"\0")[0].startswith(new + b"/\xfc/photo")
    assert counted(program)["unchanged"] == 2


def test_a_single_photo_that_is_a_root_moves_too(program: Program) -> None:
    """A root need not be a folder."""
    (photo,) = make_photos(program.folder / "in", 1)
    program("index", photo)
    (program.folder / "in").rename(program.folder / "out")
    assert program("relocate", program.folder / "in", program.folder / "out", "--yes").code == 0
    assert program("search", "ext:png").paths == [f"{program.folder}/out/photo-0000.png"]
    assert counted(program)["unchanged"] == 1
