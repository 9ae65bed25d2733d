"""Names of the ways to run a model: a runtime, a device, an arithmetic. Pure: it loads and asks no runtime.

A name is what `--backend` and the settings take, and what a session reports: "openvino", "openvino-gpu",
"onnxruntime-tensorrt-f16". Whether this machine has such a thing is the backend's to find out (engine/backends).
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from clipsearch.errors import ModelError

AUTO = "auto"

# runtime -> its devices -> what each may be asked to compute in, the plain one first.
DEVICES: dict[str, dict[str, tuple[str, ...]]] = {
    "onnxruntime": {
        "cpu": ("f32",),
        "cuda": ("f32",),
        "tensorrt": ("f32", "f16"),
        "coreml": ("f32", "f16"),
        "directml": ("f32",),
        "webgpu": ("f32",),
        "rtx": ("f32",),
        "mlx": ("f32",),
        "openvino": ("f32",),
        "openvino-gpu": ("f32",),
        "ggml": ("f32", "f16"),
    },
    "openvino": {"cpu": ("f32", "bf16", "f16"), "gpu": ("f32", "f16"), "npu": ("f16", "f32")},
    "pytorch": {"cpu": ("f32",), "cuda": ("f32",)},
}


@dataclass(frozen=True, slots=True)
class Way:
    """One way to run a graph."""

    runtime: str  # of DEVICES
    device: str = "cpu"
    arithmetic: str = "f32"  # what floats are computed in: a runtime may offer less than a graph's own f32
    threads: int = 0  # 0: as many as there are usable cores
    tokens: int = 77  # of the longest text; what is compiled before it runs must know how long one may be
    batch: int = 1  # how many come at once; several may be run side by side
    compiled: Path | None = None  # a folder where the runtime may keep what it compiles of this one graph

    @property
    def name(self) -> str:
        """As `--backend` takes it: "openvino-cpu", "openvino-gpu", "openvino-cpu-bf16"."""
        return "-".join([self.runtime, self.device, *([] if self.arithmetic == "f32" else [self.arithmetic])])


def names() -> tuple[str, ...]:
    """All that `--backend` takes: `auto`, a runtime (its CPU is meant), and every way by its name."""
    return (AUTO, *DEVICES, *(way.name for way in _all()))


def way_named(name: str) -> Way:
    """The way of that name. Raises ModelError for an unknown one, with those there are."""
    if name in DEVICES:
        return Way(name)
    found = next((way for way in _all() if way.name == name), None)
    if found is None:
        raise unknown(name)
    return found


def unknown(name: str) -> ModelError:
    """With those that were meant, perhaps: 27 names are a list that nobody reads."""
    said = name.strip().lower().replace("_", "-").replace("fp16", "f16")
    meant = [one for one in names() if said == one] or [one for one in names() if said and said in one]
    runtime = said.partition("-")[0]
    meant = meant or [one for one in names() if runtime in DEVICES and one.startswith(runtime)]
    meant = meant or difflib.get_close_matches(said, names(), 3)
    return ModelError(f'There is no backend "{name}".', f"Choose one of: {', '.join(meant or names())}")


def _all() -> list[Way]:
    return [
        Way(runtime, device, arithmetic)
        for runtime, devices in DEVICES.items()
        for device, arithmetics in devices.items()
        for arithmetic in arithmetics
    ]
