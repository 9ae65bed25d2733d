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
from clipsearch.ways import AUTO as AUTO
from clipsearch.ways import Way as Way
from clipsearch.ways import unknown, way_named


@dataclass(frozen=True, slots=True)
class Runtime:
    module: str  # the backend that wraps it
    package: str  # what must be installed
    reads: tuple[str, ...] = (".onnx",)  # suffixes of the files it opens


ANOTHER = "Name another one with --backend, or leave the choice to: --backend auto"  # the way out of most troubles

# The first one installed is what `auto` takes before anything was measured: it starts fastest.
TABLE = {
    "onnxruntime": Runtime(f"{__name__}.onnx", "onnxruntime"),
    "openvino": Runtime(f"{__name__}.openvino", "openvino", (".onnx", ".xml")),
    "pytorch": Runtime(f"{__name__}.pytorch", "torch", (".pt2",)),  # the reference; of [export]
}
# What stands for a runtime's package, or beside it: installed anew, it makes other ways of the same machine.
OTHER_PACKAGES = {
    "onnxruntime": (
        "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-ep-webgpu", "onnxruntime-ep-mlx",
        "onnxruntime-ep-nv-tensorrt-rtx", "onnxruntime-ep-openvino", "onnxruntime-ggml",
    ),
}  # fmt: skip


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
    """The graph, opened the way asked for and no other; a device beside the CPU has run one batch.

    Raises ModelError for an unknown runtime, for one that is not installed, for a broken graph, and for a device
    that is listed and does not work, with the runtime's own words.
    """
    backend = backend_of(way.runtime)
    session = backend.open_session(path, replace(way, threads=way.threads or usable_cores()))
    if session.device != way.name:
        raise ModelError(f"{way.name} was asked for, and {way.runtime} says it runs on {session.device}.", ANOTHER)
    if way.device != "cpu":  # the CPU runs what it has opened, and each query would pay for the trial
        _try(session, way)
    return session


def _try(session: Session, way: Way) -> None:
    """Runs one batch: drivers fail at the first kernel, and some answer with nothing that is a number."""
    feeds = {port.name: np.ones(_small_shape(port), port.dtype) for port in session.inputs}
    try:
        answer = session.run(feeds, session.outputs[0].name)
    except ModelError as error:
        raise ModelError(f"{way.name} is there and does not work. {error.message}", ANOTHER) from error
    if not np.isfinite(answer).all():
        raise ModelError(f"{way.name} is there and does not work: it answers with what is no number.", ANOTHER)


def _small_shape(port: Port) -> tuple[int, ...]:
    """One picture, or one short text."""
    free = (1, 3, 224, 224) if len(port.shape) == 4 else (1, 8)
    return tuple(size or free[axis] for axis, size in enumerate(port.shape))


def backend_of(runtime: str) -> Backend:
    """The module that wraps it, imported. Raises ModelError for an unknown one and one that is not installed."""
    if runtime not in TABLE:
        raise unknown(runtime)
    _check_installed(runtime)
    backend: Backend = importlib.import_module(TABLE[runtime].module)
    return backend


def default_way(backend: str = AUTO, threads: int = 0) -> Way:
    """The way that `--backend` names; for `auto`, the one that needs no measuring. Raises ModelError."""
    check_backend(backend)
    way = Way(next(name for name in TABLE if is_installed(name))) if backend == AUTO else way_named(backend)
    return replace(way, threads=threads)


def check_backend(backend: str) -> None:
    """Raises ModelError for an unknown backend and for one that is not installed; loads nothing."""
    if backend != AUTO:
        _check_installed(way_named(backend).runtime)
    elif not any(map(is_installed, TABLE)):
        raise ModelError("No runtime is installed.", f"pip install {next(iter(TABLE))}")


def _check_installed(runtime: str) -> None:
    if not is_installed(runtime):
        raise ModelError(
            f"The backend {runtime} is not installed.", f"pip install {TABLE[runtime].package}, or use --backend auto"
        )


def is_installed(runtime: str) -> bool:
    return importlib.util.find_spec(TABLE[runtime].package) is not None


def usable_cores() -> int:
    """Cores this process may use, which a container or `taskset` can make fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
