"""Tools for assistants, over the Model Context Protocol on stdin and stdout: search, similar and zsl, all read-only.

They answer with paths, relevances, dates and labels, never with pictures. The only module that imports the SDK
(extra `mcp`); it runs a tool in a thread of its own, and the worker has the library.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Annotated, TypeVar

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

from clipsearch import __version__
from clipsearch.config import Paths
from clipsearch.errors import ClipsearchError
from clipsearch.query import KEYS
from clipsearch.service.path_json import path_fields
from clipsearch.service.worker import Worker
from clipsearch.types import Answer, FailedFile, Labelled

T = TypeVar("T")

MAX_LABELLED = 500  # photos of one zsl; a folder may hold any number, and an assistant reads them all

_FILTERS = "\n".join(f"  {one.example}: {one.meaning}" for one in KEYS)

_SEARCH = f"""Find photos of the user's library by describing what they show, in plain words.

In the query, after a blank: "+ more of this", "- less of this", "2:twice as much", not:people (drops photos
that show it), like:/path/to/a.jpg (looks like that picture), "quotes" keep words together. Filters, also alone:
{_FILTERS}
Only photos that fit are returned, the best first; none if nothing in the library looks like that."""
_SIMILAR = "Find photos of the user's library that look like the photo at `path`, which comes first if it is in there."
_ZSL = """Say which of the labels fits each photo best. `paths` are photos, or folders of them; they need not be in
the library. The probabilities of a photo are shares among the labels given, so name an alternative for "none"."""

Count = Annotated[int, Field(ge=1, le=200, description="How many photos at most.")]


# No slots here: the SDK would take their descriptors for default values.


@dataclass(frozen=True)
class FoundPhoto:
    path: str
    relevance: float | None  # 0..1; None where nothing but filters was asked
    taken_at: str | None  # local time
    path_b64: str | None = None  # the bytes of a name that is not UTF-8


@dataclass(frozen=True)
class Found:
    photos: list[FoundPhoto]
    searched: int  # photos that were compared


@dataclass(frozen=True)
class LabelledPhoto:
    path: str
    labels: dict[str, float]  # probabilities, the most probable first
    path_b64: str | None = None


@dataclass(frozen=True)
class LabelledPhotos:
    photos: list[LabelledPhoto]
    unreadable: dict[str, str]  # path -> reason
    is_complete: bool  # False when there are more photos than one answer holds


def run(paths: Paths) -> None:
    """Answers assistants until stdin ends."""
    with Worker(paths) as worker:
        _server(worker, os.getcwdb()).run("stdio")


def _server(worker: Worker, cwd: bytes) -> MCPServer:
    def search(query: str, k: Count = 20, under: str | None = None) -> Found:
        return _told(lambda: _found(worker.call(lambda library: library.search(query, k=k, under=under), cwd)))

    def similar(path: str, k: Count = 20, under: str | None = None) -> Found:
        return _told(lambda: _found(worker.call(lambda library: library.similar(path, k=k, under=under), cwd)))

    def zsl(paths: list[str], labels: list[str]) -> LabelledPhotos:
        return _told(lambda: _labelled(worker.stream(lambda library, _: library.classify(paths, labels), cwd)))

    server: MCPServer = MCPServer(
        "clipsearch",
        version=__version__,
        instructions="Searches the user's own photos by what they show, on this machine. It changes nothing.",
        log_level="WARNING",
    )
    for tool, description in ((search, _SEARCH), (similar, _SIMILAR), (zsl, _ZSL)):
        server.add_tool(
            tool,
            description=description,
            annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
            structured_output=True,
        )
    return server


def _told(answer: Callable[[], T]) -> T:
    try:
        return answer()
    except ClipsearchError as error:
        raise ToolError(f"{error.message} {error.hint}") from error


def _found(answer: Answer) -> Found:
    photos = [
        FoundPhoto(relevance=hit.relevance, taken_at=hit.taken_at, **path_fields(hit.path)) for hit in answer.fitting
    ]
    return Found(photos, answer.searched)


def _labelled(results: Generator[Labelled | FailedFile, None, None]) -> LabelledPhotos:
    photos: list[LabelledPhoto] = []
    unreadable: dict[str, str] = {}
    with contextlib.closing(results):
        for result in itertools.islice(results, MAX_LABELLED):
            if isinstance(result, FailedFile):
                unreadable[path_fields(result.path)["path"]] = result.reason
            else:
                labels = {one.label: round(one.probability, 4) for one in result.labels}
                photos.append(LabelledPhoto(labels=labels, **path_fields(result.path)))
        return LabelledPhotos(photos, unreadable, is_complete=next(results, None) is None)
