"""The container GGUF, versions 2 and 3 -> its settings, and its tensors as float32. Knows no model.

Its header is read here and not by the `gguf` package's reader, which believes every count in it: each count, length
and offset is held against the file before memory is taken. The package says how blocks are laid out, and unpacks them.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import ModelError

MAGIC = b"GGUF"
READ = ("F32", "F16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0")  # what clip.cpp writes

Setting = bool | int | float | str | list[bool | int | float]

_VERSIONS = (2, 3)
# Of the types of a setting, their form for `struct`; 8 is a text, 9 a list.
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_TEXT, _LIST = 8, 9
_LONGEST_LIST = 64  # numbers that are kept; a mean has three
_MOST_TEXTS = 1 << 20  # of a vocabulary; the largest has 256,000
_LEAST_SETTING, _LEAST_TENSOR = 13, 24  # bytes
_DEFAULT_ALIGNMENT = 32


@dataclass(frozen=True, slots=True)
class _Laid:
    """Where a tensor lies."""

    kind: int  # of ggml's types
    shape: tuple[int, ...]  # as numpy has it; the file has it backwards
    start: int  # bytes, from the beginning of the file
    size: int


class _Unfit(Exception):
    """What is wrong with the file, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class GgufFile:
    path: Path
    settings: dict[str, Setting]
    laid: dict[str, _Laid]
    content: mmap.mmap

    def tensor(self, name: str) -> NDArray[np.float32]:
        """Unpacked, and a copy. The name must be one of `laid`."""
        from gguf.constants import GGMLQuantizationType
        from gguf.quants import dequantize, quant_shape_to_byte_shape

        laid = self.laid[name]
        kind = GGMLQuantizationType(laid.kind)
        # Of its own bytes: a view would keep the file mapped.
        packed = np.frombuffer(self.content[laid.start : laid.start + laid.size], np.uint8)
        rows = packed.reshape(quant_shape_to_byte_shape(laid.shape, kind))
        return np.array(dequantize(rows, kind), np.float32).reshape(laid.shape)


@contextmanager
def opened_gguf(path: Path) -> Iterator[GgufFile]:
    """The file, its header read and believed. Raises ModelError."""
    with path.open("rb") as handle:
        if path.stat().st_size == 0:
            raise ModelError(f"{path} is empty.", "Fetch it again.")
        with mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as content:
            try:
                settings, laid = _header(_Cursor(content))
            except _Unfit as unfit:
                raise ModelError(f"{path} {unfit}.", "Fetch the file again.") from None
            yield GgufFile(path, settings, laid, content)


class _Cursor:
    def __init__(self, content: mmap.mmap) -> None:
        self._content = content
        self.at, self.end = 0, len(content)

    def number(self, form: str) -> bool | int | float:
        (value,) = struct.unpack(form, self.bytes(struct.calcsize(form)))
        return value  # type: ignore[no-any-return]  # `form` is one of _SCALARS

    def count(self, form: str, least: int) -> int:
        """Of things that take at least that many bytes each."""
        value = int(self.number(form))
        if value * least > self.end - self.at:
            raise _Unfit(f"promises {value:,} things where {self.end - self.at:,} bytes are left")
        return value

    def bytes(self, size: int) -> bytes:
        self.skip(size)
        return self._content[self.at - size : self.at]

    def skip(self, size: int) -> None:
        if size > self.end - self.at:
            raise _Unfit("ends in the middle of what it says of itself")
        self.at += size

    def text(self) -> str:
        try:
            return self.bytes(self.count("<Q", 1)).decode()
        except UnicodeDecodeError:
            raise _Unfit("has a name that is not UTF-8") from None


def _header(cursor: _Cursor) -> tuple[dict[str, Setting], dict[str, _Laid]]:
    if cursor.bytes(4) != MAGIC:
        raise _Unfit("is no GGUF file")
    version = cursor.number("<I")
    if version not in _VERSIONS:
        raise _Unfit(f"is GGUF version {version}; clipsearch reads {' and '.join(map(str, _VERSIONS))}, little-endian")
    tensors = cursor.count("<Q", _LEAST_TENSOR)
    settings: dict[str, Setting] = {}
    for _ in range(cursor.count("<Q", _LEAST_SETTING)):
        name = cursor.text()
        if name in settings:
            raise _Unfit(f'says twice what "{name}" is')
        settings[name] = _setting(cursor, int(cursor.number("<I")))
    described = [_described(cursor) for _ in range(tensors)]
    alignment = settings.get("general.alignment", _DEFAULT_ALIGNMENT)
    if type(alignment) is not int or not 0 < alignment <= 1 << 20:
        raise _Unfit("says nothing sensible of how its tensors are aligned")
    start = -(-cursor.at // alignment) * alignment
    return settings, _laid(described, start, cursor.end)


def _setting(cursor: _Cursor, kind: int) -> Setting:
    if kind == _TEXT:
        return cursor.text()
    if kind in _SCALARS:
        return cursor.number(_SCALARS[kind])
    if kind != _LIST:
        raise _Unfit(f"has a setting of type {kind}, which there is not")
    inner = int(cursor.number("<I"))
    if inner == _TEXT:  # a vocabulary, of which nobody here needs more than its end
        for _ in range(_few(cursor.count("<Q", 8))):
            cursor.skip(cursor.count("<Q", 1))
        return []
    if inner not in _SCALARS:
        raise _Unfit(f"has a list of type {inner}, which there is not")
    width = struct.calcsize(_SCALARS[inner])
    count = cursor.count("<Q", width)
    kept = [cursor.number(_SCALARS[inner]) for _ in range(min(count, _LONGEST_LIST))]
    cursor.skip((count - len(kept)) * width)
    return kept


def _few(texts: int) -> int:
    if texts > _MOST_TEXTS:
        raise _Unfit(f"has a vocabulary of {texts:,} words")
    return texts


def _described(cursor: _Cursor) -> tuple[str, tuple[int, ...], int, int]:
    """(name, shape, ggml's type, offset behind the header)"""
    name = cursor.text()
    rank = int(cursor.number("<I"))
    if not 0 <= rank <= 4:
        raise _Unfit(f"has a tensor {name} of {rank} dimensions")
    shape = tuple(int(cursor.number("<Q")) for _ in range(rank))
    return name, shape[::-1], int(cursor.number("<I")), int(cursor.number("<Q"))


def _laid(described: list[tuple[str, tuple[int, ...], int, int]], start: int, end: int) -> dict[str, _Laid]:
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

    kinds = {kind.value: (kind.name, *GGML_QUANT_SIZES[kind]) for kind in map(GGMLQuantizationType.__getitem__, READ)}
    laid: dict[str, _Laid] = {}
    for name, shape, kind, offset in described:
        if kind not in kinds:
            raise _Unfit(f"holds {name} as ggml's type {kind}; clipsearch reads {', '.join(READ)}")
        if name in laid:
            raise _Unfit(f"holds {name} twice")
        _, block, width = kinds[kind]
        if 0 in shape or (shape[-1] if shape else 1) % block:
            raise _Unfit(f"holds {name} of shape {shape}, which {kinds[kind][0]} cannot have")
        laid[name] = _Laid(kind, shape, start + offset, prod(shape) // block * width)
    at = start
    for name, one in sorted(laid.items(), key=lambda item: item[1].start):
        if one.start < at:
            raise _Unfit(f"has tensors that overlap: {name}")
        at = one.start + one.size
        if at > end:
            raise _Unfit(f"ends before {name} does")
    return laid
