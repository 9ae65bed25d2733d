"""Generations: damage, crashes and merges must never change an answer."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from clipsearch import config, files
from clipsearch.answers import Question, Stopwatch, answered
from clipsearch.errors import SystemFault
from clipsearch.index import generation as generations
from clipsearch.index import nearest as plans
from clipsearch.index import scan, sketch, vectors
from clipsearch.index.catalog import Catalog, Root
from clipsearch.index.generation import PARTS, DamagedGeneration, open_generation, stamp_of
from clipsearch.index.spaces import Space
from clipsearch.index.vectors import STEPS, make_checkpoint, needs_checkpoint
from clipsearch.library import Library
from clipsearch.relevance import background_of
from clipsearch.types import Answer
from tests.index.filled import DIM, add_photo, fill, identity, new_root, stamp, true_best
from tests.support.encoder import hashed_vector

ROWS = 300
QUERIES = np.stack([hashed_vector(b"query %d" % n, DIM) for n in range(5)])


SMALL = ("ids", "vectors")


@pytest.fixture(autouse=True)
def use_generations_at_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "SCAN_ROWS", 0)
    monkeypatch.setattr(plans, "FEW", 0)


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every generation is one of many rows: it has a graph, and sketches that leave half of each vector out."""
    monkeypatch.setattr(vectors, "LARGE_ROWS", 1)
    monkeypatch.setattr(plans, "WHOLE", 0)
    monkeypatch.setattr(sketch, "KEPT", 0.5)
    monkeypatch.setattr(sketch, "_STEP", 8)
    monkeypatch.setattr(sketch, "_POOR", 0.0)  # half of the rows are poorly drawn
    monkeypatch.setattr(sketch, "MOST_POOR", 0.9)
    monkeypatch.setattr(vectors, "MOST_POOR", 0.9)


@pytest.fixture
def folder(paths: config.Paths) -> Path:
    paths.library.mkdir()
    return paths.library / "vectors"


@pytest.fixture
def catalog(paths: config.Paths, folder: Path) -> Iterator[Catalog]:
    with Catalog.open_writer(paths.library / "catalog.db") as opened:
        yield opened


@pytest.fixture
def space(catalog: Catalog) -> Space:
    return catalog.space_for(identity())


@pytest.fixture
def root(catalog: Catalog) -> Root:
    return new_root(catalog, b"/photos")


@pytest.fixture
def filled(catalog: Catalog, space: Space, root: Root) -> list[int]:
    return fill(catalog, space, root, ROWS)


def asked(library: Library, query: np.ndarray, k: int = 20, *, is_image: bool = False) -> Answer:
    """What the library answers to a vector of which no model knows a text."""
    opened, nothing = library._opened, np.empty((0, DIM), np.float32)
    question = Question(
        parts=query[None], weights=(1.0,), is_image=is_image, has_picture=is_image, excluded=nothing, k=k
    )
    background = background_of(query[None], QUERIES, photos=ROWS)
    with opened.catalog.transaction():
        return answered(opened.catalog, opened.nearest, opened.space(), question, lambda: background, Stopwatch())


def answers(paths: config.Paths, k: int = 20, *, is_image: bool = False) -> list[Answer]:
    with Library(paths) as opened:
        return [asked(opened, query, k, is_image=is_image) for query in QUERIES]


def found(paths: config.Paths, k: int = 20, *, is_image: bool = False) -> list[list[bytes]]:
    return [[hit.path for hit in answer.hits] for answer in answers(paths, k, is_image=is_image)]


def contents(numbers: range | list[int]) -> dict[int, np.ndarray]:
    return {number: hashed_vector(b"content %d" % number, DIM) for number in numbers}


def expected(numbers: range | list[int], k: int = 20) -> list[list[bytes]]:
    """Paths by brute force over vectors made beside the library; numbers are those of `fill`."""
    return [[b"/photos/%05d.jpg" % n for n in true_best(contents(numbers), query, k)] for query in QUERIES]


def files_of(catalog: Catalog, space: Space, folder: Path) -> dict[str, Path]:
    """The files of the generation in use, by their part."""
    checkpoint = catalog.checkpoint(space)
    assert checkpoint is not None
    return {file.part: folder / file.name for file in checkpoint.files}


# -- build and open ---------------------------------------------------------------------------------


def test_a_checkpoint_holds_every_vector_and_opens(
    catalog: Catalog, space: Space, folder: Path, filled: list[int]
) -> None:
    """A generation that lost rows would lose hits in silence."""
    make_checkpoint(catalog, space, folder)
    checkpoint = catalog.checkpoint(space)
    assert checkpoint is not None
    assert (checkpoint.rows, checkpoint.max_seq) == (ROWS, catalog.last_seq(space))
    generation = open_generation(folder, checkpoint, DIM)
    assert generation.ids.tolist() == filled
    stored = np.stack([contents(range(ROWS))[number].astype(np.float16) for number in range(ROWS)])
    assert np.array_equal(generation.vectors, stored)
    assert set(folder.iterdir()) == set(files_of(catalog, space, folder).values())
    assert not needs_checkpoint(catalog, space, folder)


def test_searches_of_a_generation_answer_as_brute_force(
    catalog: Catalog,
    space: Space,
    folder: Path,
    filled: list[int],
    paths: config.Paths,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A small generation has vectors alone, which are compared one by one."""
    make_checkpoint(catalog, space, folder)
    assert set(files_of(catalog, space, folder)) == set(SMALL)
    used: list[type] = []
    real = scan.best_rows

    def best_rows(query: np.ndarray, *others: object) -> np.ndarray:
        used.append(query.dtype.type)
        return real(query, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(scan, "best_rows", best_rows)
    assert found(paths) == expected(range(ROWS))
    assert used == [np.float16] * len(QUERIES), "the search went past the generation"


def test_an_answer_does_not_depend_on_its_plan(
    catalog: Catalog,
    space: Space,
    folder: Path,
    filled: list[int],
    paths: config.Paths,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Scores to the last bit: a hit must not change its score when a run makes a checkpoint."""
    make_checkpoint(catalog, space, folder)
    from_generation = answers(paths)
    monkeypatch.setattr(plans, "SCAN_ROWS", 10 * ROWS)
    assert answers(paths) == from_generation


def test_no_vectors_make_no_file(catalog: Catalog, space: Space, folder: Path, paths: config.Paths) -> None:
    """An empty file cannot be mapped, and restoring an empty graph ends the interpreter (usearch issue 195)."""
    assert not needs_checkpoint(catalog, space, folder)
    make_checkpoint(catalog, space, folder)
    assert list(folder.iterdir()) == []
    assert catalog.checkpoint(space) is None
    assert found(paths) == [[]] * len(QUERIES)


def test_more_hits_than_photos_are_all_photos(
    catalog: Catalog, space: Space, root: Root, folder: Path, paths: config.Paths
) -> None:
    """A scan that fills up what it does not have would show rubbish."""
    fill(catalog, space, root, 3)
    make_checkpoint(catalog, space, folder)
    assert found(paths, 50) == expected(range(3), 50)


def test_generations_of_two_spaces_live_side_by_side(
    catalog: Catalog, space: Space, folder: Path, filled: list[int], paths: config.Paths
) -> None:
    """(I4) While a new model encodes, the old one must go on answering; its file is not swept."""
    make_checkpoint(catalog, space, folder)
    other = catalog.space_for(identity(dim=16, seed=1))
    with catalog.transaction():
        for number, photo_id in enumerate(filled[:50]):
            catalog.put_vector(other, photo_id, hashed_vector(b"content %d" % number, 16, 1), "fake")
    make_checkpoint(catalog, other, folder)
    assert len(list(folder.iterdir())) == 2 * len(SMALL)
    assert found(paths) == expected(range(ROWS))
    checkpoint = catalog.checkpoint(other)
    assert checkpoint is not None and checkpoint.rows == 50
    assert open_generation(folder, checkpoint, 16).ids.tolist() == filled[:50]


@pytest.mark.parametrize(("tail", "needed"), [(vectors.TAIL_ROWS, False), (vectors.TAIL_ROWS + 1, True)])
def test_a_long_tail_asks_for_a_new_checkpoint(
    catalog: Catalog, space: Space, root: Root, folder: Path, filled: list[int], tail: int, needed: bool
) -> None:
    """A tail that only grows makes each search slower."""
    make_checkpoint(catalog, space, folder)
    with catalog.transaction():
        for number in range(tail):
            vector = hashed_vector(b"new %d" % number, DIM)
            catalog.put_vector(space, filled[0] if number == 0 else number + 1000, vector, "f") if number == 0 else (
                catalog._run(
                    "INSERT INTO photo (id, digest, width, height, format) VALUES (?, ?, 1, 1, 'JPEG')",
                    (number + 1000, b"new %d" % number),
                ),
                catalog.put_vector(space, number + 1000, vector, "f"),
            )
    assert needs_checkpoint(catalog, space, folder) is needed


# -- the tail, replaced and hidden photos -----------------------------------------------------------


def test_new_replaced_and_hidden_photos_are_merged_as_brute_force_does(
    catalog: Catalog, space: Space, root: Root, folder: Path, filled: list[int], paths: config.Paths
) -> None:
    """(I6) Old vectors in the generation must not answer for photos that changed, moved on or went."""
    make_checkpoint(catalog, space, folder)
    truth = contents(range(ROWS))
    fill(catalog, space, root, 40, first=ROWS)
    truth |= contents(range(ROWS, ROWS + 40))
    for number in range(0, ROWS, 7):  # re-encoded, in the same space
        truth[number] = hashed_vector(b"replaced %d" % number, DIM)
        catalog.put_vector(space, filled[number], truth[number], "fake")
    ids = {file.stamp.name: file.id for file in catalog.known_files(root.id, space.id)}
    best = {number for query in QUERIES for number in true_best(truth, query, 3)}  # would rank first
    for number in best | set(range(0, ROWS + 40, 5)):
        catalog.forget_files([ids[b"%05d.jpg" % number]])
        del truth[number]
    for k in (1, 20, 500):
        assert found(paths, k) == [[b"/photos/%05d.jpg" % n for n in true_best(truth, query, k)] for query in QUERIES]


def test_vectors_written_again_do_not_widen_the_search(
    catalog: Catalog,
    space: Space,
    folder: Path,
    filled: list[int],
    paths: config.Paths,
    large: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While a library is described anew each search would rank more and more rows that cannot answer."""
    make_checkpoint(catalog, space, folder)
    truth = contents(range(ROWS))
    for number in range(0, ROWS, 3):
        truth[number] = hashed_vector(b"replaced %d" % number, DIM)
        catalog.put_vector(space, filled[number], truth[number], "fake")
    asked_for: list[int] = []
    real = plans.reranked
    monkeypatch.setattr(plans, "reranked", lambda k, rows: asked_for.append(k) or real(k, rows))  # type: ignore[func-returns-value]
    given = [[hit.path for hit in answer.hits] for answer in answers(paths)]
    assert given == [[b"/photos/%05d.jpg" % n for n in true_best(truth, query, 20)] for query in QUERIES]
    assert set(asked_for) == {20}


def test_more_hidden_photos_than_hits_do_not_crowd_out_the_others(
    catalog: Catalog, space: Space, root: Root, folder: Path, filled: list[int], paths: config.Paths
) -> None:
    """A generation asked for k rows only would answer with nothing after a folder was deleted."""
    make_checkpoint(catalog, space, folder)
    catalog.forget_files(list(range(1, ROWS - 4)))
    left = [number for number, photo_id in enumerate(filled) if photo_id not in set(catalog.hidden_photos())]
    assert len(left) == 5
    assert found(paths) == expected(left)


def shown(given: list[Answer]) -> list[list[tuple[bytes, float | None]]]:
    return [[(hit.path, hit.score) for hit in answer.hits] for answer in given]


# -- damage -----------------------------------------------------------------------------------------


def truncate(path: Path, other: bytes) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def garble(path: Path, other: bytes) -> None:
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)


def garble_head(path: Path, other: bytes) -> None:
    whole = path.read_bytes()
    path.write_bytes(b"\xff" * 64 + whole[64:])


def delete(path: Path, other: bytes) -> None:
    path.unlink()


def swap(path: Path, other: bytes) -> None:
    path.write_bytes(other)


def empty(path: Path, other: bytes) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("part", "damage"),
    [
        *(("vectors", damage) for damage in (truncate, garble, garble_head, delete, swap, empty)),
        *((part, garble) for part in PARTS if part != "vectors"),
    ],
)
def test_a_damaged_generation_is_noticed_answers_stay_and_the_next_run_replaces_it(
    catalog: Catalog,
    space: Space,
    folder: Path,
    filled: list[int],
    paths: config.Paths,
    large: None,
    part: str,
    damage: Callable[[Path, bytes], None],
) -> None:
    """(I2) A mapped file with one wrong byte gives wrong photos; a graph with one ends the process."""
    make_checkpoint(catalog, space, folder)
    other = files_of(catalog, space, folder)[part].read_bytes()
    catalog.put_vector(space, filled[0], hashed_vector(b"replaced", DIM), "fake")
    make_checkpoint(catalog, space, folder)
    before = answers(paths)
    path, checkpoint = files_of(catalog, space, folder)[part], catalog.checkpoint(space)
    assert checkpoint is not None
    damage(path, other + b"." if other == path.read_bytes() else other)
    with pytest.raises(DamagedGeneration, match=path.name):
        open_generation(folder, checkpoint, DIM)
    assert shown(answers(paths)) == shown(before)
    with Library(paths) as opened:
        status = opened.status().checkpoint
    assert not status.healthy and path.name in status.state
    assert needs_checkpoint(catalog, space, folder)
    make_checkpoint(catalog, space, folder)
    assert not needs_checkpoint(catalog, space, folder)
    assert answers(paths) == before
    assert set(folder.iterdir()) == set(files_of(catalog, space, folder).values())


def test_a_changed_byte_is_noticed_though_size_and_time_are_the_former_ones(
    catalog: Catalog, space: Space, folder: Path, filled: list[int], paths: config.Paths
) -> None:
    """(I2) What synchronises folders sets a file's time back after it wrote it; only ctime then tells."""
    make_checkpoint(catalog, space, folder)
    path, checkpoint = files_of(catalog, space, folder)["vectors"], catalog.checkpoint(space)
    assert checkpoint is not None
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    with path.open("r+b") as file:
        file.write(b"\x01")
    os.utime(path, ns=times)
    with pytest.raises(DamagedGeneration, match="digest"):
        open_generation(folder, checkpoint, DIM)


def test_a_file_that_rotted_on_its_disk_is_found_by_a_thorough_look_and_never_copied(
    catalog: Catalog, space: Space, folder: Path, filled: list[int], paths: config.Paths
) -> None:
    """A bit that flips touches no time; a checkpoint that copied it would give it a digest of its own."""
    make_checkpoint(catalog, space, folder)
    path = files_of(catalog, space, folder)["vectors"]
    garble(path, b"")
    catalog.restamp([(path.name, stamp_of(path))])  # as if nothing had touched it
    checkpoint = catalog.checkpoint(space)
    assert checkpoint is not None
    open_generation(folder, checkpoint, DIM)
    with pytest.raises(DamagedGeneration, match=path.name):
        open_generation(folder, checkpoint, DIM, thoroughly=True)
    make_checkpoint(catalog, space, folder)
    stored = np.stack([vector.astype(np.float16) for vector in contents(range(ROWS)).values()])
    checkpoint = catalog.checkpoint(space)
    assert checkpoint is not None
    assert np.array_equal(open_generation(folder, checkpoint, DIM).vectors, stored)


def test_a_copied_library_is_verified_and_then_trusted_again(
    catalog: Catalog,
    space: Space,
    folder: Path,
    filled: list[int],
    paths: config.Paths,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without new stamps each query of a library that was moved to another disk would hash all of it, for ever."""
    make_checkpoint(catalog, space, folder)
    for path in files_of(catalog, space, folder).values():
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
    hashed: list[Path] = []
    real = generations.digest_of

    def digest_of(path: Path) -> str:
        hashed.append(path)
        return real(path)

    monkeypatch.setattr(generations, "digest_of", digest_of)
    assert found(paths) == expected(range(ROWS))
    assert len(hashed) == len(SMALL)
    assert not needs_checkpoint(catalog, space, folder)
    hashed.clear()
    assert found(paths) == expected(range(ROWS))
    assert not hashed


def test_a_generation_of_another_dimension_is_damaged(
    catalog: Catalog, space: Space, folder: Path, filled: list[int]
) -> None:
    """Searching it with a query of the wrong length would read beyond its memory."""
    make_checkpoint(catalog, space, folder)
    checkpoint = catalog.checkpoint(space)
    assert checkpoint is not None
    with pytest.raises(DamagedGeneration, match=f"x {DIM + 1} numbers"):
        open_generation(folder, checkpoint, DIM + 1)


def test_a_reader_that_has_a_generation_open_answers_while_it_is_replaced(
    catalog: Catalog, space: Space, root: Root, folder: Path, filled: list[int], paths: config.Paths
) -> None:
    """(I3) A search in an open window must neither crash nor answer from a file that changed under it."""
    make_checkpoint(catalog, space, folder)
    with Library(paths) as reader:
        asked(reader, QUERIES[0])
        fill(catalog, space, root, 50, first=ROWS)
        make_checkpoint(catalog, space, folder)
        hits = [asked(reader, query).hits for query in QUERIES]
    assert [[hit.path for hit in group] for group in hits] == expected(range(ROWS + 50))


def test_a_graph_that_a_checkpoint_removed_before_it_was_walked_leaves_the_sketches(
    catalog: Catalog, space: Space, root: Root, folder: Path, filled: list[int], paths: config.Paths, large: None
) -> None:
    """A window whose first picture comes while a watcher writes must show hits, not a traceback."""
    make_checkpoint(catalog, space, folder)
    with Library(paths) as reader:
        asked(reader, QUERIES[0])  # opens the generation; only a picture maps its graph
        files_of(catalog, space, folder)["graph"].unlink()
        answers = [asked(reader, query, is_image=True) for query in QUERIES]
    assert {answer.plan for answer in answers} == {"sketch + re-rank + tail"}
    assert [[hit.path for hit in answer.hits] for answer in answers] == expected(range(ROWS))


# -- crashes ----------------------------------------------------------------------------------------

_KILLED_AT = """
import os, signal, sys
from pathlib import Path
from clipsearch.index.catalog import Catalog
from clipsearch.index.vectors import make_checkpoint
def reached(step):
    if step == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)
with Catalog.open_writer(Path(sys.argv[1]) / "catalog.db") as catalog:
    make_checkpoint(catalog, catalog.active_space(), Path(sys.argv[1]) / "vectors", reached)
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
@pytest.mark.parametrize("step", STEPS)
def test_killed_after_each_step_of_a_checkpoint_the_library_answers_as_before(
    catalog: Catalog, space: Space, root: Root, folder: Path, filled: list[int], paths: config.Paths, step: str
) -> None:
    """(I2, I3) A half-written checkpoint must not lose or change what was searchable, nor leave litter."""
    make_checkpoint(catalog, space, folder)
    fill(catalog, space, root, 50, first=ROWS)
    before = answers(paths)
    former = catalog.checkpoint(space)
    assert former is not None
    command = [sys.executable, "-c", _KILLED_AT, str(paths.library), step]
    child = subprocess.run(command, timeout=60, check=False)
    assert child.returncode == -signal.SIGKILL
    assert answers(paths) == before
    checkpoint = catalog.checkpoint(space)
    assert checkpoint is not None
    recorded = STEPS.index(step) >= STEPS.index("recorded")
    assert (checkpoint.generation > former.generation) is recorded
    open_generation(folder, checkpoint, DIM)
    left = {path.name for path in folder.iterdir()}
    assert len(left) == len(SMALL) * (1 if step == "swept" else 2)
    make_checkpoint(catalog, space, folder)
    assert set(folder.iterdir()) == set(files_of(catalog, space, folder).values())
    assert answers(paths) == before
    assert not needs_checkpoint(catalog, space, folder)


def test_a_checkpoint_is_synced_then_renamed_then_recorded_and_old_ones_go_last(
    catalog: Catalog,
    space: Space,
    folder: Path,
    filled: list[int],
    monkeypatch: pytest.MonkeyPatch,
    large: None,
) -> None:
    """(I3) Killing shows order, not durability: unsynced, a power cut leaves a row that names an empty file."""
    make_checkpoint(catalog, space, folder)
    old = files_of(catalog, space, folder)
    steps: list[str] = []

    def recorded(owner: object, name: str, step: str) -> None:
        real = getattr(owner, name)

        def call(*arguments: object, **options: object) -> object:
            steps.append(step)
            result = real(*arguments, **options)
            if step == "record":
                assert all(path.exists() for path in old.values())
            return result

        monkeypatch.setattr(owner, name, call)

    recorded(files, "sync_file", "sync file")
    recorded(Path, "replace", "rename")
    recorded(files, "sync_folder", "sync folder")
    recorded(Catalog, "record_checkpoint", "record")
    recorded(Path, "unlink", "unlink")
    catalog.put_vector(space, filled[0], hashed_vector(b"replaced", DIM), "fake")
    make_checkpoint(catalog, space, folder)
    published = ["sync file", "rename", "sync folder"]
    assert steps == [*published * len(PARTS), "record", *["unlink"] * len(PARTS)]
    assert not any(path.exists() for path in old.values())


_DISK_FULL = """
import resource, signal, sys
from pathlib import Path
from clipsearch.errors import SystemFault
from clipsearch.index.catalog import Catalog
from clipsearch.index.vectors import make_checkpoint
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Catalog.open_writer(Path(sys.argv[1]) / "catalog.db") as catalog:
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
    try:
        make_checkpoint(catalog, catalog.active_space(), Path(sys.argv[1]) / "vectors")
    except SystemFault as fault:
        print(fault.exit_code, fault.hint)
"""


@pytest.mark.skipif(os.name == "nt", reason="RLIMIT_FSIZE")
def test_a_disk_that_is_too_full_for_a_checkpoint_is_a_system_fault_and_answers_stay(
    catalog: Catalog, space: Space, root: Root, folder: Path, filled: list[int], paths: config.Paths
) -> None:
    """A short file must not get the final name, and the user must not see a traceback."""
    make_checkpoint(catalog, space, folder)
    fill(catalog, space, root, 50, first=ROWS)
    before, checkpoint = answers(paths), catalog.checkpoint(space)
    child = subprocess.run(
        [sys.executable, "-c", _DISK_FULL, str(paths.library)], capture_output=True, text=True, timeout=60, check=False
    )
    assert child.stdout.startswith(f"{SystemFault.exit_code:d} "), child.stderr
    assert catalog.checkpoint(space) == checkpoint
    assert answers(paths) == before


def test_a_disk_without_room_for_a_checkpoint_is_not_filled_first(
    catalog: Catalog, space: Space, folder: Path, filled: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A watcher would write gigabytes every half minute, and everybody else on that disk would fail meanwhile."""
    free = ROWS * (8 + 2 * DIM) - 1
    steps: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
        with pytest.raises(SystemFault, match="No space left"):
            make_checkpoint(catalog, space, folder, steps.append)
        assert steps == [] and list(folder.iterdir()) == []
        free += 1
        make_checkpoint(catalog, space, folder, steps.append)
    assert tuple(steps) == STEPS


# -- the graph --------------------------------------------------------------------------------------


def test_a_large_library_answers_texts_by_sketches_and_pictures_by_the_graph(
    catalog: Catalog,
    space: Space,
    root: Root,
    folder: Path,
    paths: config.Paths,
    large: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A text lies outside the cloud of images, where a graph loses a third of the hits."""
    monkeypatch.setattr(sketch, "KEPT", 0.99)  # these vectors spread alike in all directions
    rows = 2000
    fill(catalog, space, root, rows)
    make_checkpoint(catalog, space, folder)
    truth = expected(range(rows))
    texts = answers(paths)
    assert {answer.plan for answer in texts} == {"sketch + re-rank + tail"}
    assert [[hit.path for hit in answer.hits] for answer in texts] == truth
    pictures = answers(paths, is_image=True)
    assert {answer.plan for answer in pictures} == {"graph + tail"}
    hits = [len({hit.path for hit in answer.hits} & set(true)) for answer, true in zip(pictures, truth, strict=True)]
    assert sum(hits) / (20 * len(QUERIES)) >= 0.9
    scores = {hit.path: hit.score for hit in texts[0].hits}
    assert all(scores.get(hit.path, hit.score) == hit.score for hit in pictures[0].hits)


def test_what_a_filter_leaves_is_found_among_sketches_as_by_brute_force(
    catalog: Catalog, space: Space, root: Root, folder: Path, large: None
) -> None:
    """(I6) Rows that a filter drops must not crowd out the others, nor old vectors answer for new ones."""
    ids = fill(catalog, space, root, 1200)
    make_checkpoint(catalog, space, folder)
    truth = contents(range(1200))
    for number in range(0, 1200, 50):
        truth[number] = hashed_vector(b"replaced %d" % number, DIM)
        catalog.put_vector(space, ids[number], truth[number], "fake")
    ids += fill(catalog, space, root, 50, first=1200)
    truth |= contents(range(1200, 1250))
    nearest = plans.Nearest(folder)
    among = np.array(ids)[np.arange(1250) % 3 == 0]
    for query in QUERIES:
        for exact, plan in ((False, "filtered sketch + re-rank + tail"), (True, "filtered exact")):
            got = nearest.find_among(catalog, space, query, 20, among, exact=exact)
            best = true_best({n: vector for n, vector in truth.items() if n % 3 == 0}, query, 20)
            assert (got.plan, got.ids.tolist()) == (plan, [ids[n] for n in best])


def test_a_checkpoint_goes_on_from_the_former_one(
    catalog: Catalog,
    space: Space,
    root: Root,
    folder: Path,
    filled: list[int],
    paths: config.Paths,
    large: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Made from nothing each time, a million photos would keep both cores busy for minutes after every holiday."""
    make_checkpoint(catalog, space, folder)
    projection = files_of(catalog, space, folder)["projection"].read_bytes()
    fill(catalog, space, root, 40, first=ROWS)
    read, real = [], Catalog.vector_chunks

    def vector_chunks(*arguments: Any, **options: Any) -> Iterator[Any]:
        for ids, chunk in real(*arguments, **options):
            read.append(len(ids))
            yield ids, chunk

    monkeypatch.setattr(Catalog, "vector_chunks", vector_chunks)
    make_checkpoint(catalog, space, folder)
    assert read == [40]
    checkpoint = catalog.checkpoint(space)
    assert checkpoint is not None and checkpoint.rows == ROWS + 40
    assert files_of(catalog, space, folder)["projection"].read_bytes() == projection
    assert len(open_generation(folder, checkpoint, DIM).graph) == ROWS + 40
    assert found(paths) == expected(range(ROWS + 40))
    with Library(paths) as library:
        answer = asked(library, contents([ROWS + 7])[ROWS + 7], is_image=True)
    assert (answer.plan, answer.hits[0].path) == ("graph + tail", b"/photos/%05d.jpg" % (ROWS + 7))


def test_sketches_that_round_differently_are_no_damage(
    catalog: Catalog, space: Space, folder: Path, filled: list[int], large: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Products of 256 rows and of 65,536 differ in their last bits; a million photos then had no checkpoint at all."""
    real = sketch.Projection.drawn

    def drawn(self: sketch.Projection, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return real(replace(self, step=self.step * (1 + 1e-5 * len(rows))), rows)

    monkeypatch.setattr(sketch.Projection, "drawn", drawn)
    fill(catalog, space, new_root(catalog, b"/more"), 300, first=ROWS)
    make_checkpoint(catalog, space, folder)
    assert not needs_checkpoint(catalog, space, folder)


def add_within(catalog: Catalog, space: Space, root: Root, first: int, count: int, dimensions: slice) -> None:
    """Photos numbered from `first` whose vectors have something in these dimensions alone."""
    random = np.random.default_rng(first)
    for number in range(first, first + count):
        vector = np.zeros(DIM, np.float32)
        vector[dimensions] = random.standard_normal(8)
        photo_id = add_photo(catalog, space, root, stamp(b"%05d.jpg" % number), b"content %d" % number)
        catalog.put_vector(space, photo_id, vector / np.linalg.norm(vector), "fake")


@pytest.fixture
def few_poor(large: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sketch, "KEPT", 0.9)
    monkeypatch.setattr(sketch, "_POOR", 4.0)
    for module in (sketch, vectors):
        monkeypatch.setattr(module, "MOST_POOR", 0.1)


@pytest.mark.parametrize("is_image", [False, True])
def test_a_photo_unlike_all_others_is_found(
    catalog: Catalog,
    space: Space,
    root: Root,
    folder: Path,
    paths: config.Paths,
    few_poor: None,
    is_image: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A sketch shows next to nothing of an X-ray among holidays; it would be lost, and nobody would know."""
    monkeypatch.setattr(plans, "reranked", lambda k, rows: 5)
    monkeypatch.setattr(plans, "walked", lambda k: 5)
    add_within(catalog, space, root, 0, 300, slice(0, 8))
    add_within(catalog, space, root, 300, 4, slice(8, 16))
    make_checkpoint(catalog, space, folder)
    generation = open_generation(folder, catalog.checkpoint(space), DIM)  # type: ignore[arg-type]
    assert set(generation.poor) >= {300, 301, 302, 303} and len(generation.poor) < 30
    with Library(paths) as library:
        answer = asked(library, np.asarray(generation.vectors[302], np.float32), 3, is_image=is_image)
    assert answer.hits[0].path == b"/photos/00302.jpg"
    assert answer.plan == ("graph + tail" if is_image else "sketch + re-rank + tail")


def test_directions_that_no_longer_fit_are_chosen_again(
    catalog: Catalog, space: Space, root: Root, folder: Path, few_poor: None
) -> None:
    """A library that begins with holidays and goes on with X-rays would have all of them compared one by one."""
    add_within(catalog, space, root, 0, 200, slice(0, 8))
    make_checkpoint(catalog, space, folder)
    first = files_of(catalog, space, folder)["projection"].read_bytes()
    add_within(catalog, space, root, 200, 200, slice(8, 16))
    make_checkpoint(catalog, space, folder)
    second = files_of(catalog, space, folder)
    assert second["projection"].read_bytes() != first
    assert second["poor"].stat().st_size <= 8 * 0.1 * 400


def test_a_photo_whose_twin_has_the_same_vector_is_not_lost(
    catalog: Catalog, space: Space, root: Root, folder: Path, paths: config.Paths
) -> None:
    """Copies saved anew have other bytes and equal pixels; a checkpoint must not take them for damage."""
    one = add_photo(catalog, space, root, stamp(b"a.jpg"), b"one")
    two = add_photo(catalog, space, root, stamp(b"b.jpg"), b"two")
    catalog.put_vector(space, two, hashed_vector(b"one", DIM), "fake")
    make_checkpoint(catalog, space, folder)
    assert one < two
    assert found(paths)[0] == [b"/photos/a.jpg", b"/photos/b.jpg"]
