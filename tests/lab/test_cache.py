"""The text cache's gain: what is divided by what."""

from __future__ import annotations

from pathlib import Path

import pytest

from clipsearch.encoding import Engine
from clipsearch.lab import cache as module
from clipsearch.lab.cache import CacheTimes, Session, TextCacheGain, finding, text_cache_gain
from tests.support.small import small_model

GAIN = TextCacheGain("small", "fp32", (CacheTimes(100, 5, 300.0, 204.0, 6.0, 0.5),), Session(100, 2000.0, 80.0))


def test_the_cache_is_asked_and_not_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that is missed each time would be as fast as the model, and nobody would see why."""
    monkeypatch.setattr(module, "ASKED", 7)
    with Engine(small_model(tmp_path / "small"), cache_folder=tmp_path / "cache") as engine:
        asked: list[int] = []
        encode = engine.freshly_encoded

        def counting(texts: list[str]):
            asked.append(len(texts))
            return encode(texts)

        monkeypatch.setattr(engine, "freshly_encoded", counting)
        gain = text_cache_gain(engine, (3,))
    rounds = gain.times[0].rounds
    # The first opening, what fills the cache, two ways in each round; a session past the cache, the miss of the other.
    assert asked == [1, 3, *[3, 3] * rounds, *[1] * 7, 1]
    assert not (tmp_path / "cache" / "cache.db").exists(), "the user's own cache was asked"


def test_what_follows_from_counting_is_never_among_what_was_measured() -> None:
    """35, 99 and 100 times were quoted for one cache: one of them is a time divided by a time."""
    told = finding(GAIN)
    assert told.says.startswith("100 texts from the cache in 6.0 ms: 34 times as fast as from the open model, 50 times")
    quotients = told.tables[1]
    assert [column.origin for column in quotients.columns] == ["name", "name", "measured", "computed"]
    assert {row[3] for row in quotients.rows if row[2] is None} == {99.0, 100.0}
    assert all(row[3] is None for row in quotients.rows if row[2] is not None)
    assert quotients.rows[-3][2] == 25.0  # 2,000 : 80
