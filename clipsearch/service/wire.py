"""What travels between a client and the service: requests, the answers of `types.py`, and errors, as JSON.

One rule for each kind of value, so that a type which gains a field needs nothing here: a dataclass is an object
of its fields, a tuple an array, a path its text, with its bytes in base64 beside it where they are not UTF-8
(`path` and `path_b64`). Knows no HTTP, no library and no disk.
"""

from __future__ import annotations

import base64
import binascii
import json
import types
import typing
from collections.abc import Callable, Iterable
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar

from clipsearch.errors import ClipsearchError, LibraryError, ModelError, SystemFault, UsageError
from clipsearch.printable import printable
from clipsearch.service.path_json import path_fields
from clipsearch.types import Answer, FailedFile, Labelled, LabelSet, LibraryAPI, PhotoDetails, Sort

T = TypeVar("T")
Reader = Callable[[Any, str], Any]  # (JSON value, its name in a message) -> our value

PROOF = "Clipsearch-Proof"  # the header by which our server shows that it is the one of the record
END = b'{"end": true}\n'  # the last line of an answer that comes in lines; one without it was cut off

_ERRORS = {kind.__name__: kind for kind in (UsageError, LibraryError, ModelError, SystemFault)}


class Malformed(Exception):
    """JSON that is not what was promised; the text is one sentence that names the culprit."""


# -- requests: the methods of LibraryAPI with their arguments -------------------------------------


@dataclass(frozen=True, slots=True)
class SearchRequest:
    query: str = ""
    images: tuple[bytes, ...] = ()
    k: int = 20
    under: bytes | None = None
    sort: Sort | None = None
    min_relevance: float | None = None
    diverse: bool = False
    exact: bool = False
    cwd: bytes = b"/"  # what relative paths are relative to, also those within the query

    def __post_init__(self) -> None:
        if self.k < 0:
            raise Malformed(f"k is {self.k}; it is a number of photos, 0 for all.")
        if self.min_relevance is not None and not 0 <= self.min_relevance <= 1:
            raise Malformed(f"min_relevance is {self.min_relevance}; it lies between 0 and 1.")

    def asked_of(self, library: LibraryAPI) -> Answer:
        return library.search(
            self.query,
            images=self.images,
            k=self.k,
            under=self.under,
            sort=self.sort,
            min_relevance=self.min_relevance,
            diverse=self.diverse,
            exact=self.exact,
        )


@dataclass(frozen=True, slots=True)
class Told:
    """A line between the results of a `classify`: how far it is. It also keeps a client waiting that would give up."""

    progress: str  # what is done
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class ClassifyRequest:
    targets: tuple[bytes, ...] = ()
    labels: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()
    label_set: LabelSet | None = None  # instead of these two
    unknown: bool = False
    margin: float = 0.0
    top: int | None = None
    progress: bool = False  # whether lines tell of it
    cwd: bytes = b"/"

    def asked_of(
        self, library: LibraryAPI, tell: Callable[[Told], None] = lambda told: None
    ) -> Iterable[Labelled | FailedFile]:
        return library.classify(
            self.targets,
            self.label_set or self.labels,
            templates=self.templates,
            unknown=self.unknown,
            margin=self.margin,
            top=self.top,
            progress=(lambda *told: tell(Told(*told))) if self.progress else None,
        )


@dataclass(frozen=True, slots=True)
class PhotoRequest:
    path: bytes
    cwd: bytes = b"/"

    def asked_of(self, library: LibraryAPI) -> PhotoDetails | None:
        return library.photo(self.path)


# -- values ---------------------------------------------------------------------------------------


def dumps(value: object) -> bytes:
    """One line of ASCII: a name that is not UTF-8 may be part of a text too, and survives as an escape."""
    return json.dumps(to_json(value), allow_nan=False).encode("ascii")


def loads(kind: type[T], text: bytes) -> T:
    """The value of type `kind` that `text` holds. Raises Malformed."""
    return from_json(kind, _json(text))


def loads_labelled(line: bytes) -> Labelled | FailedFile | Told:
    """One line of a `classify`. Raises Malformed."""
    data = _json(line)
    if "progress" in data:
        return from_json(Told, data)
    return from_json(Labelled, data) if "labels" in data else from_json(FailedFile, data)


def to_json(value: object) -> Any:
    """What `json` can write: objects, arrays, text, numbers, true, false and null."""
    if isinstance(value, bytes):
        return path_fields(value)
    if isinstance(value, tuple | list):
        return [to_json(one) for one in value]
    if not is_dataclass(value):
        return value
    written: dict[str, Any] = {}
    for field in fields(value):
        one = getattr(value, field.name)
        written |= path_fields(one, field.name) if isinstance(one, bytes) else {field.name: to_json(one)}
    return written


def from_json(kind: type[T], data: object) -> T:
    """The value of type `kind` that `to_json` made `data` of. Raises Malformed."""
    value: T = _reader(typing.cast(Any, kind))(data, "It")
    return value


def error_fields(error: ClipsearchError) -> dict[str, dict[str, str]]:
    kind = next(one.__name__ for one in type(error).__mro__ if one.__name__ in _ERRORS)
    return {"error": {"kind": kind, "message": error.message, "hint": error.hint}}


def error_of(text: bytes) -> ClipsearchError | None:
    """The error that `text` holds, of the class it was raised as; None when it holds none."""
    try:
        told = json.loads(text)["error"]
        return _ERRORS[told["kind"]](str(told["message"]), str(told["hint"]))
    except (ValueError, KeyError, TypeError):
        return None


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError also for bytes that are not UTF-8
        raise Malformed(f"This is not JSON ({error}).") from error


# -- reading back, by the types' own annotations --------------------------------------------------


@cache
def _reader(kind: Any) -> Reader:
    if is_dataclass(kind):
        return _object_reader(typing.cast(type, kind))
    if kind is bytes:
        return _path
    if kind in _PLAIN:
        return _plain_reader(kind)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        return _array_reader(_reader(arguments[0]))
    if origin is typing.Literal:
        return _choice_reader(arguments)
    assert origin in (types.UnionType, typing.Union), kind
    assert len(arguments) == 2 and arguments[1] is type(None), kind
    inner = _reader(arguments[0])
    return lambda data, name: None if data is None else inner(data, name)


_PLAIN = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def _plain_reader(kind: type) -> Reader:
    accepted = (int, float) if kind is float else kind

    def read(data: Any, name: str) -> Any:
        # True is an int to Python and not to JSON.
        if not isinstance(data, accepted) or (isinstance(data, bool) and kind is not bool):
            raise Malformed(f"{name} is not {_PLAIN[kind]}.")
        try:
            return kind(data)
        except OverflowError as error:  # 400 digits, where a float belongs
            raise Malformed(f"{name} is not {_PLAIN[kind]}.") from error

    return read


def _choice_reader(choices: tuple[str, ...]) -> Reader:
    def read(data: Any, name: str) -> Any:
        if data not in choices:
            raise Malformed(f"{name} is none of {', '.join(choices)}.")
        return data

    return read


def _array_reader(inner: Reader) -> Reader:
    def read(data: Any, name: str) -> Any:
        if not isinstance(data, list):
            raise Malformed(f"{name} is not an array.")
        return tuple(inner(one, f"{name}[{index}]") for index, one in enumerate(data))

    return read


def _object_reader(kind: type) -> Reader:
    hints = typing.get_type_hints(kind)
    plan = [(field.name, hints[field.name], field.default is MISSING) for field in fields(kind)]
    readers = [(name, _reader(hint), required) for name, hint, required in plan]
    paths = {name for name, hint, _ in plan if hint is bytes or hint == bytes | None}
    known = {name for name, *_ in plan} | {f"{name}_b64" for name in paths}

    def read(data: Any, _: str) -> Any:
        if not isinstance(data, dict):
            raise Malformed(f"This is not a JSON object, where a {kind.__name__} belongs.")
        if unknown := data.keys() - known:
            fields = ", ".join(name for name, *_ in plan)
            raise Malformed(f"There is no {printable(min(unknown))} here; there are {fields}.")
        values = {}
        for name, reader, required in readers:
            if name in paths and f"{name}_b64" in data:
                values[name] = _from_base64(data[f"{name}_b64"], f"{name}_b64")
            elif name in data:
                values[name] = reader(data[name], name)
            elif required:
                raise Malformed(f"{name} is missing.")
        return kind(**values)

    return read


def _path(data: Any, name: str) -> bytes:
    """A path: its text, or `path_fields` of it."""
    if isinstance(data, dict) and isinstance(data.get("path_b64", data.get("path")), str):
        return _from_base64(data["path_b64"], f"{name}.path_b64") if "path_b64" in data else _path(data["path"], name)
    if not isinstance(data, str):
        raise Malformed(f"{name} is not a path.")
    try:
        path = data.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Malformed(f"{name} is not UTF-8; docs/service.md shows how its bytes travel.") from error
    return _checked_path(path, name)


def _from_base64(data: Any, name: str) -> bytes:
    try:
        return _checked_path(base64.b64decode(data, validate=True), name)
    except (binascii.Error, TypeError, ValueError) as error:
        raise Malformed(f"{name} is not base64.") from error


def _checked_path(path: bytes, name: str) -> bytes:
    if b"\0" in path:
        raise Malformed(f"{name} holds a NUL byte, which no path can.")
    return path
