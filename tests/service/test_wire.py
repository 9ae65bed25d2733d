"""Types to JSON and back: exact for every value, and a sentence for everything else."""

from __future__ import annotations

import json
import os
import types
import typing
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipsearch.errors import ClipsearchError, LibraryError, ModelError, SystemFault, UsageError
from clipsearch.service import wire
from clipsearch.service.record import Record
from clipsearch.service.wire import ClassifyRequest, Malformed, PhotoRequest, SearchRequest
from clipsearch.types import Answer, FailedFile, Labelled, PhotoDetails, Status

PATHS = st.binary(max_size=20).map(lambda name: name.replace(b"\0", b"/"))
TEXTS = st.text(max_size=20) | PATHS.map(os.fsdecode)  # a term may be a path with bytes that are no text
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    bytes: PATHS,
    str: TEXTS,
    int: st.integers(-(2**63), 2**64),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
}


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a type that travels."""
    if kind in PLAIN:
        return PLAIN[kind]
    if is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        parts = {field.name: values(hints[field.name]) for field in fields(kind)}
        if kind is SearchRequest:
            parts |= {"k": st.integers(0, 10**9), "min_relevance": st.none() | st.floats(0, 1)}
        return st.builds(kind, **parts)
    inner = typing.get_args(kind)
    if typing.get_origin(kind) is tuple:
        return st.lists(values(inner[0]), max_size=3).map(tuple)
    if typing.get_origin(kind) is typing.Literal:
        return st.sampled_from(inner)
    assert typing.get_origin(kind) in (typing.Union, types.UnionType)
    return st.none() | values(inner[0])


TRAVEL = (Answer, Status, PhotoDetails, Labelled, FailedFile, SearchRequest, ClassifyRequest, PhotoRequest, Record)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("kind", TRAVEL)
@settings(max_examples=50)  # of each of nine types
@given(data=st.data())
def test_every_value_comes_back_exactly_as_it_went(kind: type, data: st.DataObject) -> None:
    """A name that is not UTF-8 would open another file, and a score would differ from the local one."""
    value = data.draw(values(kind))
    line = wire.dumps(value)
    assert wire.loads(kind, line) == value
    assert line.isascii() and b"\n" not in line


@given(result=values(Labelled) | values(FailedFile) | values(wire.Told))
def test_a_line_of_labels_is_told_from_a_failure(result: Labelled | FailedFile | wire.Told) -> None:
    """A label called "reason" would turn a photo into a failure."""
    assert wire.loads_labelled(wire.dumps(result)) == result


@given(JSON, st.sampled_from(["query", "images", "k", "under", "under_b64", "sort", "min_relevance", "cwd_b64", "x"]))
def test_any_json_is_a_request_or_a_sentence(value: Any, field: str) -> None:
    """A client's mistake would be told as one of ours, with a traceback in the log."""
    for data in (value, {field: value}, [{field: value}]):
        try:
            assert isinstance(wire.from_json(SearchRequest, data), SearchRequest)
        except Malformed as error:
            assert str(error).endswith((".", ").")) and "\n" not in str(error)


@given(st.binary())
def test_any_bytes_are_a_request_or_a_sentence(text: bytes) -> None:
    """As above, before it is JSON."""
    try:
        wire.loads(SearchRequest, text)
    except Malformed as error:
        assert str(error)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ('{"query": 5}', "query is not text."),
        ('{"k": 2.5}', "k is not a whole number."),
        ('{"k": true}', "k is not a whole number."),
        ('{"k": -1}', "k is -1; it is a number of photos, 0 for all."),
        ('{"min_relevance": 2}', "min_relevance is 2.0; it lies between 0 and 1."),
        ('{"min_relevance": NaN}', "min_relevance is nan; it lies between 0 and 1."),
        ('{"sort": "size"}', "sort is none of score, date, name."),
        ('{"images": "a.jpg"}', "images is not an array."),
        ('{"images": ["a.jpg", 5]}', "images[1] is not a path."),
        ('{"under": "a\\u0000b"}', "under holds a NUL byte, which no path can."),
        ('{"under_b64": "%"}', "under_b64 is not base64."),
        ('{"under": "\\udce9"}', "under is not UTF-8; docs/service.md shows how its bytes travel."),
        ("[]", "This is not a JSON object, where a SearchRequest belongs."),
    ],
)
def test_a_sentence_names_the_culprit(body: str, sentence: str) -> None:
    """ "Bad request" sends people to the source code."""
    with pytest.raises(Malformed) as caught:
        wire.loads(SearchRequest, body.encode())
    assert str(caught.value) == sentence


def test_a_field_that_is_missing_or_unknown_is_named() -> None:
    """A misspelt field would be ignored, and the answer would be to another question."""
    with pytest.raises(Malformed, match=r"^There is no limit here; there are query, images, k, "):
        wire.loads(SearchRequest, b'{"query": "dog", "limit": 5}')
    with pytest.raises(Malformed, match=r"^path is missing\.$"):
        wire.loads(PhotoRequest, b'{"cwd": "/"}')


def test_a_path_is_text_with_its_bytes_beside_it_only_where_they_are_needed() -> None:
    """Editors would have to decode base64 to show a name."""
    assert wire.to_json(PhotoRequest(b"/a/caf\xc3\xa9.jpg")) == {"path": "/a/café.jpg", "cwd": "/"}
    odd = wire.to_json(ClassifyRequest((b"/a.jpg", b"\xe9.jpg"), ("cat",)))
    assert odd["targets"] == [{"path": "/a.jpg"}, {"path": "\\xe9.jpg", "path_b64": "6S5qcGc="}]
    assert wire.from_json(ClassifyRequest, {"targets": ["/a.jpg"], "labels": ["cat"]}).targets == (b"/a.jpg",)


@pytest.mark.parametrize("kind", [UsageError, LibraryError, ModelError, SystemFault])
def test_an_error_comes_back_as_the_class_it_was(kind: type[ClipsearchError]) -> None:
    """A missing library would end with the exit code of a typing mistake."""

    class Narrower(kind):  # type: ignore[misc,valid-type]
        pass

    for error in (kind('no such "dog"\n  here', "do\x1b this"), Narrower('no such "dog"\n  here', "do\x1b this")):
        told = wire.error_of(json.dumps(wire.error_fields(error)).encode())
        assert type(told) is kind and (told.message, told.hint) == (error.message, error.hint)


@pytest.mark.parametrize("text", [b"", b"null", b"{}", b'{"error": "no"}', b'{"error": {"kind": "X"}}', b"\xff"])
def test_what_is_no_error_is_none(text: bytes) -> None:
    """Another program's answer would be raised as ours."""
    assert wire.error_of(text) is None
