"""`clipsearch model`: what the models are worth, said plainly, and how one comes, is used and goes."""

from __future__ import annotations

import contextlib
import os
import pty
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clipsearch.engine.store import STARTER_FOLDER
from clipsearch.errors import Exit
from tests.cli.program import Program, make_photos, said_once
from tests.support import models as tiny
from tests.support.hub import Hub, running


@pytest.fixture
def hub(program: Program, tmp_path: Path) -> Iterator[Hub]:
    """A hub with a tiny model in both layouts, and one that the catalogue knows."""
    with running() as hub:
        program.environment["HF_ENDPOINT"] = hub.url
        hub.repositories["acme/tiny"] = tiny.immich(tmp_path / "immich")
        hub.repositories["acme/tiny-js"] = tiny.transformers_js(tmp_path / "js", external=True)
        yield hub


def listed(program: Program) -> list[str]:
    return [row["name"] for row in program("model", "list", "--json").json if row["installed"]]


# -- list and info ---------------------------------------------------------------------------------


def test_the_starter_is_called_small_with_its_terms_and_the_way_to_a_better_one(program: Program) -> None:
    """People would judge the program by its starter, or ship it under terms they were not told of."""
    outcome = program("model", "list")
    text = outcome.stdout.decode()
    assert outcome.code == 0 and outcome.stderr == ""
    assert "starter" in text and "Small" in text
    assert "free licences" in " ".join(text.split())
    assert "clipsearch model pull NAME" in text and "clipsearch model use NAME" in text


def test_the_list_says_what_each_model_finds_and_costs(program: Program) -> None:
    """Who cannot compare takes the biggest, and indexes for a week."""
    lines = program("model", "list").stdout.decode().splitlines()
    head = next(line for line in lines if "finds" in line and "GFLOP" in line)
    row = next(line for line in lines if "siglip2-b-32-256" in line)
    assert head.split() == ["model", "finds", "GFLOP", "size", "languages", "licence"]
    assert row.split() == ["siglip2-b-32-256", "47.2", "~23", "1.51", "GB", "many", "Apache-2.0"]
    assert next(line for line in lines if "mobileclip-s2" in line).split()[0] == "!"
    assert max(len(line) for line in lines[lines.index(head) :] if line.startswith("  ")) <= 80


def test_json_has_the_same_facts(program: Program) -> None:
    """A program that offers models could not repeat the terms."""
    starter, *known = program("model", "list", "--json").json
    assert set(starter) >= {"name", "version", "summary", "licence", "caution", "dim", "folder"}
    assert (starter["name"], starter["dim"], starter["installed"]) == ("starter", 512, True)
    assert "free licences" in starter["licence"]
    one = next(row for row in known if row["name"] == "vit-b-32-laion2b")
    assert (one["coco_r1"], one["gflop"], one["licence"], one["installed"]) == (39.3, 15, "MIT", False)
    assert one["source"] and one["repository"]


def test_a_model_folder_put_there_is_listed(program: Program) -> None:
    """Models are also made by hand."""
    folder = program.folder / "models" / "mine"
    folder.mkdir(parents=True)
    card = (STARTER_FOLDER / "card.toml").read_text().replace('name = "starter"', 'name = "mine"', 1)
    (folder / "card.toml").write_text(card)
    assert listed(program) == ["starter", "mine"]
    copy = folder.with_name("yours")
    folder.rename(copy)  # its card still calls it mine, which no command would find
    assert "\n  yours " in program("model", "list").stdout.decode()
    shutil.rmtree(copy)
    assert listed(program) == ["starter"]


def test_all_that_is_known_of_a_model_is_told(program: Program) -> None:
    outcome = program("model", "info", "ViT-B-32__laion2b-s34b-b79k")
    text = outcome.stdout.decode()
    assert outcome.code == 0
    for fact in ("512 dimensions", "39.3", "66.6", "15 GFLOP", "MIT", "English", "openclip_results.csv"):
        assert fact in text
    assert "clipsearch model pull vit-b-32-laion2b" in text
    assert program("model", "info", "siglip2-b-32-256", "--json").json["languages"] == "many"
    assert 'Did you mean "siglip2-b-32-256"' in said_once(program("model", "info", "siglip2-b32-256"), Exit.MODEL)


def test_status_says_that_there_are_better_models(indexed: Program) -> None:
    """The starter is to begin with; who does not know that judges by it."""
    assert "Better    clipsearch model list shows what finds more" in indexed("status").stdout.decode()


# -- from the hub to an answer ---------------------------------------------------------------------


def test_a_model_is_pulled_verified_and_used(program: Program, hub: Hub) -> None:
    """The whole way, as a person goes it, with what keeps its weights beside its graphs."""
    assert program("index", make_photos(program.folder / "in", 3)[0].parent).code == 0
    outcome = program("model", "pull", "acme/tiny-js")
    assert outcome.code == 0, outcome.stderr
    assert "tiny-js · 794 kB in 8 files · licence: mit" in outcome.stderr
    home = Path(program.environment["HOME"])  # where the library that speaks to hubs keeps caches, logs and lists
    assert [path for path in home.rglob("*") if path.is_file()] == []
    assert {headers["user-agent"] for _, _, headers in hub.asked} == {"clipsearch"}
    assert "whole and works" in program("model", "verify", "tiny-js").stderr
    outcome = program("model", "use", "Tiny-JS")
    assert outcome.code == 0 and "Searches answer with tiny-js now." in outcome.stderr
    assert "answer with starter until" in outcome.stderr
    found = program("search", "a red square", "--all", "--json")
    assert found.code == 0 and len(found.json) == 3
    status = program("status").stdout.decode()
    assert "tiny-js" in status and "Better" not in status
    again = program("model", "use", "tiny-js")
    assert again.code == 0 and "already" in again.stderr
    hub.asked.clear()
    assert "here already" in program("model", "pull", "acme/Tiny-JS").stderr and hub.asked == []


def test_nothing_is_asked_of_the_network_but_by_pull(program: Program, hub: Hub) -> None:
    """Every other command works on a plane, and tells nobody what it works on."""
    for words in (["list"], ["info", "vit-b-32-openai"], ["verify", "starter"], ["use", "vit-b-32-openai"]):
        program("model", *words)
    program("index", make_photos(program.folder / "in", 1)[0].parent, "--model", "vit-b-32-openai")
    assert hub.asked == []
    said = said_once(program("model", "pull", "acme/tiny", env={"HF_HUB_OFFLINE": "1"}), Exit.SYSTEM)
    assert "HF_HUB_OFFLINE" in said and hub.asked == []


# -- interruption ----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_pull_that_is_ended_in_its_middle_goes_on(program: Program, hub: Hub, number: signal.Signals) -> None:
    """As a lid that is closed, a battery, or a person who has changed their mind."""
    hub.stalls.set()
    process = program.start("model", "pull", "acme/tiny")
    assert hub.stalled.wait(60)
    (part,) = _parts(program, process)
    os.kill(process.pid, number)
    _, stderr = process.communicate(timeout=60)
    hub.stalls.clear()
    assert process.returncode == (Exit.INTERRUPTED if number == signal.SIGINT else -number)
    assert number != signal.SIGINT or "goes on" in stderr.decode()
    assert listed(program) == ["starter"] and part.stat().st_size > 0
    assert "fetched in part" in program("model", "list").stdout.decode()
    begun = part.stat().st_size
    hub.asked.clear()
    outcome = program("model", "pull", "acme/tiny")
    assert outcome.code == 0, outcome.stderr
    assert [headers.get("range") for _, path, headers in hub.asked if path.endswith(".onnx")] == [f"bytes={begun}-"]
    weights = program.folder / "models/tiny/textual/model.onnx"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    assert "model.onnx is not the file" in said_once(program("model", "verify", "tiny"), Exit.MODEL)


def _parts(program: Program, process: subprocess.Popen[bytes]) -> list[Path]:
    """The beginning of the file that is being fetched, once something of it is on the disk."""
    while process.poll() is None:
        parts = [path for path in program.folder.rglob("*.part") if path.stat().st_size > 0]
        if parts:
            return parts
    raise AssertionError(process.communicate()[1])


def test_a_disk_that_fills_up_keeps_what_came(program: Program, hub: Hub) -> None:
    """The limit on the size of a file is met as a full disk is."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

    said = said_once(program("model", "pull", "acme/tiny", before=limit), Exit.SYSTEM)
    assert "no room left" in said and "is kept" in said
    assert listed(program) == ["starter"]
    assert program("model", "pull", "acme/tiny").code == 0


# -- terms -----------------------------------------------------------------------------------------


def test_a_model_for_research_only_is_fetched_by_who_has_agreed(program: Program, hub: Hub, tmp_path: Path) -> None:
    """Somebody would build a product on it without knowing."""
    folder = tiny.immich(tmp_path / "dfn", size=224, dim=768, activation="Sigmoid")
    hub.repositories["immich-app/ViT-L-14-quickgelu__dfn2b"] = folder
    assert "research only; nothing was fetched" in said_once(program("model", "pull", "vit-l-14-dfn2b"), Exit.USAGE)
    assert hub.files_asked == []
    outcome = program("model", "pull", "vit-l-14-dfn2b", "--yes")
    assert outcome.code == 0 and "licence: Apple Machine Learning Research Model" in outcome.stderr


def answered(program: Program, answer: bytes, *arguments: str) -> int:
    """The exit code of a command on a terminal, where a person answers its question."""
    ours, theirs = pty.openpty()
    try:
        command = [sys.executable, "-m", "clipsearch", *arguments]
        with subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=program.environment, start_new_session=True
        ) as process:
            os.close(theirs)
            shown = b""
            while b"[y/N]" not in shown:
                shown += os.read(ours, 4096)
            os.write(ours, answer)
            with contextlib.suppress(OSError):  # what Linux says when the other end is closed
                while os.read(ours, 4096):
                    pass
            return process.wait(60)
    finally:
        os.close(ours)


# -- the switch ------------------------------------------------------------------------------------


def test_the_old_model_answers_until_the_new_one_is_complete_which_then_stays(program: Program, hub: Hub) -> None:
    """A library between two models would answer with neither, or with both; one without a model with nothing."""
    assert program("index", make_photos(program.folder / "in", 3)[0].parent).code == 0
    assert program("model", "pull", "acme/tiny").code == 0
    broken = program.folder / "models/tiny/visual/model.onnx"
    content = broken.read_bytes()
    broken.write_bytes(b"")
    assert program("model", "use", "tiny").code == Exit.MODEL
    assert program("status", "--json").json["model"] == "starter"
    assert len(program("search", "red", "--all", "--json").json) == 3
    broken.write_bytes(content)
    outcome = program("model", "use", "tiny")
    assert outcome.code == 0 and "Searches answer with tiny now." in outcome.stderr
    assert program("status", "--json").json["model"] == "tiny"
    assert "searches with tiny" in said_once(program("model", "remove", "tiny"), Exit.USAGE)
    assert answered(program, b"n\n", "model", "remove", "tiny") == Exit.INTERRUPTED
    assert listed(program) == ["starter", "tiny"]
    assert answered(program, b"y\n", "model", "remove", "tiny") == Exit.DONE
    assert "tiny" in said_once(program("search", "red", "--all"), Exit.MODEL)


def test_a_model_cannot_be_used_before_there_are_photos_or_before_it_is_here(program: Program, hub: Hub) -> None:
    assert "no photos yet" in said_once(program("model", "use", "starter"), Exit.USAGE)
    outcome = program("model", "use", "vit-b-32-openai")
    assert "not on this machine" in said_once(outcome, Exit.MODEL)
    assert "clipsearch model pull vit-b-32-openai" in outcome.stderr


def test_the_bar_says_how_much_comes(program: Program, hub: Hub) -> None:
    """A download without an end looks like a frozen program."""
    outcome = program.on_terminal("model", "pull", "acme/tiny")
    assert outcome.code == 0
    assert "793" in outcome.text and "checking: text tower" in outcome.text and "tiny is here" in outcome.text
