"""What a shared library of a million photos costs and finds: export, first query, warm queries, recall, filters.

    python make_vectors.py VECTORS --n 1000000
    python benchmarks/shared.py --vectors VECTORS --library DIR --to URI [--queries N]

Needs the extra `lance`. The library is that of scale.py, made in DIR if it is not there yet; URI is a folder, or on an
object store. One JSON line a measurement. Recall@20 is the share of the 20 true nearest, by the same question asked
with `exact`; scores are compared with those of the local library. `first query` is a process that has nothing of the
library yet and fetches its catalog, `next query` a process that has; both ask a text that the model has seen.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scale import STARTER, Vectors, fill, known, report, spending, spread, timed, unit

from clipsearch.config import Paths, SharedLibrary, resolved_paths
from clipsearch.index.catalog import Catalog
from clipsearch.index.vectors import make_checkpoint
from clipsearch.library import Library

K = 20
FILTERS = ("taken:2013-05-04", "taken:2013-05", "year:2014", "camera:nikon", "-camera:nikon", "in:2010")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=Path, required=True, metavar="DIR", help="what make_vectors.py wrote")
    parser.add_argument("--library", type=Path, required=True, metavar="DIR", help="made there, and kept")
    parser.add_argument("--to", required=True, metavar="URI", help="where the shared library is written")
    parser.add_argument("--rows", type=int, default=1_000_000, metavar="N", help="photos (default 1,000,000)")
    parser.add_argument("--queries", type=int, default=100, metavar="N", help="of each kind (default 100)")
    arguments = parser.parse_args()
    folder: Path = arguments.library
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "catalog.db").exists():
        fill(folder, arguments.vectors, arguments.rows)
        with Catalog.open_writer(folder / "catalog.db") as catalog:
            make_checkpoint(catalog, known(catalog), folder / "vectors")
    local = Paths(folder, folder / "cache", folder / "models")
    library = SharedLibrary.named(arguments.to)
    with Library(local) as opened:
        begun = time.perf_counter()
        done = opened.share(arguments.to)
        report("export", photos=done.photos, s=round(time.perf_counter() - begun, 1), version=done.version)
    cache = folder / "readers"
    shutil.rmtree(cache, ignore_errors=True)
    environment = {"CLIPSEARCH_CACHE": str(cache), "CLIPSEARCH_MODELS": str(folder / "models")}
    starts(library, local, environment)
    shared = resolved_paths(str(library), {**os.environ, **environment})
    texts = unit(np.fromfile(arguments.vectors / "queries.f16", np.float16).reshape(-1, STARTER.dim))
    with Library(local) as ours, Library(shared) as theirs:
        with Catalog.open_reader(folder / "catalog.db") as catalog:
            images = unit(catalog.sample(known(catalog), arguments.queries)[: arguments.queries])
        recall(theirs, ours, "text", texts[: arguments.queries])
        recall(theirs, ours, "image", images)
        filtered(theirs, ours)


def starts(library: SharedLibrary, local: Paths, environment: dict[str, str]) -> None:
    """Whole processes, as a person waits for them."""

    def asked(name: str) -> float:
        command = [sys.executable, "-m", "clipsearch", "--library", name, "search", "--all", "a dog on a beach"]
        everything = {**os.environ, **environment}
        return timed(lambda: subprocess.run(command, env=everything, check=True, stdout=subprocess.DEVNULL))

    report("first query, whole process", s=round(asked(str(library)), 1))
    asked(local.named)
    turns = [(asked(str(library)), asked(local.named)) for _ in range(5)]
    report(
        "next query, whole process", min_s=round(min(shared for shared, _ in turns), 2),
        local_min_s=round(min(ours for _, ours in turns), 2),
    )  # fmt: skip
    kept = sum(path.stat().st_size for path in Path(environment["CLIPSEARCH_CACHE"]).glob("shared/*/*"))
    report("kept by each reader", mb=round(kept / 1e6))


def recall(theirs: Library, ours: Library, name: str, asked: Vectors) -> None:
    """Of the plan itself, over vectors."""
    space = theirs._opened.space()
    plan, catalog = theirs._opened.nearest, theirs._opened.catalog
    spent, hits, least, same = [], 0, K, 0
    for vector in asked:
        spent.append(spending(lambda one=vector: plan.find(catalog, space, one, K, is_image=name == "image")))
        found = plan.find(catalog, space, vector, K, is_image=name == "image")
        true = plan.find(catalog, space, vector, K, is_image=False, exact=True)
        local = ours._opened.nearest.find(
            ours._opened.catalog, ours._opened.space(), vector, K, is_image=False, exact=True
        )
        both = len(set(found.ids.tolist()) & set(true.ids.tolist()))
        hits, least = hits + both, min(least, both)
        same += bool(np.array_equal(true.ids, local.ids) and np.array_equal(true.scores, local.scores))
    report(
        f"{name}, k={K}", plan=found.plan, recall=round(hits / (K * len(asked)), 4), worst=least / K, **spread(spent),
        exact_is_the_local_exact=f"{same} of {len(asked)}",
    )  # fmt: skip


def filtered(theirs: Library, ours: Library) -> None:
    """Through `Library.search`: the same hits with the same scores as from the local library, asked with `exact`."""
    for condition in FILTERS:
        text = f"a dog on a beach {condition}"
        answer, local = theirs.search(text), ours.search(text, exact=True)
        turns = [[spending(lambda one=one, text=text: one.search(text)) for one in (theirs, ours)] for _ in range(7)]
        report(
            f"text with {condition}", photos=answer.searched, plan=answer.plan,
            **spread([shared for shared, _ in turns]),
            local_min_ms=round(min(wall for _, (wall, _) in turns), 1),
            same_as_local_exact=_told(answer.hits) == _told(local.hits),
        )  # fmt: skip


def _told(hits: Sequence[object]) -> str:
    return json.dumps([(one.path.decode(), one.score, one.relevance) for one in hits])  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
