"""What it takes to carry a library: export, import, backup, doctor, gc of many rows, and the memory each needs.

    python benchmarks/portable.py --rows 1000000 > portable.jsonl

Rows are synthetic (512 dimensions, unit vectors); no photo and no model is involved. Each step is a process of its
own, so that its peak memory is its own. `ratio` of an import is its time to that of a bare `executemany` of the same
vectors into one table, with the same settings of SQLite.
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


def fill(folder: Path, rows: int) -> dict[str, object]:
    from clipsearch.index.portable import BATCH_ROWS, Merged, PortableCatalog, PortableFile, PortableRow

    folder.mkdir()
    chance = np.random.default_rng(0)
    with PortableCatalog.open_writer(folder / "catalog.db") as catalog, catalog.transaction():
        from clipsearch.types import SpaceIdentity

        space = catalog.space_for(SpaceIdentity("synthetic", "starter", DIM))
        place = catalog.place_for(b"/synthetic", is_file=False, exclude=())
        columns = [one for one in catalog.photo_columns() if one.name in ("width", "height", "format", "camera")]
        done = Merged()
        for first in range(0, rows, BATCH_ROWS):
            count = min(BATCH_ROWS, rows - first)
            vectors = chance.standard_normal((count, DIM), np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            some = [
                PortableRow(
                    (PortableFile(0, b"%d" % (number // 1000), b"%d.jpg" % number, 4_000_000, number, number),),
                    digest=hashlib.sha256(b"%d" % number).digest(),
                    described=tuple({"width": 4000, "height": 3000, "format": "JPEG", "camera": "Camera 1"}[one.name]
                                    for one in columns),
                    vector=vector.tobytes(),
                    variant="fp32/synthetic",
                )
                for number, vector in enumerate(vectors.astype("<f2"), first)
            ]  # fmt: skip
            catalog.merge(some, columns, space, [place], done)
    return {"rows": done.photos}


def bare(folder: Path, rows: int) -> dict[str, object]:
    """Rows with a key, a digest and a vector: what an import cannot go below."""
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE row (id INTEGER PRIMARY KEY, digest BLOB UNIQUE, vector BLOB)")
    source = sqlite3.connect(folder / "library" / "catalog.db")
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO row (digest, vector) VALUES (?, ?)",
        source.execute("SELECT digest, vector FROM photo JOIN embedding ON photo_id = photo.id"),
    )
    connection.execute("COMMIT")
    return {"rows": connection.execute("SELECT count(*) FROM row").fetchone()[0]}


def step(name: str, folder: Path, rows: int) -> dict[str, object]:
    from clipsearch.config import Paths
    from clipsearch.library import Library

    library = Library(Paths(folder / "library", folder / "cache", folder / "models"))
    verb, _, form = name.partition(" ")
    if verb == "fill":
        return fill(folder / "library", rows)
    if verb == "bare":
        return bare(folder, rows)
    if verb == "export":
        return {"bytes": library.export(folder / f"library.{form}").bytes}
    if verb == "import":
        # Without a checkpoint, whose time is that of its graph: benchmarks of the index have it.
        import clipsearch.transfer.importing as importing

        importing.renew_checkpoint = lambda *_: None
        other = Library(Paths(folder / form, folder / "cache", folder / "models"))
        return {"photos": other.import_(folder / f"library.{form}").photos}
    if verb == "again":
        other = Library(Paths(folder / form, folder / "cache", folder / "models"))
        return {"photos": other.import_(folder / f"library.{form}").photos}
    if verb == "backup":
        return {"bytes": library.backup(folder / "backup.db").bytes}
    if verb == "doctor":
        return {"wrong": [check.name for check in library.check() if check.state == "wrong"]}
    assert verb == "gc", verb
    return {"photos": library.gc(dry_run=True).photos}


STEPS = ("fill", "bare", "export npz", "export parquet", "import npz", "import parquet", "backup", "doctor", "gc")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        started = time.perf_counter()
        result = step(arguments.step, arguments.folder, arguments.rows)
        seconds = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(json.dumps({"step": arguments.step, "seconds": round(seconds, 2), "peak_mib": peak, **result}))
        return
    with tempfile.TemporaryDirectory() as folder:
        bare_s = 0.0
        for name in STEPS:
            command = [sys.executable, __file__, "--rows", str(arguments.rows), "--step", name, "--folder", folder]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            fields = json.loads(done.stdout)
            bare_s = fields["seconds"] if name == "bare" else bare_s
            if name.startswith("import"):
                fields["ratio"] = round(fields["seconds"] / bare_s, 2)
            print(json.dumps({"rows": arguments.rows, **fields}), flush=True)


if __name__ == "__main__":
    main()
