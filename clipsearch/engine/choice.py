"""Which way to run a model on this machine: each candidate is measured once, in a child process, and judged here.

A candidate must reproduce the model's golden vectors, whoever its batch mates are; of those that do, the fastest
encodes photos, and the one that answers a first text soonest encodes queries. The verdicts are kept in the cache
folder and hold until the machine, a runtime or the model changes.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, astuple, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from clipsearch.engine.backends import TABLE, Way, is_installed, usable_cores
from clipsearch.engine.candidates import Candidate, fits, refusal, variant_of
from clipsearch.engine.cards import ModelCard
from clipsearch.files import replace_unsynced
from clipsearch.types import MeasuredWay

Purpose = Literal["ingest", "query"]

BUDGET_S = 20.0  # for all candidates of a model; those left over are said to be unmeasured
CANDIDATE_S = 10.0  # for one
MEMORY_BYTES = 8 << 30  # for one
LEAST_COSINE = 0.999  # with the golden vectors of its variant
LEAST_WITH_MATES = 0.9995  # of a photo alone with the same photo in a batch
_NEARLY = 0.97  # of the best rate: the smallest batch that comes so near takes the least memory
_VERDICTS = {("ingest", "query"): "good", ("ingest",): "photos only", ("query",): "texts only", (): "refused"}
_FORMAT = 1  # of the file; raise it when what is measured changes


def measured_ways(card: ModelCard, cache: Path) -> tuple[MeasuredWay, ...]:
    """The verdicts for this model on this machine, measured now if they are not known. Fastest for photos first."""
    return known_ways(card, cache) or _kept(card, cache, _measured(card))


def known_ways(card: ModelCard, cache: Path) -> tuple[MeasuredWay, ...]:
    """What was measured before; nothing where that was on another machine, with other runtimes or another model."""
    try:
        kept = json.loads(_file(card, cache).read_bytes())
        if isinstance(kept, dict) and kept.get("of") == _of(card):
            return tuple(_read(row) for row in kept["ways"])
    except (OSError, ValueError, TypeError, KeyError):  # none yet, or a torn file of a cache
        pass
    return ()


def chosen(ways: tuple[MeasuredWay, ...], purpose: Purpose) -> Candidate | None:
    """The candidate that was best at it; None where nothing good was found."""
    for one in ways:
        if purpose in one.chosen_for:
            batch = one.batch if purpose == "ingest" else 1
            return Candidate(Way(one.runtime, one.device, one.arithmetic, one.threads), one.precision, batch)
    return None


def forget(card: ModelCard, cache: Path) -> None:
    """The next question measures again."""
    _file(card, cache).unlink(missing_ok=True)


# -- measuring ------------------------------------------------------------------------------------


def _measured(card: ModelCard) -> tuple[MeasuredWay, ...]:
    deadline = time.monotonic() + BUDGET_S
    golden = _golden(card)
    rows = []
    for candidate in _candidates(card, deadline):
        row, golden = _tried(card, candidate, golden, deadline)
        rows.append(row)
    return _with_choices(rows)


def _candidates(card: ModelCard, deadline: float) -> Iterator[Candidate]:
    """Every variant every way that fits it, plain ones first: they tell what the others must reproduce."""
    listed = [way for runtime in TABLE if is_installed(runtime) for way in _ways(runtime, deadline)]
    for variant in card.variants:
        for way in sorted(listed, key=lambda way: way.arithmetic != "f32"):
            if fits(variant, way):
                yield Candidate(replace(way, threads=usable_cores()), variant.name)


def _ways(runtime: str, deadline: float) -> list[Way]:
    """What the runtime lists, asked in a child: a broken driver crashes whoever counts its devices."""
    found = _asked(runtime, {}, deadline)
    if isinstance(found, str):
        return [Way(runtime)]  # trying it will say what is wrong
    return [Way(runtime, device, arithmetic) for device, arithmetic in found["ways"]]


def _tried(
    card: ModelCard, candidate: Candidate, golden: dict[str, NDArray[np.float32]], deadline: float
) -> tuple[MeasuredWay, dict[str, NDArray[np.float32]]]:
    """The verdict on one candidate, and the golden vectors: the first good one of a variant gives those that miss."""
    way = candidate.way
    row = MeasuredWay(way.runtime, way.device, way.arithmetic, candidate.variant, candidate.batch, way.threads)
    if reason := refusal(variant_of(card, candidate.variant)):
        return replace(row, verdict="refused", reason=reason), golden
    found = _asked(
        way.runtime,
        {
            "card": str(card.folder), "device": way.device, "arithmetic": way.arithmetic,
            "threads": way.threads, "variant": candidate.variant,
        },
        deadline,
    )  # fmt: skip
    if isinstance(found, str):
        return replace(row, verdict="failed", reason=found), golden
    image = np.array(found["image_vectors"], np.float32)
    text = np.array(found["text_vectors"], np.float32)
    golden = {f"image {candidate.variant}": image, f"text {candidate.variant}": text} | golden
    cosines = {
        "ingest": _least_cosine(image, golden[f"image {candidate.variant}"]),
        "query": _least_cosine(text, golden[f"text {candidate.variant}"]),
    }
    rates = {int(batch): rate for batch, rate in found["rates"].items()}
    steady = {batch: rate for batch, rate in rates.items() if found["mates"][str(batch)] >= LEAST_WITH_MATES}
    fit = tuple(purpose for purpose, cosine in cosines.items() if cosine >= LEAST_COSINE)  # NaN is none
    reasons = [
        f"its vectors of {what} are not the model's: cosine {cosines[purpose]:.3f}, {LEAST_COSINE} is asked for"
        for purpose, what in (("ingest", "photos"), ("query", "texts"))
        if purpose not in fit
    ]
    if moved := sorted(rates.keys() - steady.keys()):
        lowest = min(found["mates"].values())
        reasons.append(f"a photo's vector moves with its mates in batches of {_listed(moved)}: cosine {lowest:.4f}")
        fit = fit if steady else tuple(purpose for purpose in fit if purpose != "ingest")
    fastest = max((steady or rates).values())
    batch = min(one for one, rate in (steady or rates).items() if rate >= _NEARLY * fastest)
    row = replace(
        row,
        batch=batch,
        images_per_s=round((steady or rates)[batch], 2),
        query_ms=round(found["query_ms"], 2),
        cold_ms=round(found["cold_ms"], 1),
        cosine=round(min(cosines.values()), 5),
        peak_mb=None if found["peak_mb"] is None else round(found["peak_mb"]),
        verdict=_VERDICTS[fit],
        reason="; ".join(reasons),
        fit_for=fit,
    )
    return row, golden


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))


def _asked(runtime: str, job: dict[str, Any], deadline: float) -> dict[str, Any] | str:
    """What the child found, or the sentence why it did not."""
    left = min(CANDIDATE_S, deadline - time.monotonic())
    if left <= 0:
        return f"not measured: the {BUDGET_S:.0f} s for measuring were used up"
    entry = TABLE[runtime]
    job = {"runtime": [runtime, *astuple(entry)], "memory_limit": MEMORY_BYTES, **job}
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "clipsearch.engine.measure"],
            input=json.dumps(job).encode(),
            capture_output=True,
            timeout=left,
            check=False,
            start_new_session=True,  # Ctrl-C is the parent's; `run` kills and reaps the child then
        )
    except subprocess.TimeoutExpired:
        return f"it took longer than {left:.0f} s"
    if done.returncode < 0:
        return f"it crashed (signal {-done.returncode})"
    if done.returncode:
        return _last_words(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _last_words(stderr: bytes) -> str:
    """The last line of a traceback: the error and what it says."""
    lines = stderr.decode("utf-8", "replace").strip().splitlines() or ["it failed without a word"]
    name, _, words = lines[-1].partition(": ")
    return (
        "it needs more memory than it may take"
        if name.endswith("MemoryError")
        else " ".join((words or name).split())[:200]
    )


def _golden(card: ModelCard) -> dict[str, NDArray[np.float32]]:
    """The vectors that the model's maker got from the reference."""
    path = card.folder / "golden.npz"
    if not path.is_file():
        return {}
    name = card.reference.name
    with np.load(path) as archive:
        return {f"image {name}": archive["image_vectors"], f"text {name}": archive["text_vectors"]}


def _least_cosine(some: NDArray[np.float32], others: NDArray[np.float32]) -> float:
    if some.shape != others.shape:
        return float("nan")
    lengths = np.linalg.norm(some, axis=1) * np.linalg.norm(others, axis=1)
    return float(((some * others).sum(axis=1) / lengths).min())


def _with_choices(rows: list[MeasuredWay]) -> tuple[MeasuredWay, ...]:
    """The rows, the fastest first, each with what it was chosen for."""
    for_photos = [row for row in rows if "ingest" in row.fit_for]
    for_texts = [row for row in rows if "query" in row.fit_for]
    best = {
        "ingest": max(for_photos, key=lambda row: row.images_per_s or 0, default=None),
        # A query is a process of its own, which opens its model first.
        "query": min(for_texts, key=lambda row: (row.cold_ms or 0) + (row.query_ms or 0), default=None),
    }
    with_choices = [
        replace(row, chosen_for=tuple(purpose for purpose, one in best.items() if one is row)) for row in rows
    ]
    return tuple(sorted(with_choices, key=lambda row: -(row.images_per_s or 0)))


# -- what was measured before ---------------------------------------------------------------------


def _read(row: dict[str, Any]) -> MeasuredWay:
    return MeasuredWay(**{**row, "fit_for": tuple(row["fit_for"]), "chosen_for": tuple(row["chosen_for"])})


def _file(card: ModelCard, cache: Path) -> Path:
    return cache / f"ways-{card.image_fingerprint[:16]}.json"


def _kept(card: ModelCard, cache: Path, ways: tuple[MeasuredWay, ...]) -> tuple[MeasuredWay, ...]:
    cache.mkdir(parents=True, exist_ok=True)
    content = {"of": _of(card), "ways": [asdict(way) for way in ways]}
    replace_unsynced(_file(card, cache), json.dumps(content, indent=1).encode())
    return ways


def _of(card: ModelCard) -> dict[str, Any]:
    """What the verdicts depend on."""
    files = [[one.name, one.image.sha256, one.text.sha256, list(one.runtimes), refusal(one)] for one in card.variants]
    return {
        "format": _FORMAT,
        "machine": [platform.system(), platform.machine(), _processor(), usable_cores()],
        "runtimes": {runtime: _version(entry.package) for runtime, entry in TABLE.items()},
        "model": [card.image_fingerprint, card.text_fingerprint, files],
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def _version(package: str) -> str | None:
    """None where it is not installed under that name; onnxruntime-gpu brings the module of another package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
