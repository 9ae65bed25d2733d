"""Texts asked before cost no model; a cache that fails costs no more than its contents."""

from __future__ import annotations

import multiprocessing
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from clipsearch.engine import textcache
from clipsearch.engine.textcache import CACHE_FILE, CachedVectors, TextCache
from clipsearch.errors import Exit, SystemFault
from tests.support.encoder import hashed_vector

TOWER = "tower-a"


class CountingEncoder:
    """Stands for a text tower; `calls` are the lists of texts it was asked for."""

    def __init__(self, seed: int = 0) -> None:
        self.calls: list[list[str]] = []
        self.seed = seed

    def __call__(self, texts: list[str]) -> CachedVectors:
        self.calls.append(texts)
        return CachedVectors(expected(*texts, seed=self.seed), tuple(len(text) > 20 for text in texts))


def expected(*texts: str, seed: int = 0) -> np.ndarray:
    return np.stack([hashed_vector(text.encode(), 8, seed) for text in texts])


@pytest.fixture
def encode() -> CountingEncoder:
    return CountingEncoder()


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[TextCache]:
    with TextCache(tmp_path) as cache:
        yield cache


def test_a_repeated_text_is_not_encoded_again(tmp_path: Path, encode: CountingEncoder) -> None:
    """Each query would load 25 MB of model to learn what it knew yesterday."""
    for _ in range(2):
        with TextCache(tmp_path) as cache:
            found = cache.vectors(TOWER, ["a dog", "a text that is cut by the model"], encode)
            assert np.array_equal(found.vectors, expected("a dog", "a text that is cut by the model"))
            assert found.vectors.dtype == np.float32
            assert found.truncated == (False, True)
    assert encode.calls == [["a dog", "a text that is cut by the model"]]


def test_only_unknown_texts_are_encoded_and_all_come_in_their_order(cache: TextCache, encode: CountingEncoder) -> None:
    """A label added to a set of a thousand costs one text; a vector in another's place is another label's."""
    cache.vectors(TOWER, ["b", "d"], encode)
    found = cache.vectors(TOWER, ["a", "b", "c", "d", "e"], encode)
    assert encode.calls == [["b", "d"], ["a", "c", "e"]]
    assert np.array_equal(found.vectors, expected("a", "b", "c", "d", "e"))


def test_a_text_that_comes_twice_is_encoded_once(cache: TextCache, encode: CountingEncoder) -> None:
    """Templates make the same prompt of "dog" and "Dog"."""
    found = cache.vectors(TOWER, ["x", "y", "x"], encode)
    assert encode.calls == [["x", "y"]]
    assert np.array_equal(found.vectors, expected("x", "y", "x"))
    assert len(found.truncated) == 3


def test_two_towers_keep_their_vectors_apart(cache: TextCache, encode: CountingEncoder) -> None:
    """After a change of model the old one's vectors would search the new one's space."""
    other = CountingEncoder(seed=1)
    cache.vectors(TOWER, ["a dog"], encode)
    assert np.array_equal(cache.vectors("tower-b", ["a dog"], other).vectors, expected("a dog", seed=1))
    assert np.array_equal(cache.vectors(TOWER, ["a dog"], encode).vectors, expected("a dog"))
    assert (len(encode.calls), len(other.calls)) == (1, 1)


@pytest.mark.parametrize(
    "text", ["", " ", "a dog ", "A dog", "café", "cafe\u0301", "犬 🐕", "a'; DROP TABLE text_vector"]
)
def test_texts_are_kept_to_the_letter(cache: TextCache, encode: CountingEncoder, text: str) -> None:
    """What equals what is the tokenizer's business."""
    cache.vectors(TOWER, ["a dog"], encode)
    for _ in range(2):
        assert np.array_equal(cache.vectors(TOWER, [text], encode).vectors, expected(text))
    assert encode.calls == [["a dog"], [text]]


def test_a_text_that_could_not_be_encoded_is_not_remembered(cache: TextCache, encode: CountingEncoder) -> None:
    """A failing backend must not leave a hole that answers."""

    def fail(texts: list[str]) -> CachedVectors:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cache.vectors(TOWER, ["a dog"], fail)
    assert cache.status().entries == 0
    cache.vectors(TOWER, ["a dog"], encode)
    assert encode.calls == [["a dog"]]


def test_the_least_recently_used_text_leaves_first(
    cache: TextCache, encode: CountingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Yesterday's one-off query would push out the labels of every day."""
    monkeypatch.setattr(textcache, "MAX_ENTRIES", 3)
    for text in ("a", "b", "c", "a", "d"):  # "a" is used again, so "b" leaves for "d"
        cache.vectors(TOWER, [text], encode)
    assert cache.status().entries == 3
    encode.calls.clear()
    for text in ("a", "c", "d"):
        cache.vectors(TOWER, [text], encode)
    assert encode.calls == []
    cache.vectors(TOWER, ["b"], encode)
    assert encode.calls == [["b"]]


def test_the_cache_never_grows_beyond_its_limit(
    cache: TextCache, encode: CountingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A label set larger than the cache is answered whole and kept in part."""
    monkeypatch.setattr(textcache, "MAX_ENTRIES", 3)
    texts = [f"label {number}" for number in range(7)]
    assert np.array_equal(cache.vectors(TOWER, texts, encode).vectors, expected(*texts))
    assert cache.status().entries == 3
    cache.vectors(TOWER, ["another"], encode)
    assert cache.status().entries == 3


def test_hits_and_misses_are_counted_across_sessions(tmp_path: Path, encode: CountingEncoder) -> None:
    """`status` tells whether the cache is worth its place."""
    with TextCache(tmp_path) as cache:
        assert cache.status().hit_rate == 0
        cache.vectors(TOWER, ["a", "b"], encode)
    with TextCache(tmp_path) as cache:
        cache.vectors(TOWER, ["a", "b", "c", "c"], encode)
        status = cache.status()
    assert (status.entries, status.hits, status.misses) == (3, 3, 3)
    assert status.hit_rate == 0.5


# -- damage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to look at" * 100, b"SQLite format 3\0" + b"x" * 8000]
)
def test_a_garbled_cache_is_replaced(tmp_path: Path, encode: CountingEncoder, content: bytes) -> None:
    """A power cut must not stop every search until someone finds the file."""
    (tmp_path / CACHE_FILE).write_bytes(content)
    for _ in range(2):
        with TextCache(tmp_path) as cache:
            assert np.array_equal(cache.vectors(TOWER, ["a dog"], encode).vectors, expected("a dog"))
    assert encode.calls == [["a dog"]]


def test_an_empty_file_is_a_new_cache(tmp_path: Path, encode: CountingEncoder) -> None:
    """What a crash right after creation leaves."""
    (tmp_path / CACHE_FILE).touch()
    with TextCache(tmp_path) as cache:
        cache.vectors(TOWER, ["a dog"], encode)
        assert cache.status().entries == 1


def test_damage_found_while_reading_costs_encoding_and_no_answer(tmp_path: Path, encode: CountingEncoder) -> None:
    """The first page may be whole and the rest not; a cache must never be what a query fails for."""
    with TextCache(tmp_path) as cache:
        cache.vectors(TOWER, [f"a longer text {number}" for number in range(500)], encode)
    path = tmp_path / CACHE_FILE
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with TextCache(tmp_path) as cache:
        with pytest.raises(SystemFault, match=r"cache\.db") as caught:
            cache.status()
        assert "delete the file" in caught.value.hint
        assert cache.vectors(TOWER, ["a longer text 7"], encode).vectors.shape[0] == 1
        assert cache.status().entries == 1


def test_a_vector_that_is_no_unit_vector_any_more_is_made_again(tmp_path: Path, encode: CountingEncoder) -> None:
    """SQLite keeps no checksums: garbled numbers would be believed, and NaN shown as a score."""
    with TextCache(tmp_path) as cache:
        good = cache.vectors(TOWER, ["a dog"], encode).vectors
    for damaged in (b"\xff" * 2048, b"\x00" * 2048, b"odd"):
        with sqlite3.connect(tmp_path / CACHE_FILE) as connection:
            connection.execute("UPDATE text_vector SET vector = ?", (damaged,))
        connection.close()
        with TextCache(tmp_path) as cache:
            assert (cache.vectors(TOWER, ["a dog"], encode).vectors == good).all()


def test_a_folder_that_cannot_be_written_is_a_system_fault(tmp_path: Path) -> None:
    """The user learns which folder and how to choose another."""
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(SystemFault, match=r"cache\.db cannot be used") as caught:
            TextCache(folder)
        assert "CLIPSEARCH_CACHE" in caught.value.hint and caught.value.exit_code == Exit.SYSTEM


def test_a_cache_file_that_cannot_be_opened_is_not_thrown_away(tmp_path: Path) -> None:
    """ "Cannot open" is not "damaged": what lies there may be someone's."""
    (tmp_path / CACHE_FILE).mkdir()
    with pytest.raises(SystemFault, match=r"cache\.db cannot be used"):
        TextCache(tmp_path)
    assert (tmp_path / CACHE_FILE).is_dir()


# -- together -------------------------------------------------------------------------------------


def test_two_connections_see_each_other(tmp_path: Path, encode: CountingEncoder) -> None:
    """A search in the terminal beside a search in another one."""
    with TextCache(tmp_path) as one, TextCache(tmp_path) as two:
        one.vectors(TOWER, ["a"], encode)
        two.vectors(TOWER, ["a", "b"], encode)
        one.vectors(TOWER, ["b"], encode)
        assert one.status() == two.status()
        assert (one.status().hits, one.status().misses) == (2, 2)
    assert encode.calls == [["a"], ["b"]]


def test_a_text_that_two_asked_for_at_once_is_kept_once(tmp_path: Path, encode: CountingEncoder) -> None:
    """Both load the model and both store the answer; the second must not fail on the first one's row."""
    with TextCache(tmp_path) as one, TextCache(tmp_path) as two:

        def meanwhile(texts: list[str]) -> CachedVectors:
            two.vectors(TOWER, texts, encode)
            return encode(texts)

        assert np.array_equal(one.vectors(TOWER, ["a"], meanwhile).vectors, expected("a"))
        assert one.status().entries == 1


def test_many_processes_may_open_a_new_cache_at_once(tmp_path: Path) -> None:
    """`xargs -P8 clipsearch search` on a fresh account: "database is locked" for one in a hundred of them."""
    context = multiprocessing.get_context("spawn")
    crowd = 4
    barrier, faults = context.Barrier(crowd), context.Queue()
    processes = [context.Process(target=ask_many, args=(tmp_path, number, barrier, faults)) for number in range(crowd)]
    for process in processes:
        process.start()
    found = [faults.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert found == [None] * crowd
    for round_number in range(ROUNDS):
        with TextCache(tmp_path / str(round_number)) as cache:
            status = cache.status()
            assert status.entries == crowd + 1 and status.hits + status.misses == 2 * crowd


ROUNDS = 40


def ask_many(folder: Path, number: int, barrier, faults) -> None:
    fault = None
    for round_number in range(ROUNDS):
        barrier.wait(60)
        try:
            with TextCache(folder / str(round_number)) as cache:
                cache.vectors(TOWER, [f"mine {number}", "shared"], CountingEncoder())
        except Exception as error:  # whatever it is, the test shows it
            fault = repr(error)
    faults.put(fault)


def test_vectors_lie_little_endian(tmp_path: Path, encode: CountingEncoder) -> None:
    """A home folder shared by two machines."""
    with TextCache(tmp_path) as cache:
        cache.vectors(TOWER, ["a"], encode)
    connection = sqlite3.connect(tmp_path / CACHE_FILE)
    (blob,) = connection.execute("SELECT vector FROM text_vector").fetchone()
    connection.close()
    assert blob == expected("a")[0].astype("<f4").tobytes()
