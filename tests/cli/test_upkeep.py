"""The verbs that keep a library, as a person and a script meet them."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.cli.program import Program, copied, make_photos, said_once


@pytest.fixture(scope="module")
def kept(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """A small library, for the tests that leave it as it is."""
    program = Program(tmp_path_factory.mktemp("kept"))
    copied(photos, program.folder / "in", "food/coffee-cup.jpg", "animals/jellyfish.jpg")
    make_photos(program.folder / "in", 3)
    assert program("index", program.folder / "in").code == 0
    return program


def test_photos_on_another_disk_are_found_there_and_none_is_encoded(program: Program, photos: Path) -> None:
    """A new disk must not cost a night of encoding."""
    old, new = program.folder / "old", program.folder / "new"
    copied(photos, old, "food/coffee-cup.jpg", "animals/jellyfish.jpg")
    program("index", old)
    old.rename(new)
    asked = program("relocate", old, new)
    assert asked.code == 2 and asked.stdout.decode() == f"{old} -> {new}  2 files\n"
    assert "2 of 2 files looked for are there" in asked.stderr and "add --yes" in asked.stderr
    assert program("relocate", old, new, "--dry-run", "--yes", "--json").json["changed"] is False
    assert said_once(program("relocate", new, old, "--yes"), 3).startswith(f"Nothing in {new} is indexed")
    done = program("relocate", old, new, "--yes", "--json").json
    assert done == {"roots": [{"old": str(old), "new": str(new), "files": 2}], "files": 2, "looked_at": 2, "same": 2,
                    "unread": 2, "changed": True}  # fmt: skip
    events = [json.loads(line) for line in program("index", "--progress", "json").stdout.splitlines()]
    assert [(event["fresh"], event["gone"]) for event in events if event["event"] == "planned"] == [(0, 0)]
    assert (events[-1]["indexed"], events[-1]["unchanged"]) == (0, 2)
    assert program("search", "coffee", "-k", "1").paths == [str(new / "coffee-cup.jpg")]


def test_a_library_travels_in_a_file(kept: Program, tmp_path: Path) -> None:
    """Another machine would encode everything again."""
    file = tmp_path / "library.npz"
    assert kept("export", file).paths == [str(file)]
    assert "is there already" in said_once(kept("export", file), 5)
    assert "does not say which format" in said_once(kept("export", tmp_path / "library"), 2)
    other = Program(tmp_path / "machine")
    done = other("import", file)
    assert done.code == 0 and "5 photos added with 5 files." in done.stderr
    assert other("import", file, "--json").json["known"] == 5
    assert other("search", "coffee").stdout == kept("search", "coffee").stdout
    file.write_bytes(file.read_bytes()[:-30])
    assert "cannot be imported: it is cut short or damaged" in said_once(other("import", file), 5)


def test_a_backup_is_a_library(kept: Program, tmp_path: Path) -> None:
    """One that was never restored is none."""
    done = kept("backup", tmp_path / "copy.db", "--json").json
    assert done["photos"] == 5 and done["bytes"] == (tmp_path / "copy.db").stat().st_size
    assert "is there already" in said_once(kept("backup", tmp_path / "copy.db"), 5)
    other = Program(tmp_path / "machine")
    other.library.mkdir()
    shutil.copy(tmp_path / "copy.db", other.library / "catalog.db")
    assert other("search", "coffee").stdout == kept("search", "coffee").stdout
    doctor = other("doctor", "--json")
    assert doctor.code == 0 and doctor.json["healthy"] is True


def test_what_no_photo_needs_is_removed_only_when_agreed(program: Program) -> None:
    """A script that only wanted to look would have removed what cannot be had back without encoding."""
    photos = make_photos(program.folder / "in", 3)
    program("index", program.folder / "in")
    photos[0].unlink()
    program("index")
    for more in ((), ("--dry-run", "--yes")):
        outcome = program("gc", *more)
        assert outcome.stdout == b"1 photo that no file shows any more: 1 vectors, 0 labels, 0 thumbnails\n"
    assert program("gc", "--json").json["removed"] is False
    assert program("gc", "--yes", "--json").json["removed"] is True
    outcome = program("gc")
    assert outcome.code == 0 and outcome.stdout == b"" and "Everything is needed" in outcome.stderr
    assert len(program("search", "ext:png", "-k", "0").paths) == 2


def test_doctor_says_what_is_wrong_repairs_it_and_ends_with_its_code(program: Program) -> None:
    """A script that backs up every night must see that there is something to save first."""
    make_photos(program.folder / "in", 3)
    program("index", program.folder / "in")
    healthy = program("doctor", "--recall")
    assert healthy.code == 0 and b"\nwrong " not in healthy.stdout, healthy.stdout
    assert "recall@20 of 50 texts: mean 1.000" in healthy.stdout.decode()
    assert "Searches find every photo" in healthy.stdout.decode()
    with sqlite3.connect(program.library / "catalog.db") as connection:
        connection.execute("UPDATE photo SET files = 5 WHERE id = 1")
    connection.close()
    sick = program("doctor", "--json")
    assert sick.code == 3 and sick.json["healthy"] is False
    (found,) = [check for check in sick.json["checks"] if check["state"] == "wrong"]
    assert found["name"] == "rows" and found["repairable"]
    refused = program("doctor", "--repair")
    assert refused.code == 3 and "add --yes" in refused.stderr
    done = program("doctor", "--repair", "--yes")
    assert done.code == 0 and "counted 1 numbers in photo anew" in done.stderr
    assert any(name.startswith("before-repair-") for name in os.listdir(program.library))
    assert "nothing to repair" in program("doctor", "--repair").stderr
    assert "no library" in said_once(Program(program.folder / "other")("doctor"), 3)
