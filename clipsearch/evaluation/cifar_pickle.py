"""The pickles of CIFAR's python version -> pixels and labels, without running a line of what they hold.

pickle.Unpickler calls what a file names, and takes the memory that a file asks for. Here a machine knows the opcodes
that Python 2 wrote these files with, and cannot call anything: the three names of numpy in them stay names, of which an
array is made by hand once its bytes are counted. Sizes and the number of opcodes are bounded before memory is taken.
"""

from __future__ import annotations

import pickletools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import UsageError
from clipsearch.evaluation.arrays import unfit

T = TypeVar("T")

_PIXELS = 3 * 32 * 32
_MOST_BYTES = 160 << 20  # CIFAR-100's train part has 155,249,918
_MOST_STEPS = 500_000  # opcodes; CIFAR-100's train part has about 150,000 labels and names, and a memo for each name
_NAMES = ("numpy.core.multiarray _reconstruct", "numpy ndarray", "numpy dtype")


def read_batch(path: Path, labels: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Pixels (pictures, 3072) and the numbers that lie under `labels` (pictures,).

    Raises UsageError for anything but what the published files hold.
    """
    try:
        table = _expect(_unpickled(path), dict)
        pixels = _pixels(_expect(table.get(b"data"), _Array))
        numbers = _expect(table.get(labels), list)
        truth = np.array([_expect(number, int) for number in numbers], np.int64)
    except _Unfit as error:
        raise _refused(path, str(error)) from None
    if len(truth) != len(pixels):
        raise _refused(path, f"has {len(truth):,} labels for {len(pixels):,} pictures")
    return pixels, truth


class _Unfit(Exception):
    """What is wrong with the pickle, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class _Name:
    """A class or function of the pickle: a text, never the thing."""

    text: str


@dataclass(slots=True, eq=False)
class _Array:
    state: tuple[Any, ...] = ()  # version, shape, dtype, whether by columns, bytes


@dataclass(slots=True, eq=False)
class _Type:
    code: bytes


def _refused(path: Path, what: str) -> UsageError:
    return unfit(path, f"{what}; nothing of it was run")


def _unpickled(path: Path) -> Any:
    size = path.stat().st_size
    if size > _MOST_BYTES:
        raise _Unfit(f"has {size:,} bytes, more than any file of CIFAR")
    machine = _Machine()
    try:
        # From memory: a file's read() takes first what a length in it says, up to 2 GB of a file of ten bytes.
        for steps, (opcode, argument, _) in enumerate(pickletools.genops(path.read_bytes())):
            if steps > _MOST_STEPS:
                raise _Unfit("has more parts than any file of CIFAR")
            machine.step(opcode.name, argument)
    except (ValueError, IndexError, KeyError) as error:  # of pickletools, the stack, the memo
        raise _Unfit("is cut short, or no pickle as CIFAR's are") from error
    if len(machine.stack) != 1:
        raise _Unfit("is no pickle as CIFAR's are")
    return machine.stack[0]


class _Machine:
    """The opcodes of cPickle's protocol 2, as far as a table of texts, numbers and one array needs them."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        stack = self.stack
        match name:
            case "PROTO" | "STOP":
                pass
            case "BININT" | "BININT1" | "BININT2":
                stack.append(argument)
            case "SHORT_BINSTRING" | "BINSTRING":
                stack.append(argument.encode("latin-1"))  # pickletools decodes every byte to the letter of its number
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[name])
            case "MARK":
                self._marks.append(len(stack))
            case "TUPLE":
                stack.append(self._since_mark())
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(self._last(int(name[-1])))
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
                    _expect(stack[-1], dict)[_expect(key, bytes)] = value
            case "BINPUT" | "LONG_BINPUT":
                self._memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(self._memo[argument])
            case "GLOBAL":
                stack.append(_name(argument))
            case "REDUCE":
                called, arguments = self._last(2)
                stack.append(_reduced(_expect(called, _Name), _expect(arguments, tuple)))
            case "BUILD":
                (state,) = self._last(1)
                _build(stack[-1], _expect(state, tuple))
            case _:
                raise _Unfit(f"has the opcode {name}, which CIFAR's files have not")

    def _since_mark(self) -> tuple[Any, ...]:
        return self._last(len(self.stack) - self._marks.pop())

    def _last(self, count: int) -> tuple[Any, ...]:
        if not 0 <= count <= len(self.stack):
            raise _Unfit("is damaged")
        items = tuple(self.stack[len(self.stack) - count :])
        del self.stack[len(self.stack) - count :]
        return items


def _name(text: str) -> _Name:
    if text not in _NAMES:
        raise _Unfit(f"wants to call {text.replace(' ', '.')[:60]!r}")
    return _Name(text)


def _reduced(name: _Name, arguments: tuple[Any, ...]) -> _Array | _Type:
    if name.text == _NAMES[0] and arguments and arguments[0] == _Name(_NAMES[1]):
        return _Array()  # its arguments are an empty shape and a placeholder; the state brings both
    if name.text == _NAMES[2] and arguments:
        return _Type(_expect(arguments[0], bytes))
    raise _Unfit("is no pickle as CIFAR's are")


def _build(target: Any, state: tuple[Any, ...]) -> None:
    """An array gets its state; that of a dtype says its byte order, which one byte has not."""
    if isinstance(target, _Array):
        target.state = state
    else:
        _expect(target, _Type)


def _pixels(array: _Array) -> NDArray[np.uint8]:
    if len(array.state) != 5:
        raise _Unfit("has an array without numbers")
    _, shape, dtype, by_columns, content = array.state
    if _expect(dtype, _Type).code != b"u1" or by_columns is not False:
        raise _Unfit("has pictures that are not bytes, row by row")
    raw, sizes = _expect(content, bytes), _expect(shape, tuple)
    # Each is known to be a number before it is told: it may be anything, megabytes or tuples in tuples too.
    count, numbers = (_expect(size, int) for size in sizes) if len(sizes) == 2 else (0, 0)
    if count < 1 or numbers != _PIXELS:
        raise _Unfit(f"has pictures of {numbers:,} numbers each, and not of {_PIXELS:,}")
    if len(raw) != count * _PIXELS:
        raise _Unfit(f"says that it has {count:,} pictures, and has {len(raw):,} bytes of them")
    return np.frombuffer(raw, np.uint8).reshape(-1, _PIXELS)


def _expect(value: Any, kind: type[T]) -> T:
    if type(value) is not kind:
        raise _Unfit("is no pickle as CIFAR's are")
    return value
