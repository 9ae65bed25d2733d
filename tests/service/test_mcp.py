"""`clipsearch mcp` as an assistant meets it: the SDK's own client and a real process."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.program import Program

anyio = pytest.importorskip("anyio")
mcp = pytest.importorskip("mcp", reason="the extra mcp is not installed")


def with_client(program: Program, photos: Path, talk: Callable[[Any], Awaitable[None]]) -> None:
    """Starts the process in the photos' folder and lets `talk` use it."""
    environment = {key: value for key, value in program.environment.items() if key != "PYTHONWARNINGS"}
    server = mcp.StdioServerParameters(
        command=sys.executable, args=["-m", "clipsearch", "mcp"], env=environment, cwd=photos
    )

    async def session() -> None:
        async with mcp.Client(mcp.stdio_client(server)) as client:
            await talk(client)

    anyio.run(session)


def test_an_assistant_finds_and_labels_photos_and_changes_nothing(indexed: Program, photos: Path) -> None:
    """An assistant without a reason or a date can only guess; one that writes could not be trusted with photos."""
    before = (indexed.library / "catalog.db").read_bytes()

    async def talk(client: Any) -> None:
        tools = (await client.list_tools()).tools
        assert {tool.name for tool in tools} == {"search", "similar", "zsl"}
        assert all(tool.annotations.read_only_hint for tool in tools)
        (search,) = (tool for tool in tools if tool.name == "search")
        assert "before:" in search.description and search.output_schema

        answer = await client.call_tool("search", {"query": "a cat", "k": 2})
        assert answer.is_error is False
        first = answer.structured_content["photos"][0]
        assert first["path"] == str(photos / "animals/cat-on-armchair.jpg")
        assert 0.5 <= first["relevance"] <= 1 and first["taken_at"] == "2025-06-01T16:59:26"
        assert answer.structured_content["searched"] == 5

        answer = await client.call_tool("similar", {"path": "animals/jellyfish.jpg", "k": 1})
        odd = answer.structured_content["photos"][0]
        assert odd["path"] == str(photos / "animals/caf\\xe9.jpg") and odd["path_b64"]

        (photos / "animals/broken.png").write_bytes(b"no picture")
        answer = await client.call_tool("zsl", {"paths": ["animals", "food"], "labels": ["an animal", "a drink"]})
        (photos / "animals/broken.png").unlink()
        labelled = answer.structured_content
        assert {Path(one["path"]).name: max(one["labels"], key=one["labels"].get) for one in labelled["photos"]} == {
            "caf\\xe9.jpg": "an animal",
            "cat-on-armchair.jpg": "an animal",
            "coffee-cup.jpg": "a drink",
            "dogs-at-window.jpg": "an animal",
            "jellyfish.jpg": "an animal",
        }
        assert list(labelled["unreadable"]) == [str(photos / "animals/broken.png")] and labelled["is_complete"]

        # A model that reads "internal error" tries the same again.
        for tool, arguments, words in (
            ("search", {"query": "year:soon"}, ['"soon" is not a year', "write year:2015"]),
            ("similar", {"path": "nowhere.jpg"}, ["There is no nowhere.jpg.", "Check the spelling"]),
            ("zsl", {"paths": ["animals"], "labels": []}, ["There are no labels."]),
            ("search", {"query": "a cat", "k": 0}, ["greater than or equal to 1"]),
        ):
            answer = await client.call_tool(tool, arguments)
            assert answer.is_error is True
            assert all(word in answer.content[0].text for word in words), answer.content[0].text

    with_client(indexed, photos, talk)
    assert (indexed.library / "catalog.db").read_bytes() == before


def test_photos_that_cannot_be_listed_in_one_answer_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """An assistant would take the first photos of a folder for all of them."""
    from clipsearch.service import mcp as tools
    from clipsearch.types import Labelled, LabelScore

    monkeypatch.setattr(tools, "MAX_LABELLED", 2)
    for count, complete in ((2, True), (3, False)):
        results = (Labelled(b"/%d.jpg" % n, (LabelScore("cat", 1.0, 0.2),), "cat", 1.0) for n in range(count))
        answer = tools._labelled(results)
        assert (len(answer.photos), answer.is_complete) == (2, complete)


def test_it_says_nothing_on_stdout_but_the_protocol(indexed: Program) -> None:
    """One stray line, and the assistant drops the connection."""
    outcome = indexed("mcp", stdin=b"", env={"PYTHONWARNINGS": os.environ.get("PYTHONWARNINGS", "ignore")})
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, b"", "")
