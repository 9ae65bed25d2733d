"""What all files together may take."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from clipsearch.decoding import budget as module
from clipsearch.decoding.budget import Budget, file_bytes, machine_bytes, total_bytes


def test_files_together_never_take_more_than_the_budget_and_a_larger_one_is_alone() -> None:
    """Four scans of 200 megapixels at once would push the machine into swap."""
    budget, lock = Budget(100), threading.Lock()
    now: list[int] = []
    seen: list[list[int]] = []

    def use(count: int) -> None:
        with budget.taking(count):
            with lock:
                now.append(count)
                seen.append(list(now))
            with lock:
                now.remove(count)

    sizes = [random.Random(seed).choice([5, 30, 60, 250]) for seed in range(400)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(use, sizes))
    assert len(seen) == len(sizes)
    assert all(sum(together) <= 100 or len(together) == 1 for together in seen)


def test_files_that_fit_together_do_not_wait_for_each_other() -> None:
    """One at a time, half of the cores would idle."""
    budget = Budget(100)
    with budget.taking(40), budget.taking(60), ThreadPoolExecutor(1) as threads:
        third = threads.submit(lambda: budget.taking(1).__enter__())
        while not budget._queue:
            pass
        assert not third.done()
        budget.close()


def test_a_large_file_is_not_passed_by_small_ones_for_ever() -> None:
    """It would be the last of a million photos, or never read."""
    budget = Budget(100)
    order: list[str] = []
    began = threading.Event()

    def use(name: str, count: int) -> None:
        with budget.taking(count):
            order.append(name)

    with ThreadPoolExecutor(8) as threads, budget.taking(10):
        threads.submit(lambda: (began.set(), use("large", 500)))
        began.wait(10)
        while not budget._queue:
            pass
        small = [threads.submit(use, "small", 1) for _ in range(5)]
        while len(budget._queue) < 6:
            pass
        assert not any(one.done() for one in small)
    assert order == ["large", *["small"] * 5]


def test_who_waits_is_let_go_when_it_closes() -> None:
    """Ctrl-C would hang behind the photo that waits for room."""
    budget = Budget(10)
    with ThreadPoolExecutor(1) as threads, budget.taking(10):
        waiting = threads.submit(lambda: budget.taking(5).__enter__())
        while not budget._queue:
            pass
        budget.close()
        waiting.result(timeout=10)


def test_the_budget_follows_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A NAS with 1 GB must not be given what a workstation is."""
    assert 0 < total_bytes(1) <= total_bytes(64) <= machine_bytes() // 4
    monkeypatch.setattr(module, "machine_bytes", lambda: 1 << 30)
    assert total_bytes(64) == file_bytes() == 256 << 20
