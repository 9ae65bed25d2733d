"""How many actors, and what each may use: pure arithmetic over what the machines of a cluster have."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from clipsearch.errors import UsageError


@dataclass(frozen=True, slots=True)
class Machine:
    cores: float
    gpus: float


@dataclass(frozen=True, slots=True)
class Layout:
    actors: int
    cores: int  # of each actor: threads of the model, and processes that decode
    gpus: float  # of each actor


def layout(machines: Sequence[Machine], actors: int | None, gpus: float) -> Layout:
    """One actor a machine where nothing was said, or as many as its GPUs carry; they share its cores evenly.

    Machines without cores, as heads of clusters often are, have no actors. Raises UsageError where they do not fit.
    """
    fit = [machine for machine in machines if machine.cores >= 1 and machine.gpus >= gpus]
    room = sum(_most(machine, gpus) for machine in fit)
    wanted = actors or (sum(math.floor(machine.gpus / gpus + 1e-9) for machine in fit) if gpus else len(fit))
    wanted = wanted if actors else min(wanted, room)
    if not fit or wanted > room:
        cores, cards = sum(machine.cores for machine in machines), sum(machine.gpus for machine in machines)
        asked = f"{wanted or 1} actor{'' if wanted in (0, 1) else 's'}" + (f" with {gpus:g} GPU each" if gpus else "")
        do = "does" if wanted in (0, 1) else "do"
        raise UsageError(
            f"{asked} {do} not fit: the cluster has {cores:g} cores and {cards:g} GPUs, which carry {room}.",
            "Ask for fewer with --actors or --gpus, or add machines: ray start --address ADDRESS",
        )
    for cores in range(int(max(machine.cores for machine in fit)), 0, -1):
        if sum(_most(machine, gpus, cores) for machine in fit) >= wanted:
            return Layout(wanted, cores, gpus)
    raise AssertionError("one core each has room")


def _most(machine: Machine, gpus: float, cores: int = 1) -> int:
    """Actors of this size that a machine carries."""
    by_cores = int(machine.cores // cores)
    return min(by_cores, math.floor(machine.gpus / gpus + 1e-9)) if gpus else by_cores
