"""`clipsearch index` and `errors`: what a run says, how it ends, and that nothing is done twice."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

from tests.cli.program import Program, copied, make_photos, said_once

DONE_FIELDS = {"indexed", "unchanged", "moved", "removed", "failed", "seconds"}


def counts(program: Program, *arguments: str | Path) -> dict[str, Any]:
    """The last event of a run, without its time."""
    outcome = program("index", *arguments, "--progress", "json")
    assert outcome.code == 0 and outcome.stderr == "", outcome.stderr
    last: dict[str, Any] = json.loads(outcome.stdout.splitlines()[-1])
    assert last.pop("event") == "done"
    assert last.pop("seconds") >= 0
    assert all(spent >= 0 for spent in last.pop("timings").values())
    return {name: number for name, number in last.items() if number}


def wait_for(process: subprocess.Popen[bytes], wanted: str) -> dict[str, Any]:
    """Reads events until one of this kind has come."""
    assert process.stdout
    for line in process.stdout:
        event: dict[str, Any] = json.loads(line)
        if event["event"] == wanted and event.get("done", 1):
            return event
    raise AssertionError(f"the run ended without {wanted}")


# -- what a run says -------------------------------------------------------------------------------


def test_a_run_ends_with_one_line_that_counts_everything(program: Program, photos: Path) -> None:
    """Without it nobody knows whether all photos are in, or how many could not be read."""
    first = program("index", photos)
    assert first.code == 0 and first.stdout == b""
    assert re.fullmatch(
        r"Done in [\d.]+ s: 45 indexed, 1 duplicate linked, 1 not readable \(clipsearch errors\)\.",
        first.stderr.splitlines()[-1],
    )
    again = program("index", photos)
    assert re.fullmatch(r"Done in [\d.]+ s: 0 indexed, 47 unchanged\.", again.stderr.splitlines()[-1])


def test_progress_json_ends_with_done_and_its_counts(program: Program, photos: Path) -> None:
    """A program that waits for the last line would wait for ever, or read another field's number."""
    outcome = program("index", photos, "--progress", "json")
    events = [json.loads(line) for line in outcome.stdout.splitlines()]
    assert outcome.stderr == ""
    assert [event["event"] for event in events[:2]] == ["scanning", "planned"]
    assert events[1] | {"path": ""} == {
        "event": "planned", "path": "", "files": 47, "unchanged": 0, "fresh": 47, "moved": 0, "gone": 0, "held": 0,
    }  # fmt: skip
    advanced = [event for event in events if event["event"] == "advanced"]
    assert [event["done"] for event in advanced] == sorted(event["done"] for event in advanced)
    assert advanced[-1] == {"event": "advanced", "done": 47, "total": 47, "failed": 1, "waiting_for": None}
    assert any(event["waiting_for"] and event["waiting_for"].startswith(str(photos)) for event in advanced)
    done = events[-1]
    assert set(done) >= DONE_FIELDS
    assert {name: done[name] for name in DONE_FIELDS - {"seconds"}} == {
        "indexed": 45, "unchanged": 0, "moved": 0, "removed": 0, "failed": 1,
    }  # fmt: skip
    assert isinstance(done["seconds"], float) and [event["event"] for event in events].count("done") == 1


def test_a_pipe_gets_no_progress_noise(program: Program, tmp_path: Path) -> None:
    """A log of a nightly run would be full of cursor movements."""
    make_photos(tmp_path / "in", 20)
    outcome = program("index", tmp_path / "in")
    assert "\x1b" not in outcome.stderr and "\r" not in outcome.stderr
    assert len(outcome.stderr.splitlines()) == 2
    quiet = program("index", tmp_path / "in", "--progress", "none")
    assert len(quiet.stderr.splitlines()) == 1 and quiet.stderr.startswith("Done in ") and quiet.stdout == b""


def test_a_terminal_shows_one_live_line_with_rate_and_file(program: Program, photos: Path) -> None:
    """Minutes of silence look like a hang; a file that hangs must be named while it does."""
    shown = program.on_terminal("index", photos, columns=120)
    assert shown.code == 0
    assert re.search(r"\d+ photos/s", shown.text)
    assert re.search(r"\d+/47", shown.text)
    assert re.search(r"(animals|city|food|people|travel|sport|garden)/[\w/-]+\.(jpg|png|webp)", shown.text)
    assert "Done in" in shown.text
    assert b"\x1b[?25h" in shown.stdout  # the cursor is back
    assert b"\x1b[2A" not in shown.stdout  # the line never became two, which it would have to climb over


def test_a_file_name_is_no_markup_on_the_live_line(program: Program, tmp_path: Path) -> None:
    """A folder called `bold]` in one called `[` would end the run with an error of the progress bar."""
    make_photos(tmp_path / "[" / "bold]", 60)
    shown = program.on_terminal("index", tmp_path, "--workers", "1", columns=120)
    assert shown.code == 0 and "60 indexed" in shown.text and "Traceback" not in shown.text
    assert "bold]/photo-00" in shown.text


def test_timings_tell_where_the_time_went_and_what_to_look_at(program: Program, tmp_path: Path) -> None:
    """Whether a faster disk or a faster processor would help can only be seen here."""
    make_photos(tmp_path / "in", 20)
    outcome = program("index", tmp_path / "in", "--timings", "--quiet")
    lines = outcome.stderr.splitlines()
    assert outcome.code == 0 and outcome.stdout == b""
    assert [line.split(":")[0] for line in lines[1:-1]] == ["read", "hash", "decode", "prepare", "encode", "store"]
    assert [line.endswith("<- the bottleneck") for line in lines].count(True) == 1
    shares = [int(share) for line in lines for share in re.findall(r"(\d+)%", line) if "busy" not in line]
    assert 97 <= sum(shares) <= 103
    again = program("index", tmp_path / "in", "--timings", "--quiet")
    assert again.stderr == "Nothing was read, so there are no timings.\n"


def test_a_file_that_could_not_be_read_is_tried_again_when_it_is_named(program: Program, tmp_path: Path) -> None:
    """A photo in quarantine by mistake must have a way back that needs no newer version."""
    make_photos(tmp_path / "in", 2)
    (tmp_path / "in" / "broken.jpg").write_bytes(b"broken")
    (tmp_path / "in" / "other.jpg").write_bytes(b"broken too")

    def attempts() -> list[int]:
        return [one["attempts"] for one in program("errors", "--json").json]

    assert counts(program, tmp_path / "in") == {"indexed": 2, "failed": 2}
    assert counts(program, tmp_path / "in") == {"unchanged": 4}
    assert counts(program, tmp_path / "in" / "broken.jpg") == {"unchanged": 3, "failed": 1}
    assert attempts() == [2, 1]
    assert counts(program, tmp_path / "in" / "photo-0000.png") == {"unchanged": 4}


# -- how a run ends --------------------------------------------------------------------------------


def test_one_interrupt_keeps_everything_done_and_a_second_run_completes(program: Program, tmp_path: Path) -> None:
    """Ctrl-C in the middle of a long first run would throw hours away, or lose photos for good."""
    folder = tmp_path / "in"
    make_photos(folder, 100)
    with program.start("index", folder, "--progress", "json", "--workers", "1") as process:
        wait_for(process, "advanced")
        process.send_signal(signal.SIGINT)
        rest, said = process.communicate(timeout=60)
    last = json.loads(rest.splitlines()[-1])
    assert process.returncode == 130, said
    assert last["event"] == "stopped" and 0 < last["indexed"] < 100
    assert b"Traceback" not in said and b"Stopping" in said
    assert len(program("search", "--all", "colour", "-k", "200").paths) == last["indexed"]
    assert counts(program, folder) == {"indexed": 100 - last["indexed"], "unchanged": last["indexed"]}
    assert len(program("search", "--all", "colour", "-k", "200").paths) == 100


def test_a_second_interrupt_leaves_at_once_and_loses_nothing(program: Program, tmp_path: Path) -> None:
    """A disk that does not answer would hold the terminal until it does; here one file takes a minute to read."""
    folder = tmp_path / "in"
    make_photos(folder, 60)
    # Read ahead of what is encoded when the first batch is, and not done before this test is.
    with (folder / "photo-0035-slow.png").open("wb") as slow:
        slow.truncate(40 << 30)  # sparse: it takes no room, but its bytes take their time
    with program.start("index", folder, "--progress", "json") as process:
        assert process.stderr
        wait_for(process, "advanced")
        process.send_signal(signal.SIGINT)
        said = process.stderr.readline() + process.stderr.readline()
        assert b"Ctrl-C again" in said
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert b"Traceback" not in process.stderr.read()
    (folder / "photo-0035-slow.png").unlink()
    done = counts(program, folder)
    assert done.get("indexed", 0) + done.get("unchanged", 0) == 60
    assert program("status", "--json").json["photos"] == 60


def test_a_killed_run_is_finished_by_the_next(program: Program, tmp_path: Path) -> None:
    """A power cut would leave a lock or a half-written library behind that nobody can use."""
    make_photos(tmp_path / "in", 60)
    with program.start("index", tmp_path / "in", "--progress", "json", "--workers", "1") as process:
        wait_for(process, "advanced")
        process.kill()
    done = counts(program, tmp_path / "in")
    assert done["indexed"] + done.get("unchanged", 0) == 60 and done["unchanged"] > 0


def test_a_library_that_is_being_written_names_the_writer(program: Program, tmp_path: Path) -> None:
    """Two writers would corrupt the library; a message without a name leaves a person searching for the other."""
    folder = tmp_path / "in"
    make_photos(folder, 60)
    with program.start("index", folder, "--progress", "json") as first:
        wait_for(first, "planned")
        first.send_signal(signal.SIGSTOP)  # it holds the lock for as long as this takes
        try:
            said = said_once(program("index", folder), 3)
            assert f"process {first.pid} (clipsearch index)" in said
            assert program("status").code == 0, "readers are not locked out"
        finally:
            first.send_signal(signal.SIGCONT)
        first.communicate(timeout=60)
    assert first.returncode == 0
    assert counts(program, folder) == {"unchanged": 60}


def test_unreadable_files_end_with_0_or_with_1_when_asked_to_be_strict(program: Program, photos: Path) -> None:
    """One broken photo among thousands would make every nightly run look failed, or none."""
    copied(photos, program.folder / "in", "broken/half-copied.jpg", "food/coffee-cup.jpg")
    outcome = program("index", program.folder / "in")
    assert outcome.code == 0 and "1 not readable (clipsearch errors)" in outcome.stderr
    assert program("search", "--all", "photo").paths == [str(program.folder / "in" / "coffee-cup.jpg")]
    (program.folder / "in" / "half-copied.jpg").touch()
    assert program("index", program.folder / "in", "--strict").code == 1
    assert program("index", program.folder / "in", "--strict").code == 0  # nothing failed in this run


def test_errors_lists_path_reason_and_attempts(program: Program, photos: Path) -> None:
    """A photo that is silently missing is found out when it is too late."""
    (broken,) = copied(photos, program.folder / "in", "broken/half-copied.jpg")
    program("index", program.folder / "in")
    outcome = program("errors", "--json")
    assert outcome.code == 0 and outcome.stderr == ""
    (row,) = outcome.json
    assert set(row) == {"path", "reason", "attempts"}
    assert row["path"] == str(broken) and "cut short" in row["reason"] and row["attempts"] == 1
    program("index")
    assert program("errors", "--json").json == [row]  # not tried again until something changes
    broken.touch()
    program("index")
    assert program("errors", "--json").json[0]["attempts"] == 2
    assert program("errors").stdout.decode().startswith(f"{broken}: ")
    shutil.copy(photos / "food/coffee-cup.jpg", broken)
    program("index")
    assert program("errors", "--json").json == []
    assert program("errors").stderr == "Every file could be read.\n"


def test_errors_on_a_terminal_name_the_folder_once_and_end_with_what_to_do(program: Program) -> None:
    """Thousands of lines that all begin with the same folder leave no room for the reason, and no way on."""
    folder = program.folder / "in" / "2024" / "holiday"
    folder.mkdir(parents=True)
    for name in ("one.jpg", "two.jpg"):
        (folder / name).write_bytes(b"dear diary")
    program("index", program.folder / "in")
    lines = program.on_terminal("errors", env={"NO_COLOR": "1"}).text.splitlines()
    reason = "it is not a picture in a known format"
    last = "2 files were not read. Mend what the reason says, then: clipsearch index"
    assert lines == [str(folder), f"one.jpg: {reason}", f"two.jpg: {reason}", last]
    assert program("errors").paths == [f"{folder}/one.jpg: {reason}", f"{folder}/two.jpg: {reason}"]
    assert program("errors").stderr == ""


# -- what changed on the disk ----------------------------------------------------------------------


def test_an_unchanged_folder_loads_nothing_and_counts_all(program: Program, tmp_path: Path) -> None:
    """The nightly run over a quiet collection would decode it again."""
    make_photos(tmp_path / "in", 5)
    assert counts(program, tmp_path / "in") == {"indexed": 5}
    assert counts(program, tmp_path / "in") == {"unchanged": 5}
    assert counts(program) == {"unchanged": 5}  # no folder named: all that are known


def test_moved_copied_changed_and_deleted_files_are_followed(program: Program, photos: Path) -> None:
    """Results would name files that are gone, or a tidied folder would be encoded from the start."""
    folder = program.folder / "in"
    cup, jelly, dandelions = copied(
        photos, folder, "food/coffee-cup.jpg", "animals/jellyfish.jpg", "garden/dandelions.jpg"
    )
    assert counts(program, folder) == {"indexed": 3}

    (folder / "sea").mkdir()
    jelly = jelly.rename(folder / "sea" / "renamed.jpg")
    assert counts(program, folder) == {"moved": 1, "unchanged": 2}
    assert program("search", "--all", "jellyfish", "-k", "1").paths == [str(jelly)]

    shutil.copy(cup, folder / "copy.jpg")
    assert counts(program, folder) == {"duplicates": 1, "unchanged": 3}
    (hit,) = program("search", "--all", "a cup of coffee", "-k", "1", "--json").json
    assert {hit["path"], *hit["copies"]} == {str(cup), str(folder / "copy.jpg")}

    dandelions.unlink()
    cup.unlink()
    assert counts(program, folder) == {"removed": 2, "unchanged": 2}
    assert set(program("search", "--all", "photo").paths) == {str(jelly), str(folder / "copy.jpg")}

    shutil.copy(photos / "garden/red-flower.jpg", jelly)
    assert counts(program, folder) == {"indexed": 1, "unchanged": 1}
    assert program("search", "--all", "a red flower", "-k", "1").paths == [str(jelly)]


def test_a_root_that_is_not_there_is_offline_and_still_searchable(program: Program, photos: Path) -> None:
    """An unplugged disk would empty the library, and days of indexing with it."""
    folder = program.folder / "disk"
    copied(photos, folder, "food/coffee-cup.jpg", "animals/jellyfish.jpg")
    counts(program, folder)
    folder.rename(program.folder / "unplugged")
    outcome = program("index")
    assert str(folder) in outcome.stderr and "removed" not in outcome.stderr
    (root,) = program("status", "--json").json["roots"]
    assert (root["online"], root["files"]) == (False, 2)
    hits = program("search", "--all", "jellyfish", "--json").json
    assert [hit["offline"] for hit in hits] == [True, True] and hits[0]["path"].endswith("jellyfish.jpg")
    assert "offline" in program.on_terminal("search", "--all", "jellyfish").text
    said_once(program("index", folder), 5)
    (program.folder / "unplugged").rename(folder)
    assert counts(program) == {"unchanged": 2}
    assert not any(hit["offline"] for hit in program("search", "--all", "jellyfish", "--json").json)


def test_ignore_files_excludes_and_hidden_names_keep_photos_out(program: Program, photos: Path) -> None:
    """Thumbnails, drafts and what a person shut out would crowd the results."""
    folder = program.folder / "in"
    names = ["keep.jpg", "drafts/no.jpg", "sub/skip-1.jpg", "sub/keep-2.jpg", ".hidden/no.jpg", "@eaDir/no.jpg",
             "._keep.jpg", "Trash/no.jpg", "later/no.jpg"]  # fmt: skip
    for number, name in enumerate(names):
        (made,) = make_photos(folder / "making", 1, start=number)
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        made.rename(target)
    (folder / ".clipsearchignore").write_text("# mine\ndrafts/\n")
    (folder / "sub" / ".clipsearchignore").write_text("skip-*\n!skip-nothing\n")
    assert counts(program, folder, "--exclude", "later/") == {"indexed": 2}
    assert {os.path.relpath(path, folder) for path in program("search", "--all", "x").paths} == {
        "keep.jpg",
        "sub/keep-2.jpg",
    }
    assert counts(program) == {"unchanged": 2}  # the pattern is remembered
    (folder / ".clipsearchignore").unlink()
    assert counts(program) == {"indexed": 1, "unchanged": 2}


def test_a_single_photo_is_a_root_of_its_own(program: Program, photos: Path) -> None:
    """`clipsearch index cat.jpg` would index the whole folder, or delete its neighbours from the library."""
    cup, _ = copied(photos, program.folder / "in", "food/coffee-cup.jpg", "animals/jellyfish.jpg")
    assert counts(program, cup) == {"indexed": 1}
    assert counts(program, program.folder / "in") == {"indexed": 1, "unchanged": 1}
    assert len(program("status", "--json").json["roots"]) == 1
    assert len(program("search", "--all", "x").paths) == 2
