"""A torchvision of dummies: OpenCLIP and timm import the name widely, and need none of it to build and run a model.

The real one must be of the same build as torch, and there is none for every CPU build. `install()` goes before the
first import of open_clip. Nothing of it transforms a picture: clipsearch does that itself.
"""

from __future__ import annotations

import enum
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any


class InterpolationMode(enum.Enum):
    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


class _Dummy(ModuleType):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__: list[str] = []
        self.__version__ = "0.0"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name == "InterpolationMode":
            return InterpolationMode
        if name == "FrozenBatchNorm2d":
            from torch import nn

            made: Any = type(name, (nn.Module,), {})
        elif name[0].isupper():
            made = type(name, (), {"__init__": lambda self, *a, **k: None, "__call__": _absent})
        else:
            made = _absent
        setattr(self, name, made)
        return made


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        if name.partition(".")[0] != "torchvision":
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _Dummy(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


def install() -> None:
    """Stands in where there is no torchvision."""
    if importlib.util.find_spec("torchvision") is None:
        sys.meta_path.insert(0, _Finder())


def _absent(*arguments: Any, **settings: Any) -> Any:
    raise NotImplementedError("torchvision is not installed; tests/support/torchvision.py only has its names")
