"""What it takes to merge bundles into a library, beside a bare `executemany` of the same rows, and the memory of each.

    python benchmarks/merge.py --rows 1000000 > merge.jsonl

Rows are synthetic (512 dimensions, unit vectors, a file and a camera each); no photo and no model is involved. Each
step is a process of its own, so that its peak memory is its own.

`bare` is one table with the same columns and a unique digest, with SQLite's settings of a library, in one transaction;
only its `executemany` and its commit are timed, the rows lie in memory. `merge` is the whole verb: bundles read and
checked, rows into the library's own tables with their indexes and triggers. `ratio` is its time to that of `bare`,
`core_ratio` the same in core-seconds, which say more where the machine does other things too. The checkpoint that
follows is a step of its own (docs/scale.md has what it takes).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

DIM = 512
BUNDLES = 4
PART_ROWS = 8192


def fill(folder: Path, rows: int) -> dict[str, object]:
    """Bundles as `clipsearch index --bundle` writes them."""
    from clipsearch.bundles.folder import create_folder, seal, write_part
    from clipsearch.bundles.rows import Header, Photo, Place
    from clipsearch.index.catalog import DESCRIPTION
    from clipsearch.types import Metadata, SpaceIdentity

    header = Header(SpaceIdentity("synthetic", "starter", DIM), DESCRIPTION, "benchmark")
    chance = np.random.default_rng(0)
    parts: list[list[object]] = [[] for _ in range(BUNDLES)]
    for number in range(BUNDLES):
        create_folder(folder / f"bundle-{number}")
    for turn, first in enumerate(range(0, rows, PART_ROWS)):
        count = min(PART_ROWS, rows - first)
        vectors = chance.standard_normal((count, DIM), np.float32)
        vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype("<f2")
        some = [
            Photo(
                Place(b"/synthetic", b"%d/%d.jpg" % (number // 1000, number), 4_000_000, number, number),
                hashlib.sha256(b"%d" % number).digest(),
                Metadata(
                    4000, 3000, "JPEG", taken_at="2011-10-02T14:03:07", camera=f"Camera {number % 7}",
                    colors=("blue", "gray"), phash=number * 2654435761 % 2**63,
                    phash_fine=hashlib.sha256(b"p%d" % number).digest()[:24], keywords=("holiday",),
                ),
                vector.tobytes(),
                "fp32/synthetic",
            )
            for number, vector in enumerate(vectors, first)
        ]  # fmt: skip
        bundle = turn % BUNDLES
        parts[bundle].append(write_part(folder / f"bundle-{bundle}", header, some))
    for number in range(BUNDLES):
        seal(folder / f"bundle-{number}", header, parts[number])
    size = sum(file.stat().st_size for file in folder.glob("bundle-*/*"))
    return {"bytes": size}


def bare(folder: Path) -> dict[str, object]:
    from clipsearch.bundles.folder import read_manifest, read_part
    from clipsearch.index.catalog import METADATA, described

    names = METADATA.replace("photo.", "")
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA cache_size = -262144")
    connection.execute(
        f"CREATE TABLE row (id INTEGER PRIMARY KEY, digest BLOB UNIQUE, root, path, size, mtime_ns, inode, {names}, "
        "vector BLOB, variant)".replace("photo.", "")
    )
    spent = core = 0.0
    connection.execute("BEGIN")
    for number in range(BUNDLES):
        bundle = folder / f"bundle-{number}"
        for part in read_manifest(bundle).parts:
            for rows in read_part(bundle, part):
                values = [(row.digest, *row.place, *described(row.metadata), row.vector, row.variant) for row in rows]
                marks = ", ".join("?" * len(values[0]))
                columns = f"digest, root, path, size, mtime_ns, inode, {names}, vector, variant"
                started, began = time.perf_counter(), time.process_time()
                connection.executemany(f"INSERT INTO row ({columns}) VALUES ({marks})", values)
                spent, core = spent + time.perf_counter() - started, core + time.process_time() - began
    started, began = time.perf_counter(), time.process_time()
    connection.execute("COMMIT")
    spent, core = spent + time.perf_counter() - started, core + time.process_time() - began
    count = connection.execute("SELECT count(*) FROM row").fetchone()[0]
    return {"rows_added": count, "seconds": round(spent, 2), "core_s": round(core, 2)}


def library_steps(name: str, folder: Path) -> dict[str, object]:
    from clipsearch.config import Paths
    from clipsearch.library import Library
    from clipsearch.transfer import merging

    bundles = sorted(folder.glob("bundle-*"))
    with Library(Paths(folder / "library", folder / "cache", folder / "models")) as library:
        if name == "check":
            return {"photos": library.merge(bundles, dry_run=True).photos}
        if name != "checkpoint":
            merging.renew_checkpoint = lambda *_: None  # a step of its own
        done = library.merge(bundles)
        return {"photos": done.photos, "known": done.known}


STEPS = ("fill", "bare", "merge", "again", "check")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="where to work, for gigabytes; a temporary folder if not said")
    parser.add_argument(
        "--checkpoint", action="store_true", help="time the checkpoint too: minutes from 200,000 rows on"
    )
    parser.add_argument("--step", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        started, core = time.perf_counter(), time.process_time()
        if arguments.step == "fill":
            result = fill(arguments.folder, arguments.rows)
        elif arguments.step == "bare":
            result = bare(arguments.folder)
        else:
            result = library_steps(arguments.step, arguments.folder)
        seconds, core_s = round(time.perf_counter() - started, 2), round(time.process_time() - core, 2)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(json.dumps({"step": arguments.step, "seconds": seconds, "core_s": core_s, "peak_mib": peak, **result}))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        peer: dict[str, float] = {}
        for name in (*STEPS, "checkpoint") if arguments.checkpoint else STEPS:
            command = [sys.executable, __file__, "--rows", str(arguments.rows), "--step", name, "--folder", folder]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            fields = json.loads(done.stdout)
            peer = fields if name == "bare" else peer
            if name == "merge":
                fields["ratio"] = round(fields["seconds"] / peer["seconds"], 2)
                fields["core_ratio"] = round(fields["core_s"] / peer["core_s"], 2)
            print(json.dumps({"rows": arguments.rows, **fields}), flush=True)


if __name__ == "__main__":
    main()
