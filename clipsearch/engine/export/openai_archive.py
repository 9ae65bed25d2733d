"""A TorchScript archive, which OpenAI published its models as -> its tensors, without running a line of what it holds.

torch.load refuses these archives in its safe mode, and in the other one runs their code. Here the pickle in the zip is
read by a machine that knows the opcodes which PyTorch's own writer uses, and that cannot call anything: a name in it
stays a name. Knows neither torch nor what a CLIP is; every size is held against the file before memory is taken.
"""

from __future__ import annotations

import pickletools
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import ModelError

Tensors = dict[str, NDArray[np.generic]]
T = TypeVar("T")

_DTYPES = {
    "HalfStorage": "<f2", "FloatStorage": "<f4", "DoubleStorage": "<f8", "BFloat16Storage": "<u2",
    "BoolStorage": "?", "ByteStorage": "<u1", "CharStorage": "<i1", "ShortStorage": "<i2", "IntStorage": "<i4",
    "LongStorage": "<i8",
}  # fmt: skip
_MOST_PICKLE = 8 << 20  # bytes; ViT-L/14's 446 tensors and their modules take a third of a megabyte
_MOST_CODE = 16 << 20
_MOST_TENSORS = 10_000
_DEEPEST = 16  # names joined by dots; CLIP's are five deep
_PLAIN, _QUICK = re.compile(rb"\bgelu\("), re.compile(rb"\bsigmoid\(")
# What damaged bytes raise in zipfile; RuntimeError is an encrypted member.
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError)


@dataclass(frozen=True, slots=True)
class Archive:
    tensors: Tensors  # as stored, mostly float16
    activation: str


class _Unfit(Exception):
    """What is wrong with the archive, as the end of a sentence."""


def is_torchscript(path: Path) -> bool:
    """Whether the file is a zip that carries code beside its pickle; `torch.save` writes one without."""
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except _DAMAGED:
        return False
    return any(name.endswith("/data.pkl") for name in names) and any("/code/" in name for name in names)


def read_archive(path: Path) -> Archive:
    """Every tensor under the name that `state_dict()` would give it. Raises ModelError."""
    try:
        with zipfile.ZipFile(path) as archive:
            root = _root(archive)
            pickle = _member(archive, f"{root}/data.pkl", _MOST_PICKLE)
            tensors = _tensors(archive, root, _pickled(pickle), path.stat().st_size)
            return Archive(tensors, _activation(archive, root))
    except _Unfit as unfit:
        raise ModelError(f"{path} {unfit}; nothing of it was run.", "Fetch it again from where it came from.") from None
    except _DAMAGED as error:
        raise ModelError(f"{path} is damaged ({error}); nothing of it was run.", "Fetch it again.") from error


# -- the zip ---------------------------------------------------------------------------------------


def _root(archive: zipfile.ZipFile) -> str:
    found = [name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(found) != 1:
        raise _Unfit(f"holds {len(found)} files called data.pkl; a TorchScript archive has one")
    return found[0].removesuffix("/data.pkl")


def _member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise _Unfit(f"misses {name}") from None
    if info.file_size > most:
        raise _Unfit(f"says that {name} is {info.file_size:,} bytes, which is more than there can be")
    with archive.open(info) as member:
        return member.read(info.file_size)  # no more than that: its packed size may be a lie as well


def _activation(archive: zipfile.ZipFile, root: str) -> str:
    """QuickGELU is what OpenAI's are; an archive that somebody else traced says in its code, read as text, if it
    calls the plain one."""
    code, left = [], _MOST_CODE
    for name in archive.namelist():
        if name.startswith(f"{root}/code/") and name.endswith(".py"):
            code.append(_member(archive, name, left))
            left -= len(code[-1])
    text = b"\n".join(code)
    return "gelu" if _PLAIN.search(text) and not _QUICK.search(text) else "quickgelu"


# -- the pickle ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Name:
    """A class or function of the pickle: a text, never the thing."""

    text: str


@dataclass(frozen=True, slots=True)
class _Storage:
    dtype: str
    key: str
    count: int


@dataclass(frozen=True, slots=True)
class _Tensor:
    storage: _Storage
    offset: int  # items
    shape: tuple[int, ...]
    stride: tuple[int, ...]  # items


@dataclass(slots=True, eq=False)
class _Module:
    attributes: dict[str, Any] = field(default_factory=dict)


def _pickled(stream: bytes) -> _Module:
    """What the pickle describes, made of the classes above and plain data only."""
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            machine.step(opcode.name, argument)
    except (ValueError, IndexError, KeyError) as error:  # of pickletools, the stack, the memo
        raise _Unfit(f"has a damaged data.pkl ({error})") from error
    return _expect(machine.stack[-1] if machine.stack else None, _Module)


class _Machine:
    """The opcodes that PyTorch's writer uses (torch/csrc/jit/serialization/pickler.cpp)."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        stack = self.stack
        match name:
            case "PROTO" | "STOP":
                pass
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT" | "BINUNICODE":
                stack.append(argument)
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[name])
            case "MARK":
                self._marks.append(len(stack))
            case "TUPLE":
                stack.append(self._since_mark())
            case "EMPTY_TUPLE" | "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(self._last({"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}[name]))
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_DICT":
                stack.append({})
            case "APPEND" | "APPENDS":
                items = self._last(1) if name == "APPEND" else self._since_mark()
                _expect(stack[-1], list).extend(items)
            case "SETITEM" | "SETITEMS":
                items = self._last(2) if name == "SETITEM" else self._since_mark()
                for key, value in zip(items[::2], items[1::2], strict=True):
                    _expect(stack[-1], dict)[_expect(key, str)] = value
            case "BINPUT" | "LONG_BINPUT":
                self._memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(self._memo[argument])
            case "GLOBAL":
                stack.append(_Name(str(argument).replace(" ", ".")))
            case "NEWOBJ":
                kind, _ = self._last(2)
                stack.append(_new(_expect(kind, _Name)))
            case "BUILD":
                (state,) = self._last(1)
                _expect(stack[-1], _Module).attributes.update(state if isinstance(state, dict) else {})
            case "REDUCE":
                called, arguments = self._last(2)
                stack.append(_reduced(_expect(called, _Name), _expect(arguments, tuple)))
            case "BINPERSID":
                stack.append(_storage(_expect(self._last(1)[0], tuple)))
            case _:
                raise _Unfit(f"has a data.pkl with the opcode {name}, which PyTorch does not write")

    def _since_mark(self) -> tuple[Any, ...]:
        return self._last(len(self.stack) - self._marks.pop())

    def _last(self, count: int) -> tuple[Any, ...]:
        if not 0 <= count <= len(self.stack):
            raise _Unfit("has a damaged data.pkl")
        items = tuple(self.stack[len(self.stack) - count :])
        del self.stack[len(self.stack) - count :]
        return items


def _new(kind: _Name) -> _Module:
    if not kind.text.startswith("__torch__."):
        raise _Unfit(f"wants to make a {kind.text}")
    return _Module()


def _reduced(name: _Name, arguments: tuple[Any, ...]) -> Any:
    if name.text == "torch._utils._rebuild_tensor_v2" and len(arguments) >= 4:
        storage, offset, shape, stride = arguments[:4]
        sizes, steps = (tuple(_expect(one, int) for one in _expect(numbers, tuple)) for numbers in (shape, stride))
        return _Tensor(_expect(storage, _Storage), _expect(offset, int), sizes, steps)
    if name.text == "collections.OrderedDict" and not arguments:
        return {}
    if name.text.startswith("torch.jit._pickle.") and arguments:  # typed lists, and a tag on what is a list or dict
        return arguments[0]
    raise _Unfit(f"wants to call {name.text}")


def _storage(described: tuple[Any, ...]) -> _Storage:
    """("storage", its class, its file, its device, its items)"""
    if len(described) != 5 or described[0] != "storage":
        raise _Unfit("names something beside it that is no storage of a tensor")
    kind = _expect(described[1], _Name).text.removeprefix("torch.")
    if kind not in _DTYPES:
        raise _Unfit(f"holds a {kind}, which clipsearch does not read")
    return _Storage(kind, _expect(described[2], str), _expect(described[4], int))


def _expect(value: Any, kind: type[T]) -> T:
    if type(value) is not kind:
        raise _Unfit(f"has a data.pkl with a {type(value).__name__.strip('_')} where a {kind.__name__.strip('_')} goes")
    return value


# -- the tensors -----------------------------------------------------------------------------------


def _tensors(archive: zipfile.ZipFile, root: str, module: _Module, most: int) -> Tensors:
    named = dict(_flat(module, "", 0, [0]))
    storages: dict[str, _Storage] = {}
    for name, tensor in named.items():
        storage = storages.setdefault(tensor.storage.key, tensor.storage)
        if storage != tensor.storage:
            raise _Unfit(f"has two opinions on what the storage of {name} is")
        _check(name, tensor)
    held = sum(_bytes(storage.count, storage) for storage in storages.values())
    if held > most:
        raise _Unfit(f"promises {held:,} bytes of weights in a file of {most:,}")
    # A mask that every block holds is one storage; more than that is no model but a wish for memory.
    if sum(_bytes(prod(tensor.shape), tensor.storage) for tensor in named.values()) > 2 * held:
        raise _Unfit("has tensors that overlap")
    arrays = {key: _array(archive, f"{root}/data/{key}", storage) for key, storage in storages.items()}
    return {name: _viewed(arrays[tensor.storage.key], tensor) for name, tensor in named.items()}


def _flat(module: _Module, prefix: str, depth: int, count: list[int]) -> Iterator[tuple[str, _Tensor]]:
    """Names as `state_dict()` has them. A pickle may hold a module twice, or in itself: both are counted."""
    if depth > _DEEPEST:
        raise _Unfit("has modules in modules without an end")
    for name, value in module.attributes.items():
        count[0] += isinstance(value, (_Tensor, _Module))
        if count[0] > _MOST_TENSORS:
            raise _Unfit(f"has more than {_MOST_TENSORS:,} tensors")
        if isinstance(value, _Tensor):
            yield prefix + name, value
        elif isinstance(value, _Module):
            yield from _flat(value, f"{prefix}{name}.", depth + 1, count)


def _check(name: str, tensor: _Tensor) -> None:
    if len(tensor.shape) != len(tensor.stride) or len(tensor.shape) > 8:
        raise _Unfit(f"does not say the shape of {name}")
    if min((tensor.offset, tensor.storage.count, *tensor.shape, *tensor.stride)) < 0:
        raise _Unfit(f"has a negative size in {name}")
    last = tensor.offset + sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride, strict=True))
    if prod(tensor.shape) and last >= tensor.storage.count:
        raise _Unfit(f"has a tensor {name} that reaches beyond its storage")


def _bytes(items: int, storage: _Storage) -> int:
    return items * np.dtype(_DTYPES[storage.dtype]).itemsize


def _array(archive: zipfile.ZipFile, name: str, storage: _Storage) -> NDArray[np.generic]:
    size = _bytes(storage.count, storage)
    content = _member(archive, name, size)
    if len(content) != size:
        raise _Unfit(f"holds {len(content):,} bytes of {name} where {size:,} go")
    # Of bytes that may be written to: torch takes these arrays as they are, and wants to be able to.
    return np.frombuffer(bytearray(content), _DTYPES[storage.dtype])


def _viewed(array: NDArray[np.generic], tensor: _Tensor) -> NDArray[np.generic]:
    steps = [step * array.itemsize for step in tensor.stride]
    if prod(tensor.shape) == 0:
        return np.empty(tensor.shape, array.dtype)
    view = np.lib.stride_tricks.as_strided(array[tensor.offset :], tensor.shape, steps)
    if tensor.storage.dtype == "BFloat16Storage":  # the upper half of a float32
        return (view.astype("<u4") << 16).view("<f4")
    return view
