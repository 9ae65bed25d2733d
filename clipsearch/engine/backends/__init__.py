"""Backends: a runtime opens a graph and turns arrays into one float32 array. Each file wraps one runtime.

The table of runtimes and the contract they share; a backend never sees photos, cards or progress, and
never falls back by itself. `tests/engine/test_backends.py` runs the same contract over all of them.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import ModelError

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Runtime:
    module: str  # the backend that wraps it
    package: str  # what must be installed
    reads: tuple[str, ...] = (".onnx",)  # suffixes of the files it opens


# The first one installed is what `auto` takes before anything was measured: it starts fastest.
TABLE = {
    "onnxruntime": Runtime(f"{__name__}.onnx", "onnxruntime"),
    "openvino": Runtime(f"{__name__}.openvino", "openvino", (".onnx", ".xml")),
}


@dataclass(frozen=True, slots=True)
class Way:
    """One way to run a graph."""

    runtime: str  # of TABLE
    device: str = "cpu"
    arithmetic: str = "f32"  # what floats are computed in: a runtime may offer less than a graph's own f32
    threads: int = 0  # 0: as many as there are usable cores

    @property
    def name(self) -> str:
        """As `--backend` takes it, and more: "openvino", "openvino-gpu", "openvino-cpu-bf16"."""
        return "-".join([self.runtime, self.device, *([] if self.arithmetic == "f32" else [self.arithmetic])])


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of a graph, as the session reports it."""

    name: str
    dtype: str  # numpy's name
    shape: tuple[int | None, ...]  # None where the graph takes any size


class Session(Protocol):
    """An open graph on one device."""

    @property
    def inputs(self) -> tuple[Port, ...]: ...
    @property
    def outputs(self) -> tuple[Port, ...]: ...
    @property
    def device(self) -> str:
        """What the runtime says it runs on and computes in: a Way's name."""

    def run(self, feeds: Mapping[str, NDArray[np.generic]], output: str) -> NDArray[np.float32]:
        """One output as float32. Raises ModelError with the runtime's own words."""


class Backend(Protocol):
    """A module that wraps a runtime."""

    def ways(self) -> list[Way]:
        """What this runtime offers on this machine, by its own word."""

    def open_session(self, path: Path, way: Way) -> Session:
        """Opens a graph that way and no other; `way.threads` is above 0. Raises ModelError."""


def open_session(path: Path, way: Way) -> Session:
    """The graph, opened the way asked for and no other.

    Raises ModelError for an unknown runtime, for one that is not installed, and for a broken graph.
    """
    backend = backend_of(way.runtime)
    session = backend.open_session(path, replace(way, threads=way.threads or usable_cores()))
    if session.device != way.name:
        raise ModelError(
            f"{way.runtime} was asked to run on {way.name}, and says it runs on {session.device}.",
            "Name another one with --backend, or leave the choice to: --backend auto",
        )
    return session


def unoptimised_session(path: Path) -> Session:
    """The graph on ONNX Runtime's CPU, run node by node as it stands: what others are compared with."""
    from clipsearch.engine.backends import onnx

    return onnx.open_unoptimised(path, usable_cores())


def backend_of(runtime: str) -> Backend:
    """The module that wraps it, imported. Raises ModelError for an unknown one and one that is not installed."""
    check_backend(runtime)
    backend: Backend = importlib.import_module(TABLE[runtime].module)
    return backend


def default_way(backend: str = AUTO) -> Way:
    """The way that `--backend` names; for `auto`, the one that needs no measuring. Raises ModelError."""
    check_backend(backend)
    return Way(next(name for name in TABLE if is_installed(name)) if backend == AUTO else backend)


def check_backend(backend: str) -> None:
    """Raises ModelError for an unknown backend and for one that is not installed; loads nothing."""
    if backend == AUTO:
        if not any(map(is_installed, TABLE)):
            raise ModelError("No runtime is installed.", f"pip install {next(iter(TABLE))}")
        return
    if backend not in TABLE:
        raise ModelError(f'There is no backend "{backend}".', f"Choose one of: {AUTO}, {', '.join(TABLE)}")
    if not is_installed(backend):
        raise ModelError(
            f"The backend {backend} is not installed.", f"pip install {TABLE[backend].package}, or use --backend auto"
        )


def is_installed(runtime: str) -> bool:
    return importlib.util.find_spec(TABLE[runtime].package) is not None


def usable_cores() -> int:
    """Cores this process may use, which a container or `taskset` can make fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
