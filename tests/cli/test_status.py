"""`clipsearch status`: what the library holds, for people and for programs."""

from __future__ import annotations

from pathlib import Path

from tests.cli.program import Program


def test_json_holds_every_promised_key(indexed: Program, photos: Path) -> None:
    """A monitor that reads `failed` or `checkpoint` goes blind when a key is renamed."""
    outcome = indexed("status", "--json")
    assert outcome.code == 0 and outcome.stderr == ""
    status = outcome.json
    assert set(status) >= {"photos", "files", "failed", "roots", "model", "space", "checkpoint", "text_cache"}
    assert (status["photos"], status["files"], status["failed"]) == (45, 47, 1)
    (root,) = status["roots"]
    assert (root["path"], root["files"], root["online"]) == (str(photos), 47, True)
    assert status["model"] == "starter" and status["space"]["dim"] == 512
    assert status["variant"] == "int8/onnxruntime-cpu"  # tests/support/ways.py
    assert (status["checkpoint"]["rows"], status["checkpoint"]["healthy"]) == (45, True)


def test_it_counts_what_the_text_cache_has_saved(program: Program, photos: Path) -> None:
    """Nobody could tell whether the cache is worth its place."""
    program("index", photos / "food")
    empty = program("status", "--json").json["text_cache"]
    assert empty == {"entries": 0, "hits": 0, "misses": 0, "hit_rate": 0}
    for query in ("dog", "dog", "dog", "cat"):
        program("search", "--all", query)
    assert program("status", "--json").json["text_cache"] == {"entries": 2, "hits": 2, "misses": 2, "hit_rate": 0.5}
    assert "2 texts cached, 2 hits of 4 (50 %)" in program("status").stdout.decode()


def test_people_read_numbers_roots_model_and_the_state_of_the_index(indexed: Program, photos: Path) -> None:
    """A person asks `status` when something seems wrong; it has to name the things."""
    text = indexed("status").stdout.decode()
    for word in ("45 photos in 47 files", "1 not readable (clipsearch errors)", str(photos), "starter", "good",
                 str(indexed.library)):  # fmt: skip
        assert word in text


def test_a_damaged_generation_is_told_and_the_next_run_heals_it(program: Program, photos: Path) -> None:
    """Silent damage would be found when searching has become slow, or wrong."""
    program("index", photos / "food")
    (generation,) = (program.library / "vectors").glob("*.vectors")
    generation.write_bytes(b"garbage")
    checkpoint = program("status", "--json").json["checkpoint"]
    assert checkpoint["healthy"] is False and generation.name in checkpoint["state"]
    assert len(program("search", "--all", "photo").paths) == 3
    program("index")
    assert program("status", "--json").json["checkpoint"]["healthy"] is True
