"""A digest is remembered only as long as the file is certainly what it was."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from clipsearch.engine import digests
from clipsearch.engine.cards import TowerFile, read_card
from clipsearch.engine.digests import sha256
from clipsearch.engine.store import STARTER_FOLDER
from clipsearch.engine.towers import TextTower
from clipsearch.errors import ModelError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(digests, "_SETTLED_NS", -1)  # files of a test are young
    return tmp_path / "cache"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    file = tmp_path / "text.onnx"
    file.write_bytes(b"weights")
    return file


def of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def no_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests.hashlib, "file_digest", None)  # to call it would fail


def test_a_file_that_stays_is_read_once(weights: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each cold query would read 254 MB to find out that nothing has changed."""
    assert sha256(weights, cache) == of(b"weights")
    no_hashing(monkeypatch)
    assert sha256(weights, cache) == of(b"weights")


@pytest.mark.parametrize("how", ["in place", "by another file", "with its time set back", "by a copy that keeps times"])
def test_a_file_that_changed_is_read_again(weights: Path, cache: Path, tmp_path: Path, how: str) -> None:
    """A swapped file gives plausible vectors of another space; of the same size, too."""
    sha256(weights, cache)
    times = (weights.stat().st_atime_ns, weights.stat().st_mtime_ns)
    other = tmp_path / "other"
    other.write_bytes(b"WEIGHTS")
    if how == "by another file":
        os.utime(other, ns=times)
        other.replace(weights)
    elif how == "by a copy that keeps times":
        os.utime(other, ns=times)
        shutil.copy2(other, weights)
    else:
        weights.write_bytes(b"WEIGHTS")
        if how == "with its time set back":
            os.utime(weights, ns=times)
    assert sha256(weights, cache) == of(b"WEIGHTS")


def test_a_file_that_is_young_is_not_remembered(weights: Path, tmp_path: Path) -> None:
    """It may change again within a tick of the clock, and look the same."""
    cache = tmp_path / "cache"
    assert sha256(weights, cache) == of(b"weights")
    assert not cache.exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"x": 1}', b"\xff"])
def test_a_torn_memory_is_none(weights: Path, cache: Path, content: bytes) -> None:
    cache.mkdir()
    (cache / "digests.json").write_bytes(content)
    assert sha256(weights, cache) == of(b"weights")


def test_the_memory_does_not_grow_for_ever(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "_MOST", 3)
    files = [tmp_path / f"{number}" for number in range(5)]
    for file in files:
        file.write_bytes(file.name.encode())
        sha256(file, cache)
    no_hashing(monkeypatch)
    assert [sha256(file, cache) for file in files[2:]] == [of(file.name.encode()) for file in files[2:]]
    with pytest.raises(TypeError):
        sha256(files[0], cache)


def test_a_cache_that_cannot_be_written_costs_time_only(weights: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    assert sha256(weights, file / "cache") == of(b"weights")


def test_weights_beside_a_graph_are_verified_too(cache: Path) -> None:
    """A graph whose weights were swapped is as whole as before."""
    card = read_card(STARTER_FOLDER)
    text = replace(card.reference.text, data=(("tokenizer.json", of(b"another")),))
    assert isinstance(text, TowerFile)
    with pytest.raises(ModelError, match=r"tokenizer\.json does not match its card"):
        TextTower(replace(card, variants=(replace(card.reference, text=text),)), cache=cache)
