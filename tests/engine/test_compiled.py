"""What is kept compiled opens faster and answers the same; what is not exactly that is made anew."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from clipsearch.engine import compiled
from clipsearch.engine.backends import Way, openvino
from clipsearch.engine.cards import read_card
from clipsearch.engine.choosing.candidates import Candidate
from clipsearch.engine.compiled import kept
from clipsearch.engine.store import STARTER_FOLDER
from clipsearch.engine.towers import ImageTower, TextTower

STARTER = read_card(STARTER_FOLDER)
OPENVINO = Candidate(Way("openvino"), "fp32")


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each graph that is opened, whether the runtime took it from what it had kept."""
    seen: list[bool] = []
    real = openvino._OpenVinoSession

    def session(graph, *, several: bool):
        seen.append(graph.get_property("LOADED_FROM_CACHE"))
        return real(graph, several=several)

    monkeypatch.setattr(openvino, "_OpenVinoSession", session)
    return seen


def blobs(cache: Path) -> list[Path]:
    return [file for file in (cache / "compiled").rglob("*") if file.suffix == ".blob"]


def test_a_text_tower_is_compiled_once(tmp_path: Path, loaded: list[bool]) -> None:
    """Each cold query would compile it again: three quarters of the time it takes to open."""
    first = TextTower(STARTER, OPENVINO, tmp_path).encode(["a dog"]).vectors
    second = TextTower(STARTER, OPENVINO, tmp_path).encode(["a dog"]).vectors
    assert loaded == [False, True] and len(blobs(tmp_path)) == 1
    assert np.abs(first - second).max() < 1e-6


@pytest.mark.parametrize("harm", ["garbled", "cut", "a stranger beside it", "no sums"])
def test_what_is_not_as_it_was_written_is_made_anew(tmp_path: Path, loaded: list[bool], harm: str) -> None:
    """A runtime that maps garbage crashes, or answers with it."""
    right = TextTower(STARTER, OPENVINO, tmp_path).encode(["a dog"]).vectors
    (blob,) = blobs(tmp_path)
    content = blob.read_bytes()
    if harm == "garbled":
        blob.write_bytes(content[: len(content) // 2] + b"\x7f" * 4096 + content[len(content) // 2 + 4096 :])
    elif harm == "cut":
        blob.write_bytes(content[: len(content) // 2])
    elif harm == "no sums":
        (blob.parent / "sums.json").unlink()
        os.utime(blob.parent, (1, 1))  # else its maker may still be at it
    else:
        (blob.parent / "other.blob").write_bytes(content)
    again = TextTower(STARTER, OPENVINO, tmp_path).encode(["a dog"]).vectors
    assert loaded == [False, False]
    assert np.abs(right - again).max() < 1e-6
    TextTower(STARTER, OPENVINO, tmp_path)
    assert loaded[-1]


def test_a_folder_that_another_process_is_filling_is_left_alone(tmp_path: Path, loaded: list[bool]) -> None:
    """Two cold queries at once: one would delete what the other writes."""
    TextTower(STARTER, OPENVINO, tmp_path)
    (blob,) = blobs(tmp_path)
    (blob.parent / "sums.json").unlink()
    TextTower(STARTER, OPENVINO, tmp_path)
    assert loaded == [False, False] and blob.exists() and not (blob.parent / "sums.json").exists()


def test_only_texts_and_only_where_it_is_used(tmp_path: Path) -> None:
    """It takes as much disk as the weights."""
    ImageTower(STARTER, OPENVINO, tmp_path)
    TextTower(STARTER, Candidate(Way("onnxruntime"), "fp32"), tmp_path)
    assert not (tmp_path / "compiled").exists()


def test_each_way_and_each_graph_has_a_folder_of_its_own(tmp_path: Path) -> None:
    tower = STARTER.reference.text
    ways = [Way("openvino"), Way("openvino", "cpu", "bf16"), Way("openvino", threads=1)]
    folders = []
    for way, of in [*((way, tower) for way in ways), (ways[0], replace(tower, sha256="another"))]:
        with kept(way, of, 1, tmp_path) as opened:
            folders.append(opened.compiled)
    assert len(set(folders)) == 4 and None not in folders


def test_the_least_recently_used_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person who tries ten models would lose 3 GB of disk."""
    monkeypatch.setattr(compiled, "_MOST_BYTES", 2500)
    folders = []
    for number in range(3):
        with kept(Way("openvino"), replace(STARTER.reference.text, sha256=str(number)), 1, tmp_path) as way:
            assert way.compiled is not None
            (way.compiled / "x.blob").write_bytes(bytes(1000))
            folders.append(way.compiled)
        os.utime(way.compiled, ns=(number, number))
    assert [folder.exists() for folder in folders] == [False, True, True]


@pytest.mark.parametrize("why", ["too large", "no cache", "weights that nobody told of", "a cache that is a file"])
def test_where_nothing_is_kept_the_way_stays_as_it_is(tmp_path: Path, why: str) -> None:
    tower, size, cache = STARTER.reference.text, 1, tmp_path
    if why == "too large":
        size = 1 << 30
    elif why == "weights that nobody told of":
        tower = replace(tower, file="text.xml")
    elif why == "a cache that is a file":
        cache = tmp_path / "file"
        cache.write_bytes(b"")
    with kept(Way("openvino"), tower, size, None if why == "no cache" else cache) as way:
        assert way == Way("openvino")
