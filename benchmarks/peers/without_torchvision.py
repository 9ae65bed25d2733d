"""Runs clipsearch where OpenCLIP is installed and torchvision is not.

    python benchmarks/peers/without_torchvision.py ARGUMENTS OF clipsearch

OpenCLIP and timm import torchvision for transforms of pictures, which a model is built, run and exported without: an
importer answers with modules of stand-ins. Where torchvision is installed nothing is done.
"""

from __future__ import annotations

import enum
import importlib.abc
import importlib.machinery
import importlib.util
import runpy
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any, ClassVar

NAME = "torchvision"


def install() -> None:
    if importlib.util.find_spec(NAME) is None:
        sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name: str, path: Sequence[str] | None, target: Any = None) -> Any:
        return importlib.machinery.ModuleSpec(name, self) if name.partition(".")[0] == NAME else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


class _StandIn(ModuleType):
    __path__: ClassVar[list[str]] = []
    __version__ = "0.0"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name == "InterpolationMode":
            modes = ("NEAREST", "NEAREST_EXACT", "BILINEAR", "BICUBIC", "BOX", "HAMMING", "LANCZOS")
            return enum.Enum(name, {mode: mode.lower() for mode in modes})
        if name == "FrozenBatchNorm2d":
            from torch import nn

            return type(name, (nn.Module,), {})
        return type(name, (), {"__init__": lambda self, *args, **named: None}) if name[0].isupper() else _absent


def _absent(*args: object, **named: object) -> None:
    raise NotImplementedError("torchvision is not installed")


if __name__ == "__main__":
    install()
    runpy.run_module("clipsearch", run_name="__main__", alter_sys=True)
