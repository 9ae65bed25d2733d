"""The Python interface: one object, a few methods, the same answers as the command line. With the real starter."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest

from clipsearch.config import Paths
from clipsearch.engine.backends import TABLE, is_installed
from clipsearch.engine.store import STARTER_FOLDER
from clipsearch.errors import ClipsearchError, LibraryError, ModelError, UsageError
from clipsearch.library import Library
from clipsearch.query import literal, parse
from clipsearch.types import Answer, FailedFile, Labelled, Planned, Scanning, Summary
from tests.conftest import SAMPLES

# index.workers leaves the pipes of its children to the collector.

NAMES = [
    "animals/jellyfish.jpg",
    "animals/dogs-at-window.jpg",
    "food/coffee-cup.jpg",
    "garden/dandelions.jpg",
    "broken/half-copied.jpg",
    "city/japanese-shop-night.jpg",
]
QUERIES = ["a jellyfish", "dogs", "a cup of coffee", "flowers", "a city at night"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(SAMPLES / name, tmp_path / "in" / name)
    return tmp_path / "in"


@pytest.fixture
def filled(paths: Paths, folder: Path) -> Paths:
    with Library(paths) as library:
        summary(library, folder)
    return paths


def summary(library: Library, *folders: Path, model: str | None = None) -> Summary:
    *_, last = library.update(folders, model=model)
    assert isinstance(last, Summary)
    return last


def top(library: Library, query: str, k: int = 3) -> list[str]:
    return [path.decode() for path in (hit.path for hit in library.search(library.asked(parse(query)), k=k).hits)]


def test_update_tells_what_it_does_and_ends_with_a_summary(paths: Paths, folder: Path) -> None:
    """An interface that shows progress would have to parse text."""
    with Library(paths) as library:
        events = list(library.update([folder]))
        assert isinstance(events[0], Scanning) and isinstance(events[1], Planned)
        done = events[-1]
        assert isinstance(done, Summary)
        assert (done.indexed, done.failed, done.interrupted) == (5, 1, False)
        assert summary(library).unchanged == 6
        (failure,) = library.failures()
        assert failure.path.endswith(b"half-copied.jpg") and failure.attempts == 1


def test_search_similar_classify_and_status_agree_on_the_library(filled: Paths, folder: Path) -> None:
    """Python users would meet other photos than those of the command line."""
    with Library(filled) as library:
        wanted = ["jellyfish", "dogs-at-window", "coffee-cup", "dandelions", "japanese-shop-night"]
        for query, name in zip(QUERIES, wanted, strict=True):
            assert name in top(library, query)[0]
        near = library.similar(folder / "animals/jellyfish.jpg", k=2)
        assert isinstance(near, Answer) and near.searched == 5 and len(near.hits) == 2
        assert near.hits[0].score == pytest.approx(1, abs=2e-3)
        labelled = list(library.classify([folder], ["jellyfish", "dogs", "coffee", "flowers", "a shop"]))
        first = {Path(one.path.decode()).name: one for one in labelled}
        assert isinstance(first["half-copied.jpg"], FailedFile)
        cup = first["coffee-cup.jpg"]
        assert isinstance(cup, Labelled) and cup.labels[0].label == "coffee"
        assert sum(one.probability for one in cup.labels) == pytest.approx(1)
        status = library.status()
        assert (status.photos, status.files, status.failed, status.model) == (5, 6, 1, "starter")
        assert status.checkpoint.healthy and status.text_cache.entries == 10


def test_a_vector_asked_for_has_length_one(filled: Paths, folder: Path) -> None:
    """A longer one would turn every score into something that is no cosine."""
    with Library(filled) as library:
        for asked in (
            library.asked(parse("2:dog - cat")),
            library.asked(None, [folder / "food/coffee-cup.jpg"]),
            library.asked(literal("dog"), [folder / "food/coffee-cup.jpg"]),
        ):
            assert asked.vector.dtype == np.float32 and asked.vector.shape == (512,)
            assert float(np.linalg.norm(asked.vector)) == pytest.approx(1, abs=1e-5)


def test_stopping_between_batches_keeps_what_is_done(paths: Paths, folder: Path) -> None:
    """An interface whose stop button loses work, or leaves the library locked."""
    with Library(paths) as library:
        *_, last = library.update([folder], stop=lambda: True)
        assert isinstance(last, Summary) and last.interrupted
        assert summary(library, folder).indexed + last.indexed == 5


def test_an_abandoned_run_releases_the_library(paths: Paths, folder: Path) -> None:
    """Closing a window in the middle of a run would lock the library until the program ends."""
    with Library(paths) as library:
        run = library.update([folder])
        list(itertools.islice(run, 2))
        with pytest.raises(LibraryError, match="is being written by process"):
            next(iter(library.update([folder])))
        run.close()  # type: ignore[attr-defined]  # it is a generator
        assert summary(library, folder).indexed == 5


@pytest.mark.parametrize("backend", [name for name in TABLE if is_installed(name)])
def test_backends_give_the_same_photos(filled: Paths, paths: Paths, folder: Path, tmp_path: Path, backend: str) -> None:
    """A library indexed on one machine would find other things on the next."""
    other = Paths(tmp_path / "other", tmp_path / "other-cache", paths.models)
    with Library(filled) as reference, Library(other, backend=backend) as library:
        assert summary(library, folder).indexed == 5
        for query in QUERIES:
            assert top(library, query) == top(reference, query)
        ours = library.similar(folder / "food/coffee-cup.jpg").hits
        theirs = reference.similar(folder / "food/coffee-cup.jpg").hits
        assert [hit.score for hit in ours] == pytest.approx([hit.score for hit in theirs], abs=5e-3)
        assert [hit.path for hit in ours] == [hit.path for hit in theirs]


def test_another_model_takes_over_when_all_photos_are_encoded(filled: Paths, folder: Path, tmp_path: Path) -> None:
    """A switch of models that is half done would mix vectors, or lose the library while it runs."""
    model = tmp_path / "elsewhere" / "stretched"
    shutil.copytree(STARTER_FOLDER, model)
    card = model / "card.toml"
    changed = card.read_text().replace('name = "starter"', 'name = "stretched"', 1)
    card.write_text(changed.replace('resize = "shortest"', 'resize = "squash"', 1))
    with Library(filled) as library, Library(filled) as reader:
        before, fingerprint = top(library, "a jellyfish"), library.status().space.fingerprint  # type: ignore[union-attr]
        run = library.update(model=str(model))
        for event in run:
            if isinstance(event, Planned):  # the new space exists, and is not the one that answers
                assert top(reader, "a jellyfish") == before
                assert reader.status().model == "starter"
            last = event
        assert isinstance(last, Summary) and last.indexed == 5
    with Library(filled) as library:
        status = library.status()
        assert status.model == str(model) and status.space is not None
        assert status.space.fingerprint != fingerprint
        assert status.checkpoint.rows == 5 and status.checkpoint.healthy
        assert "jellyfish" in top(library, "a jellyfish")[0]
        assert summary(library).unchanged == 6  # it stays with the model that it has
        shutil.rmtree(model)
        with pytest.raises(ModelError, match="stretched"):
            library.asked(parse("dog"))


def test_an_interrupted_switch_leaves_the_old_model_in_charge(filled: Paths, tmp_path: Path) -> None:
    """Half of the photos would vanish from the results until the next run."""
    model = tmp_path / "elsewhere" / "stretched"
    shutil.copytree(STARTER_FOLDER, model)
    card = model / "card.toml"
    card.write_text(card.read_text().replace('resize = "shortest"', 'resize = "squash"', 1))
    with Library(filled) as library:
        *_, last = library.update(model=str(model), stop=lambda: True)
        assert isinstance(last, Summary) and last.interrupted
    with Library(filled) as library:
        assert library.status().model == "starter" and len(top(library, "a jellyfish", k=9)) == 5


def test_a_model_whose_file_was_changed_is_not_used(paths: Paths, folder: Path, tmp_path: Path) -> None:
    """A half-copied model would fill the library with noise."""
    model = tmp_path / "broken-model"
    shutil.copytree(STARTER_FOLDER, model)
    with (model / "image.onnx").open("ab") as file:
        file.write(b"x")
    with Library(paths) as library, pytest.raises(ModelError, match="does not match its card"):
        summary(library, folder, model=str(model))


def test_every_error_has_a_sentence_a_hint_and_an_exit_code(paths: Paths, tmp_path: Path) -> None:
    """An interface that catches ClipsearchError would have nothing to show."""
    with Library(paths) as library:
        for call in (
            lambda: library.asked(None),
            lambda: library.search(library.asked(parse("dog"))),
            lambda: library.similar(tmp_path / "missing.jpg"),
            lambda: summary(library),
            lambda: list(library.classify([tmp_path], ["one"])),
        ):
            with pytest.raises(ClipsearchError) as raised:
                call()
            assert raised.value.message.endswith(".") and raised.value.hint
            assert raised.value.exit_code in (2, 3, 5)
        with pytest.raises(UsageError):
            parse("")
