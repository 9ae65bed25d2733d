"""What is timed, and what of it counts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clipsearch.evaluation import speed
from clipsearch.evaluation.speed import median_seconds, plain_texts, text_ms


class Clock:
    """Time that passes only where it is said to."""

    def __init__(self) -> None:
        self.now = 0.0

    def passes(self, seconds: Iterator[float]) -> None:
        self.now += next(seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(speed.time, "perf_counter", lambda: clock.now)
    return clock


def test_planning_for_a_new_length_is_no_part_of_a_texts_time(clock: Clock) -> None:
    """The median of twenty lengths, each new, is how long a runtime plans: searches are said to be slow."""
    seen: set[str] = set()

    def encode(texts: list[str]) -> None:
        clock.passes(iter([0.002 if texts[0] in seen else 5.0]))
        seen.update(texts)

    assert text_ms(encode, ["a", "a b", "a b c"]) == pytest.approx(2)


def test_one_lucky_round_is_no_speed(clock: Clock) -> None:
    """Two programs show images/s of one model: one the fastest round and one the median, as if they were the same."""
    rounds = iter([60.0, 0.5, 0.1, 0.9])  # the first opens and plans
    assert median_seconds(lambda: clock.passes(rounds), 1.0) == pytest.approx(0.5)
    at_least = iter([60.0, 9.0, 8.0, 7.0])
    assert median_seconds(lambda: clock.passes(at_least), 0.0) == pytest.approx(8.0)


def test_few_names_give_as_many_texts() -> None:
    """A median of two classes' texts is a draw."""
    assert plain_texts(["cat", "dog"], 3) == ["a photo of a cat.", "a photo of a dog.", "a photo of a cat."]
