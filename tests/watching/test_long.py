"""Hours in minutes: bursts, and whether the watcher grows."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import time
from pathlib import Path

import pytest

from clipsearch.config import Paths
from tests.support.encoder import HashEncoder
from tests.watching.test_changes import Disorder, tree
from tests.watching.watched import state, watching


def small(path: Path, number: int) -> None:
    """A picture of its own in 300 bytes, made a hundred times faster than a JPEG."""
    pixels = number.to_bytes(3, "big") * 96
    path.write_bytes(b"P6 8 12 255\n" + pixels)


def resident_kb() -> int:
    return int(Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_burst_of_ten_thousand_files_is_all_there(fast: list[HashEncoder], paths: Paths, tmp_path: Path) -> None:
    """A memory card is copied: more events than the kernel keeps, and all photos are found."""
    folder = tree(tmp_path / "photos")
    with watching(paths, folder) as watch:
        for number in range(10_000):
            target = folder / f"burst-{number % 50:02d}"
            target.mkdir(exist_ok=True)
            small(target / f"{number}.ppm", number)
        deadline = time.monotonic() + 300
        while len(state(paths)) < 10_006:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        watch.agrees()
        for number in range(50):
            shutil.rmtree(folder / f"burst-{number:02d}")
        watch.agrees()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_it_does_not_grow_with_what_happens(fast: list[HashEncoder], paths: Paths, tmp_path: Path) -> None:
    """A service that leaks a megabyte an hour is restarted by hand once a week, or deinstalled."""
    folder = tree(tmp_path / "photos")
    disorder = Disorder(folder, 4711)
    measured: list[tuple[int, int, int]] = []
    with watching(paths, folder) as watch:
        for round_ in range(40):
            for _ in range(100):
                disorder.step()
            small(folder / "last.ppm", round_)
            watch.until(lambda: is_current(paths, folder))
            del watch.events[:]
            files = len(os.listdir("/proc/self/fd"))
            watched = sum(
                Path(f"/proc/self/fdinfo/{one}").read_text().count("inotify wd:")
                for one in os.listdir("/proc/self/fd")
                if Path(f"/proc/self/fdinfo/{one}").exists()
            )
            measured.append((resident_kb(), files, watched))
        watch.agrees()
    early, late = measured[10], measured[-1]
    assert late[1] <= early[1] + 2, f"descriptors: {measured}"
    assert late[0] - early[0] < 8_000, f"kB resident: {measured}"


def is_current(paths: Paths, folder: Path) -> bool:
    """The last file that was written is known as it is; quicker than a fresh index."""
    known = state(paths).get(os.fsencode(folder / "last.ppm"))
    return known is not None and known[0] == hashlib.sha256((folder / "last.ppm").read_bytes()).digest()
