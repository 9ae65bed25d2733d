"""Where the time of an index run went, as a table for a person: `clipsearch index --timings`."""

from __future__ import annotations

from dataclasses import dataclass

from clipsearch.cli.output import padded, tell
from clipsearch.events import Summary, Timings

_DISK_AT_ONCE = 4  # files read at the same time; index/digests.py


@dataclass(frozen=True, slots=True)
class _Stage:
    name: str
    seconds: float
    at_once: int  # how many of these seconds pass in one second at most
    on_cores: bool = False


def tell_timings(summary: Summary) -> None:
    """Seconds of each stage, its share of the work, and how many photos a second it would let through by itself."""
    from clipsearch.engine.backends import usable_cores

    cores = usable_cores()
    stages = _stages(summary.timings, cores)
    spent = sum(stage.seconds for stage in stages)
    if not summary.indexed or not spent:
        tell("Nothing was read, so there are no timings.")
        return
    slowest = max(stages, key=lambda stage: stage.seconds / stage.at_once)
    tell(f"{padded('stage', 34)}{'seconds':>9}{'share':>8}{'photos/s':>10}")
    for stage in stages:
        rate = f"{summary.indexed * stage.at_once / stage.seconds:,.0f}" if stage.seconds > 0.001 else "-"
        note = "  <- the bottleneck" if stage is slowest else ""
        tell(f"{padded(stage.name, 34)}{stage.seconds:>9.2f}{stage.seconds / spent:>8.0%}{rate:>10}{note}")
    busy = sum(stage.seconds for stage in stages if stage.on_cores) / (cores * max(summary.seconds, 0.001))
    tell(
        f"{padded(f'all of it, on {cores} cores', 34)}{summary.seconds:>9.2f}{'':>8}"
        f"{summary.indexed / max(summary.seconds, 0.001):>10,.0f}  ({min(1.0, busy):.0%} busy with photos)"
    )


def _stages(spent: Timings, cores: int) -> list[_Stage]:
    return [
        _Stage("read: waiting for the disk", spent.read, _DISK_AT_ONCE),
        _Stage("hash: is it known already?", spent.hash, cores, on_cores=True),
        _Stage("decode: file to picture", spent.decode, cores, on_cores=True),
        _Stage("prepare: to the model's size", spent.prepare, cores, on_cores=True),
        _Stage("encode: picture to vector", spent.encode, cores, on_cores=True),
        _Stage("store: commits and checkpoint", spent.store, 1),
    ]
