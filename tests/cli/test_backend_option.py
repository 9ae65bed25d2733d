"""`--backend` and `--threads`: every verb that runs a model hands on what was asked for."""

from __future__ import annotations

import logging
from pathlib import Path

import click
import pytest

from clipsearch import encoding, library
from clipsearch.cli import cli
from clipsearch.cli.notices import noticed
from clipsearch.engine import layers
from clipsearch.engine.cards import read_card
from clipsearch.engine.choosing import choice
from clipsearch.engine.choosing.candidates import Candidate
from clipsearch.engine.store import STARTER_FOLDER
from clipsearch.errors import Exit
from clipsearch.types import MeasuredWay
from tests.cli.program import Program, said_once


class Stopped(Exception):
    """Holds what a Library was opened with."""


def opened_with(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> dict[str, object]:
    def stop(paths: object, **asked: object) -> None:
        raise Stopped(asked)

    monkeypatch.setattr(library, "Library", stop)
    with pytest.raises(Stopped) as caught:
        cli.main(list(arguments), standalone_mode=False)
    asked: dict[str, object] = caught.value.args[0]
    return asked


@pytest.mark.parametrize("verb", [["index"], ["search", "dog"], ["similar", "a.jpg"], ["watch"], ["zsl", "a.jpg"]])
def test_what_was_asked_for_reaches_the_library(
    verb: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A demand that is dropped on the way is a silent fall-back."""
    for name in ("library", "cache", "models", "config"):
        monkeypatch.setenv(f"CLIPSEARCH_{name.upper()}", str(tmp_path / name))
    (tmp_path / "config").touch()
    monkeypatch.chdir(tmp_path)
    Path("a.jpg").touch()
    more = ["--labels", "cat,dog"] if verb[0] == "zsl" else []
    asked = ["--backend", "onnxruntime-webgpu", "--threads", "3"]
    assert opened_with(monkeypatch, *verb, *more, *asked) == {"backend": "onnxruntime-webgpu", "threads": 3}
    monkeypatch.setenv("CLIPSEARCH_THREADS", "5")
    assert opened_with(monkeypatch, *verb, *more) == {"backend": "auto", "threads": 5}


def test_an_unknown_device_is_refused_with_those_there_are(indexed: Program) -> None:
    outcome = indexed("search", "dog", "--backend", "onnxruntime-gpu")
    assert "onnxruntime-gpu" in said_once(outcome, Exit.MODEL)
    assert "onnxruntime-cuda" in outcome.stderr and "onnxruntime-webgpu" in outcome.stderr


def test_a_device_that_is_not_here_is_refused(indexed: Program) -> None:
    """The CPU would give an answer, and nobody would know."""
    outcome = indexed("search", "a text never asked before", "--backend", "onnxruntime-cuda")
    assert "has no CUDAExecutionProvider" in said_once(outcome, Exit.MODEL)
    assert "pip uninstall onnxruntime, then pip install 'onnxruntime-gpu[cuda,cudnn]'" in outcome.stderr


def test_threads_are_a_number(indexed: Program) -> None:
    assert "--threads" in said_once(indexed("search", "dog", "--threads", "many"), Exit.USAGE)


def test_auto_that_falls_back_says_why(indexed: Program, tmp_path: Path) -> None:
    """The run would be ten times slower than the last one, and nobody could tell for what reason."""
    card = read_card(STARTER_FOLDER)
    lost = MeasuredWay("onnxruntime", "cuda", "f32", "fp32", 4, 2, 9.0, verdict="good", fit_for=("ingest", "query"))
    choice._keep(card, tmp_path, choice._Known({"onnxruntime": [["cuda", "f32"]]}, [lost]))
    outcome = indexed("search", "a dog", env={"CLIPSEARCH_CACHE": str(tmp_path)})
    assert outcome.code == 0 and outcome.paths
    assert "onnxruntime-cpu is taken" in outcome.stderr and "no CUDAExecutionProvider" in outcome.stderr


def test_what_takes_over_is_told_alone_and_details_only_when_asked() -> None:
    """A line written into the live one is read by nobody, and one told twice is a riddle."""
    outer: list[str] = []
    inner: list[str] = []
    engine = logging.getLogger("clipsearch.engine.backends.onnx")
    with noticed(outer.append, outer.append):
        with noticed(inner.append, inner.append):
            engine.warning("it fails: %s", "no\x1bdriver")
        engine.info("it takes minutes")
        engine.debug("nodes")
        with click.Context(click.Command("search"), obj=None) as context:
            context.meta["clipsearch.verbose"] = True
            with noticed(inner.append, inner.append):
                engine.debug("129 of 129 nodes")
    assert outer == ["it takes minutes"] and inner[1:] == ["129 of 129 nodes"]
    assert len(inner) == 2 and "no" in inner[0] and "\x1b" not in inner[0]


@pytest.mark.parametrize(
    "verb",
    [
        ["bench", "set"],
        ["eval", "retrieval", "captions.tsv"],
        ["similarity", "--text", "a cat", "--image", "set/cat/a.jpg"],
    ],
)
def test_what_was_asked_for_reaches_a_model_without_a_library(
    verb: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Figures for one thread were those of all."""

    def stop(model: str, **asked: object) -> None:
        raise Stopped(asked)

    monkeypatch.setattr(encoding, "Engine", stop)
    for name in ("library", "cache", "models"):
        monkeypatch.setenv(f"CLIPSEARCH_{name.upper()}", str(tmp_path / name))
    monkeypatch.chdir(tmp_path)
    Path("set/cat").mkdir(parents=True)
    Path("set/cat/a.jpg").touch()
    Path("captions.tsv").write_text("set/cat/a.jpg\ta cat\n")
    with pytest.raises(Stopped) as caught:
        cli.main([*verb, "--backend", "onnxruntime-webgpu", "--threads", "3"], standalone_mode=False)
    asked = caught.value.args[0]
    assert (asked["backend"], asked["threads"]) == ("onnxruntime-webgpu", 3)


def test_nodes_are_compared_by_as_many_threads_as_were_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def stop(card: object, tower: str, candidate: Candidate) -> None:
        raise Stopped(candidate.way.threads)

    monkeypatch.setattr(layers, "compared_layers", stop)
    for name in ("library", "cache", "models"):
        monkeypatch.setenv(f"CLIPSEARCH_{name.upper()}", str(tmp_path / name))
    for more in ([], ["--variant", "fp32"]):
        with pytest.raises(Stopped) as caught:
            cli.main(["model", "verify", "starter", "--layers", "--threads", "3", *more], standalone_mode=False)
        assert caught.value.args == (3,)
