"""What watching costs: the watches themselves, and a look at one folder in a large library.

    python benchmarks/watching.py [--folders N] [--files N] [--runs N]

Folders lie in a temporary folder. Three JSON lines: a walk that adds a watch for each folder, as a ratio to the same
walk without; the memory of a watch, in bytes of this process; a look at one folder of `--files` known files, as a
ratio to a look at all of them (the safety net). All in this process, alternating; a ratio is the median of the pairs'.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from pathlib import Path

from reindex import Idle, know_all, reindex, seconds, write_files

from clipsearch.index import crawl
from clipsearch.index.catalog import Catalog, Part, Root
from clipsearch.index.spaces import Space
from clipsearch.index.update import Scope, update
from clipsearch.watching.inotify import Inotify
from clipsearch.watching.settling import Notes, Pace


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folders", type=int, default=50_000, metavar="N", help="watched folders (default 50,000)")
    parser.add_argument("--files", type=int, default=20_000, metavar="N", help="known files (default 20,000)")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="pairs (default 5)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        watches(Path(name) / "folders", arguments.folders, arguments.runs)
        looks(Path(name), arguments.files, arguments.runs)


def watches(top: Path, count: int, runs: int) -> None:
    for number in range(count):
        (top / f"{number % 200:03}" / f"{number:05}").mkdir(parents=True)
    root = Root(1, os.fsencode(top), False, (), None)
    pairs, grown = [], 0
    for _ in range(runs):
        bare = seconds(lambda: walked(root, None))
        source, before = Inotify(Notes(Pace())), resident_bytes()
        watched = seconds(lambda source=source: walked(root, source))  # type: ignore[misc]  # a default argument
        grown = max(grown, resident_bytes() - before)
        assert source.count(1) == count + 201, source.count(1)
        source.close()
        pairs.append((bare, watched))
    report("walk with a watch for each folder", count, [bare for bare, _ in pairs], [ours for _, ours in pairs])
    print(json.dumps({"benchmark": "memory of a watch", "folders": count, "bytes": round(grown / count)}))


def walked(root: Root, source: Inotify | None) -> int:
    def enter(folder: bytes, is_link: bool) -> None:
        if source is not None:
            source.enter(root, folder, is_link)

    return sum(1 for _ in crawl.walking(root, entering=enter))


def looks(base: Path, files: int, runs: int) -> None:
    photos, library = base / "photos", base / "library"
    library.mkdir()
    write_files(photos, files)
    with Catalog.open_writer(library / "catalog.db") as catalog:
        know_all(catalog, photos)
        space = catalog.active_space()
        assert space is not None
        reindex(catalog, space, library)
        pairs = [
            (seconds(lambda: reindex(catalog, space, library)), seconds(lambda: look(catalog, space, library)))
            for _ in range(runs)
        ]
    report("look at one folder, to all", files, [whole for whole, _ in pairs], [ours for _, ours in pairs])


def look(catalog: Catalog, space: Space, library: Path) -> int:
    idle = Idle()
    scope = Scope({1: (Part(b"007", deep=False),)})
    return len(list(update(catalog, space, library / "vectors", catalog.roots(), idle, idle, scope=scope)))


def report(what: str, count: int, bare: list[float], ours: list[float]) -> None:
    row = {
        "benchmark": what,
        "ratio": round(statistics.median(one / other for one, other in zip(ours, bare, strict=True)), 4),
        "ratio_of_minima": round(min(ours) / min(bare), 4),
        "count": count,
        "min_ms": round(min(ours) * 1000, 1),
        "baseline_min_ms": round(min(bare) * 1000, 1),
    }
    print(json.dumps(row), flush=True)


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
