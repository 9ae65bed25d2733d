"""Backends: a runtime opens a graph and turns arrays into one float32 array. Each file wraps one runtime.

The table of backends and the contract they share; a backend never sees photos, cards or progress, and
never falls back by itself. `tests/engine/test_backends.py` runs the same contract over all of them.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import ModelError

AUTO = "auto"
# name -> (module here, module of the runtime); the first one installed is what `auto` takes. Both run fp32 on
# the CPU at the same speed with the starter (models README: 71 and 69 images/s); ONNX Runtime starts faster.
TABLE = {"onnxruntime": ("onnx", "onnxruntime"), "openvino": ("openvino", "openvino")}


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
        """What the runtime says it runs on: "onnxruntime-cpu"."""

    def run(self, feeds: Mapping[str, NDArray[np.generic]], output: str) -> NDArray[np.float32]:
        """One output as float32. Raises ModelError with the runtime's own words."""


class Backend(Protocol):
    """A module of this package."""

    def open_session(self, path: Path, *, threads: int) -> Session:
        """Opens a graph in fp32 arithmetic on the CPU. Raises ModelError."""


def open_session(path: Path, backend: str = AUTO, *, threads: int | None = None) -> Session:
    """The graph, opened by the backend asked for and by no other.

    Raises ModelError for an unknown backend, for one that is not installed, and for a broken graph.
    """
    check_backend(backend)
    if backend == AUTO:
        backend = next(name for name in TABLE if is_installed(name))
    module: Backend = importlib.import_module(f"{__name__}.{TABLE[backend][0]}")
    return module.open_session(path, threads=threads or usable_cores())


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
            f"The backend {backend} is not installed.", f"pip install {TABLE[backend][1]}, or use --backend auto"
        )


def is_installed(backend: str) -> bool:
    return importlib.util.find_spec(TABLE[backend][1]) is not None


def usable_cores() -> int:
    """Cores this process may use, which a container or `taskset` can make fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
