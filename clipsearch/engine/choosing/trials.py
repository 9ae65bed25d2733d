"""One candidate is tried in a child process, and judged here: it must give the model's vectors, whoever its mates are.

Whatever the child does, this process goes on (child.py). Chooses nothing and keeps nothing: choice.py does.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.engine.backends import Way
from clipsearch.engine.cards import ModelCard
from clipsearch.engine.choosing.candidates import Candidate, refusal, variant_of
from clipsearch.engine.choosing.child import Failed, answered
from clipsearch.engine.golden import golden_arrays
from clipsearch.types import MeasuredWay

CANDIDATE_S = 10.0  # for one candidate
LEAST_COSINE = 0.999  # with the golden vectors of its variant
LEAST_WITH_MATES = 0.9995  # of a photo alone with the same photo in a batch
UNMEASURED = "unmeasured"  # the verdict on a candidate that got too little time
_INCOMPARABLE = "nothing says what its vectors should be: the model brings none, and the CPU gave none"
_GOES_ON = "clipsearch backends goes on"
_NEARLY = 0.97  # of the best rate: the smallest batch that comes so near takes the least memory
_VERDICTS = {("ingest", "query"): "good", ("ingest",): "photos only", ("query",): "texts only", (): "refused"}

Samples = Mapping[str, NDArray[np.generic]]
Golden = dict[str, list[list[float]]]  # "image VARIANT" and "text VARIANT" -> vectors


def listed(runtime: str, seconds: float) -> list[Way] | None:
    """What the runtime lists, asked in a child: a broken driver crashes whoever counts its devices. None: no time."""
    found = _asked(runtime, {}, seconds)
    if isinstance(found, Failed):
        # Trying the plain way will say what is wrong.
        return None if found.timed_out and seconds < CANDIDATE_S else [Way(runtime)]
    return [Way(runtime, device, arithmetic) for device, arithmetic in found["ways"]]


def tried(
    card: ModelCard, candidate: Candidate, golden: Golden, seconds: float, best_rate: float, cache: Path
) -> tuple[MeasuredWay, Golden]:
    """The verdict on one candidate, and the golden vectors: those that miss are the CPU's, in plain floats.

    Another device that has none to be compared with is refused, for its own would be right whatever they are. A
    candidate that is half as fast as `best_rate`, in images/s, is not tried in batches. Its towers open as those of a
    query will: with what `cache` remembers.
    """
    row = unmeasured(candidate)
    if reason := refusal(card, variant_of(card, candidate.variant)):
        return replace(row, verdict="refused", reason=reason, unfinished=False), golden
    if seconds <= 0:
        return row, golden
    way = candidate.way
    names = {purpose: f"{kind} {candidate.variant}" for purpose, kind in (("ingest", "image"), ("query", "text"))}
    if not golden.keys() >= set(names.values()) and (way.device, way.arithmetic) != ("cpu", "f32"):
        return replace(row, verdict="refused", reason=_INCOMPARABLE, unfinished=False), golden
    found = _asked(
        way.runtime,
        {
            "card": str(card.folder), "device": way.device, "arithmetic": way.arithmetic,
            "threads": way.threads, "variant": candidate.variant, "best_rate": best_rate, "cache": str(cache),
        },
        seconds,
    )  # fmt: skip
    if isinstance(found, Failed):
        given_all = not found.timed_out or seconds >= CANDIDATE_S
        return (replace(row, verdict="failed", reason=found.reason, unfinished=False) if given_all else row), golden
    if reason := _drift(card, candidate.variant, found, golden):
        return replace(row, verdict="refused", reason=reason, unfinished=False), golden
    golden = {names["ingest"]: found["image_vectors"], names["query"]: found["text_vectors"]} | golden
    cosines = {
        "ingest": _least_cosine(found["image_vectors"], golden[names["ingest"]]),
        "query": _least_cosine(found["text_vectors"], golden[names["query"]]),
    }
    return _judged(row, found, cosines, seconds), golden


def encoded_apart(
    card: ModelCard, candidate: Candidate, samples: Samples, seconds: float, cache: Path
) -> Samples | str:
    """What the candidate makes of the samples, in a child: unit vectors of pictures and texts, or why there are none.

    The samples are `pixels` uint8 (n, s, s, 3) and `texts`, the vectors float32 (n, dim) `images` and `texts`.
    """
    way = candidate.way
    with tempfile.TemporaryDirectory(prefix="clipsearch-") as folder:
        given, made = Path(folder) / "samples.npz", Path(folder) / "vectors.npz"
        np.savez(given, **samples)  # type: ignore[arg-type]  # numpy takes the names for its own options
        found = _asked(
            way.runtime,
            {
                "card": str(card.folder), "device": way.device, "arithmetic": way.arithmetic, "threads": way.threads,
                "variant": candidate.variant, "batch": candidate.batch, "cache": str(cache),
                "samples": str(given), "vectors": str(made),
            },
            seconds,
        )  # fmt: skip
        if isinstance(found, Failed):
            return found.reason
        with np.load(made, allow_pickle=False) as archive:
            return dict(archive)


def _drift(card: ModelCard, variant: str, found: dict[str, Any], golden: Golden) -> str | None:
    """Why the variant does not mean here what it meant where it was compared with the reference.

    Its own vectors are those of the first way that runs it, which agrees with itself: an int8 that saturates on an
    older processor would be right. The mean is what the gate asks for.
    """
    compared = variant_of(card, variant).compared
    if variant == card.reference.name or compared is None:
        return None
    reasons = []
    for kind, what in (("image", "photos"), ("text", "texts")):
        if vectors := golden.get(f"{kind} {card.reference.name}"):
            mean = float(_cosines(found[f"{kind}_vectors"], vectors).mean())
            if not mean >= compared.least_cosine:
                reasons.append(
                    f"beside the reference its vectors of {what} have a mean cosine of {mean:.4f} on this machine, "
                    f"{compared.least_cosine:g} is asked for"
                )
    return "; ".join(reasons) or None


def unmeasured(candidate: Candidate) -> MeasuredWay:
    way = candidate.way
    row = MeasuredWay(way.runtime, way.device, way.arithmetic, candidate.variant, candidate.batch, way.threads)
    return replace(row, verdict=UNMEASURED, reason=f"no time was left for it: {_GOES_ON}", unfinished=True)


def golden_of(card: ModelCard) -> Golden:
    """The vectors that the model's maker got from the reference. Raises ModelError."""
    found, name = golden_arrays(card), card.reference.name
    return {
        f"{kind} {name}": found[f"{kind}_vectors"].tolist() for kind in ("image", "text") if f"{kind}_vectors" in found
    }


def _judged(row: MeasuredWay, found: dict[str, Any], cosines: dict[str, float], seconds: float) -> MeasuredWay:
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
        reasons.append(
            f"a photo's vector moves with its mates in batches of {', '.join(map(str, moved))}: cosine {lowest:.4f}"
        )
        fit = fit if steady else tuple(purpose for purpose in fit if purpose != "ingest")
    unfinished = "stopped" in found and seconds < CANDIDATE_S
    if "stopped" in found:
        reasons.append(f"no time was left for batches above {max(rates)}" + (f": {_GOES_ON}" if unfinished else ""))
    fastest = max((steady or rates).values())
    batch = min(one for one, rate in (steady or rates).items() if rate >= _NEARLY * fastest)
    return replace(
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
        unfinished=unfinished,
    )


def _asked(runtime: str, job: dict[str, Any], seconds: float) -> dict[str, Any] | Failed:
    return answered("clipsearch.engine.choosing.measure", runtime, job, seconds)


def _least_cosine(some: list[list[float]], others: list[list[float]]) -> float:
    return float(_cosines(some, others).min())


def _cosines(some: list[list[float]], others: list[list[float]]) -> NDArray[np.float32]:
    """Row by row; NaN where they do not belong together."""
    one, other = np.array(some, np.float32), np.array(others, np.float32)
    if one.shape != other.shape:
        return np.array([np.nan], np.float32)
    lengths: NDArray[np.float32] = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.asarray((one * other).sum(axis=1) / lengths, np.float32)
