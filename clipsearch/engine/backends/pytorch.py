"""PyTorch: programs of `torch.export` (.pt2), the reference that other runtimes are compared with. Knows no model.

Wraps the runtime and translates its errors. A program is checked before PyTorch reads it (programs.py). Only the CPU
was run here; CUDA is a recipe.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.export.passes import move_to_device_pass
from torch.export.pt2_archive._package import PT2ArchiveReader, load_pt2

from clipsearch.engine.backends import Port, Session, Way
from clipsearch.engine.backends.programs import SAMPLES, check_archive
from clipsearch.errors import ModelError

OUTPUT = "embedding"  # programs name their inputs and not their results


def ways() -> list[Way]:
    return [Way("pytorch"), *([Way("pytorch", "cuda")] if torch.cuda.is_available() else [])]


def open_session(path: Path, way: Way) -> Session:
    torch.set_num_threads(way.threads)  # of the whole process: PyTorch has no other
    torch.backends.cudnn.allow_tf32 = False  # f32 is meant; for matrix products it is the default
    try:
        _check(path)
        # Not torch.export.load: where this fails, it logs and reads an older format, which is pickled.
        program = load_pt2(str(path)).exported_programs["model"]
        if way.device != "cpu":
            program = move_to_device_pass(program, way.device)
        return _TorchSession(program, way.device)
    except Exception as error:  # the loader raises whatever the broken part of the file leads to
        raise ModelError(f"PyTorch cannot open {path}: {_first_line(error)}", "Export the model again.") from error


def _check(path: Path) -> None:
    """Through PyTorch's own reader: another one might see other entries in the same bytes."""
    archive = PT2ArchiveReader(str(path))
    check_archive(archive.get_file_names(), archive.read_bytes)
    # The loader would load it without this limit where it fails with it.
    torch.load(io.BytesIO(archive.read_bytes(SAMPLES)), weights_only=True)


class _TorchSession:
    def __init__(self, program: torch.export.ExportedProgram, device: str) -> None:
        values = {node.name: node.meta["val"] for node in program.graph.nodes if "val" in node.meta}
        signature = program.graph_signature
        self.inputs = tuple(_port(name, values[name]) for name in signature.user_inputs)
        if len(signature.user_outputs) != 1:
            raise ValueError(f"it gives {len(signature.user_outputs)} results, and a tower gives one")
        self.outputs = (_port(OUTPUT, values[signature.user_outputs[0]]),)
        self._module = program.module(check_guards=False)  # without, shapes are checked all the same, by no made code
        weights = [*self._module.parameters(), *self._module.buffers()]
        devices = {weight.device.type for weight in weights} or {device}
        self._device = device
        self.device = Way("pytorch", "+".join(sorted(devices))).name

    def run(self, feeds: Mapping[str, NDArray[np.generic]], output: str) -> NDArray[np.float32]:
        try:
            self._check_fed(feeds, output)
            fed = [torch.from_numpy(np.ascontiguousarray(feeds[port.name])).to(self._device) for port in self.inputs]
            with torch.inference_mode():
                result = self._module(*fed)
        except Exception as error:  # an operator raises RuntimeError, IndexError and others
            hint = "Try another one: --backend onnxruntime"
            raise ModelError(f"PyTorch failed: {_first_line(error)}", hint) from error
        (tensor,) = result if isinstance(result, tuple | list) else (result,)
        return np.array(tensor.cpu().numpy(), np.float32)  # a copy: a graph may answer with what it was fed

    def _check_fed(self, feeds: Mapping[str, NDArray[np.generic]], output: str) -> None:
        """What other runtimes refuse by themselves; PyTorch takes its arguments by their places."""
        if output != OUTPUT:
            raise ValueError(f"there is no output {output}")
        if feeds.keys() != {port.name for port in self.inputs}:
            raise ValueError(f"it was given {', '.join(sorted(feeds))}")
        for port in self.inputs:
            array = feeds[port.name]
            fixed = zip(port.shape, array.shape, strict=False)
            if array.ndim != len(port.shape) or any(size not in (None, given) for size, given in fixed):
                raise ValueError(f"{port.name} has the shape {array.shape}")


def _port(name: str, value: torch.Tensor) -> Port:
    # Sizes that are open are symbols; `int` of one would be the size that the program was exported with.
    shape = tuple(size if isinstance(size, int) else None for size in value.shape)
    return Port(name, str(value.dtype).removeprefix("torch."), shape)


def _first_line(error: Exception) -> str:
    """PyTorch adds pages of advice and of C++ frames."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
