"""Files that are still being written: no failure, no half picture, and nobody waits for ever."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from clipsearch.config import Paths
from clipsearch.events import Summary
from tests.index.filled import photo
from tests.support.encoder import HashEncoder
from tests.watching.watched import QUICK, Watch, state, wait_until, watching


def failures(watch: Watch) -> int:
    return sum(event.failed for event in list(watch.events) if isinstance(event, Summary))


@pytest.mark.parametrize("poll_s", [None, pytest.param(0.1, marks=pytest.mark.slow)])
def test_a_photo_that_is_being_copied_is_not_read_before_it_is_whole(
    fast: list[HashEncoder], paths: Paths, tmp_path: Path, poll_s: float | None
) -> None:
    """Each photo of a slow copy would first be a failure that worries somebody."""
    folder = photo(tmp_path / "photos" / "1.jpg", 1).parent
    data = photo(tmp_path / "2.jpg", 2).read_bytes()
    with watching(paths, folder, poll_s=poll_s, pace=replace(QUICK, again_s=3.0, stalled_s=10.0, open_s=60.0)) as watch:
        with (folder / "2.jpg").open("wb") as copy:
            for start in range(0, len(data), 50):
                copy.write(data[start : start + 50])
                copy.flush()
                before = len(watch.events)
                photo(folder / f"other-{start}.jpg", start + 10)  # looks go on meanwhile, at this folder too
                watch.until(lambda before=before: len(watch.events) > before)
                assert os.fsencode(folder / "2.jpg") not in state(paths)
        watch.agrees()
        assert failures(watch) == 0


def test_a_photo_whose_writer_never_closes_it_is_taken_in_the_end(
    fast: list[HashEncoder], paths: Paths, tmp_path: Path
) -> None:
    """A program that keeps its files open would keep them out of the library."""
    folder = photo(tmp_path / "photos" / "1.jpg", 1).parent
    data = photo(tmp_path / "2.jpg", 2).read_bytes()
    with watching(paths, folder) as watch, (folder / "2.jpg").open("wb") as copy:
        copy.write(data)
        copy.flush()
        watch.agrees()


def test_a_file_that_is_written_to_for_ever_holds_back_no_other(
    fast: list[HashEncoder], paths: Paths, tmp_path: Path
) -> None:
    """One time-lapse that never ends must not stop the inbox it lies in."""
    folder = photo(tmp_path / "photos" / "1.jpg", 1).parent
    with watching(paths, folder) as watch, (folder / "endless.jpg").open("wb") as endless:
        photo(folder / "2.jpg", 2)

        def both() -> bool:
            endless.write(b"more")
            endless.flush()
            known = state(paths)
            return os.fsencode(folder / "2.jpg") in known and os.fsencode(folder / "endless.jpg") in known

        wait_until(both)
        assert watch.error is None
