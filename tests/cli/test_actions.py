"""What `search` and `similar` do with the photos found: --open, --exec, --copy-to, --link-to."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.cli.program import Program, copied, said_once

FOOD = ("search", "in:food", "--sort", "name")  # three photos, whatever the model thinks


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def until(true: Callable[[], bool]) -> None:
    limit = time.monotonic() + 20
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.02)


def script(folder: Path, name: str, body: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


# -- copies and links ------------------------------------------------------------------------------


def test_copies_keep_content_and_time_and_are_told_in_one_line(indexed: Program, photos: Path, tmp_path: Path) -> None:
    """Copies dated today sort as today's photos in every other program."""
    outcome = indexed(*FOOD, "--copy-to", tmp_path / "new" / "folder")
    assert outcome.code == 0 and outcome.stderr == f"Copied 3 photos to {tmp_path}/new/folder.\n"
    assert outcome.paths == indexed(*FOOD).paths  # the list is as without it
    for name in names(photos / "food"):
        copy, source = tmp_path / "new" / "folder" / name, photos / "food" / name
        assert copy.read_bytes() == source.read_bytes()
        assert copy.stat().st_mtime_ns == source.stat().st_mtime_ns


def test_nothing_is_ever_overwritten(indexed: Program, photos: Path, tmp_path: Path) -> None:
    """Two cameras both count from IMG_0001.jpg; the second photo would replace the first."""
    (tmp_path / "coffee-cup.jpg").write_text("mine")
    (tmp_path / "coffee-cup-2.jpg").symlink_to(tmp_path / "gone")  # a broken link is something, too
    outcome = indexed(*FOOD, "--copy-to", tmp_path)
    assert outcome.code == 0 and "1 under another name" in outcome.stderr
    assert (tmp_path / "coffee-cup.jpg").read_text() == "mine"
    assert (tmp_path / "coffee-cup-2.jpg").is_symlink() and not (tmp_path / "gone").exists()
    assert (tmp_path / "coffee-cup-3.jpg").read_bytes() == (photos / "food/coffee-cup.jpg").read_bytes()


def test_the_same_command_again_makes_no_second_copy(indexed: Program, tmp_path: Path) -> None:
    """A folder that is filled once a week would hold every photo as often as there were weeks."""
    for option in ("--copy-to", "--link-to"):
        folder = tmp_path / option
        indexed(*FOOD, option, folder)
        before = names(folder)
        outcome = indexed(*FOOD, option, folder)
        assert "3 were there already" in outcome.stderr and names(folder) == before


def test_links_lead_to_the_photos(indexed: Program, photos: Path, tmp_path: Path) -> None:
    """A relative link would lead nowhere as soon as the folder is moved."""
    outcome = indexed(*FOOD, "--link-to", "links", cwd=tmp_path)
    assert outcome.code == 0 and "Linked 3 photos in links." in outcome.stderr
    for link in (tmp_path / "links").iterdir():
        assert link.readlink() == photos / "food" / link.name


def test_verbose_names_each_file_and_quiet_says_nothing(indexed: Program, tmp_path: Path) -> None:
    """Who gets another name wants to know which; who runs it in cron wants mail about errors only."""
    assert indexed(*FOOD, "--copy-to", tmp_path, "-v").stderr.count(" -> ") == 3
    assert indexed(*FOOD, "--link-to", tmp_path / "links", "-q").stderr == ""


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS refuses names that are not UTF-8")
def test_names_that_are_not_utf8_are_copied_linked_and_handed_over(program: Program, photos: Path) -> None:
    """Photos of old disks would be the ones that cannot be taken out."""
    folder = os.fsencode(program.folder / "in")
    os.mkdir(folder)
    shutil.copy(os.fsencode(photos / "food/coffee-cup.jpg"), folder + b"/caf\xe9 {} 1.jpg")
    program("index", folder)
    out = program.folder / "out"
    assert program("search", "ext:jpg", "--copy-to", out, "--link-to", os.fsencode(out) + b"/\xe9").code == 0
    assert os.listdir(os.fsencode(out) + b"/\xe9") == [b"caf\xe9 {} 1.jpg"]
    assert b"caf\xe9 {} 1.jpg" in os.listdir(os.fsencode(out))
    handed = program("search", "ext:jpg", "--exec", "printf [%s] {} -- x{}x")
    assert handed.stdout == b"[%b][--][x%bx]" % ((folder + b"/caf\xe9 {} 1.jpg",) * 2)


def test_only_what_fits_is_acted_on_and_all_widens(indexed: Program, tmp_path: Path) -> None:
    """A question about nothing that is there would copy twenty photos that have nothing to do with it."""
    every = ("search", "dog", "-k", "45")
    fitting = indexed(*every).paths
    assert 0 < len(fitting) < len(indexed(*every, "--json").json) == 45
    indexed(*every, "--link-to", tmp_path / "some")
    assert names(tmp_path / "some") == sorted(map(os.path.basename, fitting))
    indexed(*every, "--all", "--link-to", tmp_path / "all")
    assert len(names(tmp_path / "all")) == 45
    outcome = indexed(*every, "--min-relevance", "1", "--link-to", tmp_path / "none")
    assert outcome.code == 1 and not (tmp_path / "none").exists()


def test_a_photo_that_is_gone_is_told_and_the_others_are_copied(program: Program, photos: Path) -> None:
    """One unplugged disk would end the copy in the middle, or pass in silence."""
    cup, *_ = copied(photos, program.folder / "in", "food/coffee-cup.jpg", "animals/jellyfish.jpg")
    program("index", cup.parent)
    cup.unlink()
    outcome = program("search", "ext:jpg", "--copy-to", program.folder / "out")
    assert outcome.code == 5 and "Copied 1 photo to" in outcome.stderr
    assert "coffee-cup.jpg was left out: No such file" in outcome.stderr and "hint: " in outcome.stderr
    assert names(program.folder / "out") == ["jellyfish.jpg"]


def test_a_disk_that_is_full_leaves_no_half_copy(indexed: Program, tmp_path: Path) -> None:
    """Half a photo under the right name is taken for the photo when the original is deleted."""
    full = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (40_000, 40_000))  # SQLite needs 32 KiB
    outcome = indexed(*FOOD, "--copy-to", tmp_path, before=full)
    assert outcome.code == 5 and outcome.stderr.count("was left out: File too large") == 3
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_told(indexed: Program, tmp_path: Path) -> None:
    """A traceback about a path that is a file."""
    (tmp_path / "file").write_text("")
    assert "cannot be made" in said_once(indexed(*FOOD, "--copy-to", tmp_path / "file" / "below"), 5)
    assert "is a file" in said_once(indexed(*FOOD, "--copy-to", tmp_path / "file"), 5)


# -- commands --------------------------------------------------------------------------------------


def test_exec_runs_the_command_for_each_photo_and_its_output_is_the_output(indexed: Program) -> None:
    """A list of paths between the lines of a command is the output of neither."""
    paths = indexed(*FOOD).paths
    assert indexed(*FOOD, "--exec", "echo '< {} >'").stdout.decode() == "".join(f"< {path} >\n" for path in paths)
    assert indexed(*FOOD, "--exec", "echo").paths == paths  # {} is added at the end


def test_exec_takes_no_shell(indexed: Program, tmp_path: Path) -> None:
    """A photo called `$(rm -rf ~).jpg` would be a command."""
    outcome = indexed(*FOOD, "-k", "1", "--exec", f"echo $HOME > {tmp_path}/out; true {{}}")
    assert outcome.stdout.startswith(b"$HOME > ") and names(tmp_path) == []


def test_a_command_that_fails_is_told_with_its_code_and_the_others_run(indexed: Program, tmp_path: Path) -> None:
    """`&& rm` would follow although a third of the photos could not be converted."""
    picky = script(tmp_path, "picky", 'case "$1" in *coffee*) exit 7;; *) echo "$1";; esac')
    outcome = indexed(*FOOD, "--exec", str(picky))
    assert "ended with 7 for" in said_once(outcome, 5) and len(outcome.paths) == 2


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [("no-such-program {}", 5, "no program"), ("/etc {}", 5, "may not be run"), ("say 'it", 2, "cannot be read"),
     ("  ", 2, "no command")],
)  # fmt: skip
def test_a_command_that_cannot_run_is_refused(indexed: Program, command: str, code: int, said: str) -> None:
    """The same failure once for every photo, or a traceback."""
    assert said in said_once(indexed(*FOOD, "--exec", command), code)


def test_exec_does_not_mix_with_json(indexed: Program) -> None:
    """Output of two programs in one stream is no JSON."""
    assert "takes the place" in said_once(indexed(*FOOD, "--exec", "true", "--json"), 2)


# -- opening ---------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="opens with xdg-open")
def test_open_hands_each_photo_to_the_system_and_does_not_wait_for_the_viewer(indexed: Program, tmp_path: Path) -> None:
    """A viewer that holds our output would keep `clipsearch … --open | cat` from ending until it is closed."""
    script(tmp_path / "bin", "xdg-open", f'echo "$$ $1" >> {tmp_path}/opened; exec sleep 200')
    path = f"{tmp_path}/bin:{indexed.environment['PATH']}"
    outcome = indexed(*FOOD, "--open", env={"PATH": path})  # returns only when all that have its stdout are gone
    until(lambda: len((tmp_path / "opened").read_text().splitlines()) == 3)
    viewers = dict(line.split(" ", 1) for line in (tmp_path / "opened").read_text().splitlines())
    for number in viewers:
        os.kill(int(number), signal.SIGKILL)  # each was still there
    assert outcome.code == 0 and outcome.stderr == ""
    assert sorted(viewers.values()) == sorted(outcome.paths)


@pytest.mark.skipif(sys.platform != "linux", reason="opens with xdg-open")
def test_at_most_ten_are_opened_and_said_so(indexed: Program, tmp_path: Path) -> None:
    """Twenty windows for one slip."""
    script(tmp_path / "bin", "xdg-open", f'echo "$1" >> {tmp_path}/opened')
    path = f"{tmp_path}/bin:{indexed.environment['PATH']}"
    outcome = indexed("search", "ext:jpg", "--open", env={"PATH": path})
    assert outcome.code == 0 and "first 10 of 20" in outcome.stderr
    assert len((tmp_path / "opened").read_text().splitlines()) == 10


@pytest.mark.skipif(sys.platform != "linux", reason="opens with xdg-open")
def test_a_system_that_cannot_open_photos_is_told(indexed: Program, tmp_path: Path) -> None:
    """Nothing happens, and nobody knows why."""
    script(tmp_path / "bin", "xdg-open", "exit 3")
    env = {"PATH": f"{tmp_path}/bin:{indexed.environment['PATH']}"}
    outcome = indexed(*FOOD, "-k", "1", "--open", env=env)
    assert "xdg-open ended with 3" in said_once(outcome, 5)
    assert "no program xdg-open" in said_once(indexed(*FOOD, "--open", env={"PATH": str(tmp_path)}), 5)


def test_similar_acts_too(indexed: Program, photos: Path, tmp_path: Path) -> None:
    """A form that only `search` knows makes the two verbs two programs."""
    cup = photos / "food/coffee-cup.jpg"
    assert indexed("similar", cup, "-k", "2", "--copy-to", tmp_path).code == 0
    assert len(names(tmp_path)) == 2 and "coffee-cup.jpg" in names(tmp_path)
    assert indexed("similar", cup, "-k", "1", "--exec", "echo {}").paths == [str(cup)]
