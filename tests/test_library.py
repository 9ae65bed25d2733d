"""The Python interface: one object, a few methods, the same answers as the command line. With the real starter."""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipsearch import answers
from clipsearch.config import Paths
from clipsearch.encoding import Engine
from clipsearch.engine.backends import TABLE, is_installed
from clipsearch.engine.store import STARTER_FOLDER
from clipsearch.engine.textcache import CachedVectors
from clipsearch.errors import ClipsearchError, LibraryError, ModelError, SystemFault, UsageError
from clipsearch.events import Planned, Scanning, Summary
from clipsearch.index import digests
from clipsearch.library import Library
from clipsearch.types import Answer, FailedFile, Failure, Labelled
from tests.conftest import SAMPLES
from tests.support.ways import measured_before

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
    *_, last = library.index(folders, model=model)
    assert isinstance(last, Summary)
    return last


def released_first(paths: Paths) -> None:
    """Makes the library of `paths` what the first release had made of the same photos."""
    new = paths.library / "catalog.db"
    old = paths.library / "old.db"
    connection = sqlite3.connect(old)
    connection.executescript((Path(__file__).parent / "index" / "schema_v1.sql").read_text("utf-8"))
    connection.executescript(_RECORD_OF_THE_FIRST_MIGRATION)
    connection.execute("ATTACH ? AS new", (str(new),))
    for table in ("photo", "root", "file", "space", "embedding", "event"):
        columns = ", ".join(row[1] for row in connection.execute(f"PRAGMA main.table_info({table})"))
        connection.execute(f"INSERT INTO {table} SELECT {columns} FROM new.{table}")
        if table == "photo":
            connection.execute("UPDATE photo SET files = 0")  # the trigger counts again
    connection.commit()
    connection.close()
    shutil.rmtree(paths.library / "vectors", ignore_errors=True)
    new.unlink()
    old.rename(new)


_RECORD_OF_THE_FIRST_MIGRATION = """
CREATE TABLE _sqlite_migrations (id INTEGER PRIMARY KEY, migration_set TEXT, name TEXT, applied_at TEXT);
CREATE UNIQUE INDEX idx__sqlite_migrations_migration_set_name ON _sqlite_migrations (migration_set, name);
INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('clipsearch', 'm001_first_light', '2026');
PRAGMA user_version = 1;
"""


def stretched(folder: Path) -> Path:
    """A model that differs from the starter in how it sees: its vectors of photos are others, its texts the same."""
    shutil.copytree(STARTER_FOLDER, folder)
    card = folder / "card.toml"
    named = card.read_text().replace('name = "starter"', 'name = "stretched"', 1)
    card.write_text(named.replace('resize = "shortest"', 'resize = "squash"', 1))
    return folder


def top(library: Library, query: str, k: int = 3) -> list[str]:
    return [hit.path.decode() for hit in library.search(query, k=k).hits]


def names(answer: Answer) -> list[str]:
    return [os.path.basename(hit.path).decode() for hit in answer.hits]


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample photos at a place of their own. Read-only for all tests."""
    return Path(shutil.copytree(SAMPLES, tmp_path_factory.mktemp("samples") / "Photos"))


@pytest.fixture(scope="module")
def gallery_paths(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Paths:
    folder = tmp_path_factory.mktemp("gallery")
    paths = Paths(folder / "library", folder / "cache", folder / "models")
    measured_before(paths.cache)
    with Library(paths) as library:
        assert summary(library, samples).indexed == 45
    return paths


@pytest.fixture
def gallery(gallery_paths: Paths, samples: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    """All sample photos; what tests add to it has names of their own. One stands in the folder of the photos."""
    monkeypatch.chdir(samples)
    with Library(gallery_paths) as library:
        yield library


@pytest.fixture
def plain_relevance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Relevance is the cosine, and 0.25 fits: what it really is has tests of its own."""
    monkeypatch.setattr(answers, "DEFAULT_THRESHOLD", 0.25)
    monkeypatch.setattr(answers, "relevance", lambda query, scores, vectors, background: np.float64(scores))


def test_a_library_of_the_first_release_is_searched_after_one_index_run(filled: Paths, folder: Path) -> None:
    """Whoever updates would lose hours of encoding, or photos, or filter by colours that are not there."""
    with Library(filled) as library:
        before = [library.search(query, k=0).hits for query in QUERIES]
        colours = names(library.search("color:orange", k=0))
        assert colours and library.status().failed == 1
        photos = library.status().photos
    released_first(filled)
    with Library(filled) as library:
        with pytest.raises(LibraryError, match="older clipsearch"):
            library.search("a dog")
        with pytest.raises(LibraryError, match="older clipsearch"):
            library.save_search("dogs", "a dog")
        shutil.move(folder / "animals", folder.parent / "away")  # no photo may depend on being there to survive
        assert summary(library).removed == 2
        shutil.move(folder.parent / "away", folder / "animals")
        done = summary(library)
        assert (done.removed, done.failed) == (0, 0)
        assert [library.search(query, k=0).hits for query in QUERIES] == before
        assert names(library.search("color:orange", k=0)) == colours
        assert (library.status().photos, library.status().checkpoint.rows) == (photos, photos), "counted by triggers"
        library.save_search("dogs", "a dog")
        assert library.saved_searches()


def test_index_tells_what_it_does_and_ends_with_a_summary(paths: Paths, folder: Path) -> None:
    """An interface that shows progress would have to parse text."""
    with Library(paths) as library:
        events = list(library.index([folder]))
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


def test_a_score_is_the_cosine_of_unit_vectors_whatever_was_asked(filled: Paths, folder: Path) -> None:
    """A longer vector would turn every score into something that is no cosine."""
    cup = folder / "food/coffee-cup.jpg"
    with Library(filled) as library, Engine(models_folder=filled.models, cache_folder=filled.cache) as engine:
        dog, cat = engine.encode_text(["dog", "cat"])
        picture = engine.encode_images(cup).vectors[0]
        for query, images, vector in (
            ("2:dog - cat", [], 2 * dog - cat),
            ("", [cup], picture),
            ("dog", [cup], dog + picture),
            (f'dog - 0.5:like:"{cup}"', [], dog - 0.5 * picture),
        ):
            hits = library.search(query, images=images, k=0).hits
            wanted = engine.encode_images([hit.path for hit in hits]).vectors @ (vector / np.linalg.norm(vector))
            assert [hit.score for hit in hits] == pytest.approx(wanted.tolist(), abs=2e-3)


def test_stopping_between_batches_keeps_what_is_done(paths: Paths, folder: Path) -> None:
    """An interface whose stop button loses work, or leaves the library locked."""
    with Library(paths) as library:
        *_, last = library.index([folder], stop=lambda: True)
        assert isinstance(last, Summary) and last.interrupted
        assert summary(library, folder).indexed + last.indexed == 5


def test_an_abandoned_run_releases_the_library(paths: Paths, folder: Path) -> None:
    """Closing a window in the middle of a run would lock the library until the program ends."""
    with Library(paths) as library:
        run = library.index([folder])
        list(itertools.islice(run, 2))
        with pytest.raises(LibraryError, match="is being written by process"):
            next(iter(library.index([folder])))
        run.close()  # type: ignore[attr-defined]  # it is a generator
        assert summary(library, folder).indexed == 5


@pytest.mark.parametrize("backend", [name for name in TABLE if is_installed(name) and ".onnx" in TABLE[name].reads])
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
    model = stretched(tmp_path / "elsewhere" / "stretched")
    with Library(filled) as library, Library(filled) as reader:
        before, fingerprint = top(library, "a jellyfish"), library.status().space.fingerprint  # type: ignore[union-attr]
        run = library.index(model=str(model))
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
            library.search("dog")


def test_a_reader_that_stays_open_follows_the_switch_of_the_model(filled: Paths, tmp_path: Path) -> None:
    """An interface left open overnight would ask the new vectors with the old model, and judge by the old photos."""
    outside = SAMPLES / "travel/usa/high-trestle-trail.jpg"  # not in the library, so it is encoded when asked for
    model = stretched(tmp_path / "stretched")
    with Library(filled) as reader, Library(filled) as writer:
        before = reader.search("flowers", k=0).hits, reader.similar(outside, k=0).hits
        summary(writer, model=str(model))
        after = reader.search("flowers", k=0).hits, reader.similar(outside, k=0).hits
    with Library(filled) as fresh:
        assert after == (fresh.search("flowers", k=0).hits, fresh.similar(outside, k=0).hits)
    assert after[0] != before[0] and after[1] != before[1]


def test_a_question_whose_model_is_switched_meanwhile_asks_to_be_asked_again(
    filled: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Vectors of one model would be compared with those of another (I4)."""
    model, encode = stretched(tmp_path / "stretched"), Engine.text_vectors

    def switch_then_encode(engine: Engine, texts: list[str]) -> CachedVectors:
        monkeypatch.setattr(Engine, "text_vectors", encode)
        with Library(filled) as writer:
            summary(writer, model=str(model))
        return encode(engine, texts)

    monkeypatch.setattr(Engine, "text_vectors", switch_then_encode)
    with Library(filled) as reader:
        with pytest.raises(LibraryError, match="just changed its model"):
            reader.search("flowers")
        assert len(reader.search("flowers", k=0).hits) == 5


def test_an_interrupted_switch_leaves_the_old_model_in_charge(filled: Paths, tmp_path: Path) -> None:
    """Half of the photos would vanish from the results until the next run."""
    model = stretched(tmp_path / "elsewhere" / "stretched")
    with Library(filled) as library:
        *_, last = library.index(model=str(model), stop=lambda: True)
        assert isinstance(last, Summary) and last.interrupted
    with Library(filled) as library:
        assert library.status().model == "starter" and len(top(library, "a jellyfish", k=9)) == 5


def test_a_model_takes_over_only_when_no_photo_may_still_come(
    filled: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A photo that the disk did not give in this one run would vanish from the results."""
    model = stretched(tmp_path / "elsewhere" / "stretched")
    real = digests._digest

    def failing(hashing: digests.Hashing) -> bytes | Failure:
        if hashing.path.endswith(b"coffee-cup.jpg"):
            return Failure("input/output error", lasting=False)
        return real(hashing)

    with Library(filled) as library:
        with monkeypatch.context() as patch:
            patch.setattr(digests, "_digest", failing)
            done = summary(library, model=str(model))
        assert (done.unsettled, library.status().model, library.status().photos) == (1, "starter", 5)
        assert summary(library, model=str(model)).indexed == 1
        assert library.status().model == str(model)


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
            lambda: library.search("dog"),
            lambda: library.status(),
            lambda: library.similar(tmp_path / "missing.jpg"),
            lambda: summary(library),
            lambda: list(library.classify([tmp_path], ["one"])),
        ):
            with pytest.raises(ClipsearchError) as raised:
                call()
            assert raised.value.message.endswith(".") and raised.value.hint
            assert raised.value.exit_code in (2, 3, 5)


def test_every_error_of_a_question_is_told_before_a_model_is_loaded(
    gallery: Library, samples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A typing error would cost a second, and end in a traceback of the runtime."""
    monkeypatch.setattr("clipsearch.engine.backends.open_session", None)
    with pytest.raises(UsageError, match="The query is empty"):
        gallery.search("  ")
    with pytest.raises(UsageError, match="not: alone looks for nothing"):
        gallery.search("not:people")
    with pytest.raises(UsageError, match="there is no filter befor:"):
        gallery.search("beach befor:2015")
    with pytest.raises(UsageError, match=r"There are no -1 photos"):
        gallery.search("beach", k=-1)
    with pytest.raises(SystemFault, match=r"There is no .*missing\.jpg"):
        gallery.search("like:missing.jpg")


# -- searching with filters -----------------------------------------------------------------------


def test_filters_choose_and_words_rank(gallery: Library) -> None:
    """A filter that is also ranked by, or words that also choose, find other photos than those described."""
    answer = gallery.search("flowers in:garden", k=9)
    assert sorted(names(answer)) == ["blue-periwinkle.jpg", "dandelions.jpg", "red-flower.jpg"]
    assert (answer.plan, answer.searched, answer.library) == ("filtered exact", 3, 45)
    everywhere = {hit.path: hit.score for hit in gallery.search("flowers", k=0).hits}
    assert [hit.score for hit in answer.hits] == [everywhere[hit.path] for hit in answer.hits]
    assert names(gallery.search("flowers -in:garden", k=0)) == [
        name for name in names(gallery.search("flowers", k=0)) if name not in names(answer)
    ]


def test_filters_alone_list_the_newest_first(gallery: Library) -> None:
    """Whoever asks for a year wants an album, not an order by nothing."""
    answer = gallery.search("year:2005..2010")
    assert names(answer) == ["denali.webp", "navy-jet-goshawk.jpg", "sumo-museum.jpg"]
    assert (answer.plan, answer.terms, answer.gate) == ("filter only", (), None)
    assert all(hit.score is None and hit.relevance is None for hit in answer.hits)
    assert names(gallery.search("year:2005..2010", sort="name")) == sorted(names(answer))
    assert names(gallery.search("year:2005 year:2008 camera:canon")) == ["navy-jet-goshawk.jpg", "sumo-museum.jpg"]


def test_filters_alone_need_no_model(filled: Paths, folder: Path) -> None:
    """Photos would be out of reach because the model that indexed them was uninstalled."""
    model = stretched(folder.parent / "own")
    with Library(filled) as library:
        summary(library, model=str(model))
        shutil.rmtree(model)
        assert names(library.search("in:food")) == ["coffee-cup.jpg"]
        with pytest.raises(ModelError, match="There is no model"):
            library.search("coffee in:food")


def test_k_zero_is_every_photo_once(gallery: Library) -> None:
    """An export would stop at twenty, or show the copies of a photo as photos."""
    assert len(gallery.search("flowers").hits) == len(gallery.search("is:landscape").hits) == 20
    hits = gallery.search("flowers", k=0).hits
    assert [hit.rank for hit in hits] == list(range(1, 46))
    paths = [path for hit in hits for path in (hit.path, *hit.copies)]
    assert len(paths) == len(set(paths)) == 46  # two files are one photo


def test_the_best_may_be_sorted_by_date_or_name(gallery: Library) -> None:
    """Sorting must not bring in photos that were not found, nor lose those without a date."""
    best = names(gallery.search("an animal", k=8))
    assert names(gallery.search("an animal", k=8, sort="score")) == best
    assert names(gallery.search("an animal", k=8, sort="name")) == sorted(best)
    by_date = gallery.search("an animal", k=45, sort="date").hits
    taken = [hit.taken_at for hit in by_date if hit.taken_at]
    assert taken == sorted(taken, reverse=True) and len(taken) == 4
    assert [hit.taken_at for hit in by_date][4:] == [None] * 41


def test_folders_are_meant_from_where_one_stands(
    gallery: Library, samples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """in:. that is taken for a folder of that name finds nothing, and in:~ somebody's backup."""
    monkeypatch.chdir(samples / "garden")
    garden = ["blue-periwinkle.jpg", "dandelions.jpg", "red-flower.jpg"]
    for query in ("in:.", "in:./", "in:../garden", f'in:"{samples}/garden"', "in:garden"):
        assert names(gallery.search(query, sort="name")) == garden, query
    assert len(gallery.search("in:..", k=0).hits) == 45
    monkeypatch.setenv("HOME", str(samples))
    assert names(gallery.search("in:~/garden", sort="name")) == garden
    assert len(gallery.search("in:~", k=0).hits) == 45
    assert gallery.search("in:~nobody-of-this-name").hits == ()
    assert names(gallery.search("flowers", under=".", sort="name")) == garden
    assert names(gallery.search("flowers", under=b"../garden", k=1)) == ["blue-periwinkle.jpg"]


def test_a_folder_whose_name_begins_with_a_tilde_is_a_folder(filled: Paths, folder: Path) -> None:
    """A folder `~old` is nobody's home."""
    (folder / "~old").mkdir()
    shutil.copy2(SAMPLES / "garden/red-flower.jpg", folder / "~old")
    with Library(filled) as library:
        summary(library)
        assert names(library.search("in:~old")) == ["red-flower.jpg"]


def test_what_not_names_is_dropped(gallery: Library, plain_relevance: None) -> None:
    """Subtracting people from a beach still shows the people."""
    flowers = set(names(gallery.search("flowers", k=0, min_relevance=0.25)))
    assert flowers == {"blue-periwinkle.jpg", "dandelions.jpg", "red-flower.jpg"}
    answer = gallery.search("a garden not:flowers", k=0)
    assert set(names(answer)) == set(names(gallery.search("a garden", k=0))) - flowers
    plain = {hit.path: hit.score for hit in gallery.search("a garden", k=0).hits}
    assert all(hit.score == plain[hit.path] for hit in answer.hits)
    assert len(gallery.search("a garden not:flowers", k=3).hits) == 3


def test_min_relevance_drops_and_the_gate_hides(gallery: Library, plain_relevance: None) -> None:
    """Nothing relevant must look like nothing, and yet be there for whoever insists."""
    answer = gallery.search("flowers", k=9)
    assert answer.gate == 0.25 and len(answer.hits) == 9
    assert answer.fitting == answer.hits[:3]
    strict = gallery.search("flowers", k=9, min_relevance=0.3)
    assert strict.hits == answer.hits[:2] and strict.gate == 0.3
    assert gallery.search("flowers", min_relevance=0.9).hits == ()
    assert gallery.similar("garden/red-flower.jpg", k=9).gate is None


def test_relevance_lies_in_0_to_1_and_grows_with_the_score(gallery: Library) -> None:
    """A threshold in the interface must mean something for every query."""
    hits = gallery.search("flowers", k=0).hits
    relevances = [hit.relevance for hit in hits]
    assert all(value is not None and 0 <= value <= 1 for value in relevances)
    assert relevances[0] == max(value for value in relevances if value is not None)


def test_like_is_a_picture_in_the_query(gallery: Library, samples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that is searched for as words, or from another folder, finds anything."""
    by_image = gallery.search(images=["garden/red-flower.jpg"], k=5)
    monkeypatch.setenv("HOME", str(samples))
    for query in (
        "like:garden/red-flower.jpg",
        f'like:"{samples}/garden/red-flower.jpg"',
        "like:~/garden/red-flower.jpg",
    ):
        answer = gallery.search(query, k=5)
        assert names(answer) == names(by_image) and answer.gate is None
        assert [hit.score for hit in answer.hits] == [hit.score for hit in by_image.hits]
    assert names(gallery.similar("garden/red-flower.jpg", k=5)) == names(by_image)
    assert by_image.hits[0].score == pytest.approx(1, abs=1e-3)
    assert gallery.search("like:garden/red-flower.jpg + blue", k=5).gate is None  # likeness says how alike, not whether


def test_contributions_add_up_to_the_score(gallery: Library) -> None:
    """An explanation in which the parts do not make the whole explains nothing."""
    query = "2:flowers - red like:garden/dandelions.jpg"
    answer = gallery.search(query, images=["food/coffee-cup.jpg"], k=0)
    assert answer.terms[:3] == ("flowers", "red", "like:garden/dandelions.jpg")
    assert answer.terms[3] == "food/coffee-cup.jpg" and len(answer.hits) == 45
    for hit in answer.hits:
        assert hit.score is not None and len(hit.contributions) == 4
        assert sum(hit.contributions) == pytest.approx(hit.score, abs=1e-4)
    shares = {hit.path: hit.contributions for hit in answer.hits}
    dandelions = next(shares[path] for path in shares if path.endswith(b"dandelions.jpg"))
    assert dandelions[2] == max(dandelions)


def test_a_diverse_answer_has_other_photos_of_the_same_best(filled: Paths, folder: Path) -> None:
    """Ten frames of one second would be the whole answer."""
    shutil.copy2(SAMPLES / "garden/red-flower.jpg", folder / "garden")
    with Image.open(folder / "garden/dandelions.jpg") as photo:
        for number in range(6):
            cut = (number, number, photo.width - number, photo.height - number)
            photo.crop(cut).save(folder / f"garden/frame-{number}.png")
    with Library(filled) as library:
        assert summary(library).indexed == 7
        diverse = names(library.search("flowers", k=3, diverse=True))
        assert "red-flower.jpg" in diverse[:2] and len(set(diverse)) == 3
        assert names(library.search("flowers", k=0, diverse=True))[:3] == diverse


def test_a_text_that_the_model_reads_in_part_is_told(gallery: Library) -> None:
    """The end of a long description would be ignored without a word."""
    long = "a flower " * 90
    assert gallery.search(f"{long} not:red", k=1).truncated == (long.strip(),)
    assert gallery.search("a flower", k=1).truncated == ()


@pytest.mark.parametrize("is_emptied", [False, True])
def test_a_library_without_photos_answers_every_question_with_none(
    paths: Paths, folder: Path, is_emptied: bool
) -> None:
    """There is nothing to measure a relevance against; a service of it would not even start."""
    with Library(paths) as library:
        photos = folder / "garden"
        if is_emptied:
            summary(library, photos)
        for path in photos.iterdir():  # a folder made anew would be another disk, unless it gets the same inode
            path.unlink()
        summary(library, photos)
        picture = os.fspath(SAMPLES / "garden/dandelions.jpg")
        for query in (
            "a dog",
            "a dog not:cat",
            "is:landscape not:cat",
            f"like:{picture} not:cat",
            "a dog is:landscape",
        ):
            for diverse in (False, True):
                assert library.search(query, k=0, diverse=diverse, min_relevance=0.2).hits == ()
        assert list(library.duplicates()) == []
        library.warm_up()


@pytest.mark.parametrize("wrong", [{"min_relevance": 50}, {"min_relevance": float("nan")}, {"sort": "size"}])
def test_a_value_that_means_nothing_is_told(gallery: Library, wrong: dict) -> None:  # type: ignore[type-arg]
    """50 for 50 % would find nothing, and an order that does not exist would be that of the scores, without a word."""
    with pytest.raises(UsageError, match=r"min_relevance|sort"):
        gallery.search("a flower", **wrong)


@pytest.mark.parametrize("query", ["in:caf\udce9", "camera:\udce9", "ext:\udce9", "label:\udce9", "type:\udce9"])
def test_a_name_that_is_not_utf8_may_be_asked_for(gallery: Library, query: str) -> None:
    """Python gives names of files with such characters; all but a ClipsearchError would end the service's answer."""
    assert not gallery.search(query).hits


@pytest.mark.parametrize("query", ["in:\ud800", "in:/\ud800", "like:\ud800", "a \ud800"])
def test_a_text_that_is_no_text_is_refused(gallery: Library, query: str) -> None:
    """JSON can spell half a character, which no file and no model can take."""
    with pytest.raises(UsageError, match="UTF-8"):
        gallery.search(query)


# -- a person's own words -------------------------------------------------------------------------


def test_a_saved_search_is_a_query_that_can_be_narrowed(gallery: Library) -> None:
    """A name that means another query than the one that was saved finds other photos."""
    gallery.save_search("evenings", "sunset - people")
    assert gallery.search("@evenings", k=9).hits == gallery.search("sunset - people", k=9).hits
    assert gallery.search("@evenings in:city", k=9).hits == gallery.search("sunset - people in:city", k=9).hits
    gallery.save_search("city-evenings", "@evenings in:city")
    gallery.save_search("evenings", "dawn")  # what was built on it stays what it was
    assert gallery.expanded("@city-evenings") == "sunset - people in:city"
    assert [saved.query for saved in gallery.saved_searches() if saved.name == "evenings"] == ["dawn"]
    assert gallery.forget_search("evenings") and not gallery.forget_search("evenings")
    with pytest.raises(UsageError, match='no saved search "evenings"') as raised:
        gallery.search("@evenings")
    assert "Did you mean @city-evenings?" in raised.value.hint


@pytest.mark.parametrize("blank", ["\t", "\n", "\u00a0", " \t "])
def test_any_blank_ends_the_name_of_a_saved_search(gallery: Library, blank: str) -> None:
    """A query that was pasted, or a line of a batch, would ask for a name with a tab in it."""
    gallery.save_search("spaced", "sunset")
    assert gallery.expanded(f"@spaced{blank}in:city") == "sunset in:city"


def test_only_the_first_word_may_name_a_saved_search(gallery: Library) -> None:
    """An address in a description is not a name, nor is a lonely sign."""
    assert gallery.expanded("mail to @home") == "mail to @home"
    assert gallery.expanded("@ home") == "@ home"
    assert gallery.search('"@home"', k=1).terms == ("@home",)


@pytest.mark.parametrize(("name", "query"), [("two words", "dog"), ("", "dog"), ("@at", "dog"), ("x" * 65, "dog")])
def test_a_name_that_could_not_be_typed_is_refused(gallery: Library, name: str, query: str) -> None:
    """A search that is saved and can never be asked again is lost."""
    with pytest.raises(UsageError, match="cannot name a search"):
        gallery.save_search(name, query)


def test_a_query_that_cannot_be_asked_cannot_be_saved(gallery: Library) -> None:
    """It would fail on the day it is needed."""
    with pytest.raises(UsageError, match="befor"):
        gallery.save_search("broken", "dog befor:2015")
    assert "broken" not in [saved.name for saved in gallery.saved_searches()]


def test_one_query_asked_often_does_not_push_the_others_out(filled: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for the same thing again and again would have a history of one."""
    monkeypatch.setattr("clipsearch.index.annotations.HISTORY", 3)
    with Library(filled) as library:
        for query in ["first", "dog", "cat", *["dog", "cat"] * 5]:
            library.remember(query)
        assert library.history() == ["cat", "dog", "first"]
        library.remember("bird")
        assert library.history() == ["bird", "cat", "dog"]


def test_history_has_the_latest_first_and_each_query_once(filled: Paths) -> None:
    """Going back must not walk through the same query ten times."""
    with Library(filled) as library:
        assert library.history() == []
        for query in ("dog", "cat", "dog"):
            library.remember(query)
        assert library.history() == ["dog", "cat"]
    with Library(filled) as library:
        assert library.history() == ["dog", "cat"]


def test_labels_are_kept_and_found(filled: Paths, folder: Path) -> None:
    """An hour of labelling would be for nothing."""
    cup, jellyfish = folder / "food/coffee-cup.jpg", folder / "animals/jellyfish.jpg"
    with Library(filled) as library:
        given = [(cup, "Receipt", 0.9), (jellyfish, "receipt", 0.6), (folder / "absent.jpg", "receipt", 1.0)]
        assert library.set_labels(given) == 2
        assert names(library.search("label:receipt", sort="name")) == ["coffee-cup.jpg", "jellyfish.jpg"]
        assert names(library.search("coffee label:receipt", k=1)) == ["coffee-cup.jpg"]
        assert "coffee-cup.jpg" not in names(library.search("is:landscape -label:receipt"))
        assert library.set_labels([(cup, "coffee", 0.8)]) == 1
        details = library.photo(cup)
        assert details is not None and details.labels == ("Receipt", "coffee")


def test_labels_that_exclude_each_other_leave_one(filled: Paths, folder: Path) -> None:
    """After the second run a photo was a cat and a dog; or it lost the word of another set."""
    cup, jellyfish = folder / "food/coffee-cup.jpg", folder / "animals/jellyfish.jpg"
    shutil.copy2(cup, folder / "copy.jpg")
    with Library(filled) as library:
        list(library.index())
        library.set_labels([(cup, "mine", 1.0), (cup, "cat", 0.5), (jellyfish, "cat", 0.5)])
        given = [(cup, "dog", 0.6), (folder / "copy.jpg", "cup", 0.7), (jellyfish, None, 0.0)]
        assert library.set_labels(given, instead_of=["cat", "dog", "cup"]) == 2
        for path, labels in ((cup, ("cup", "mine")), (jellyfish, ())):
            details = library.photo(path)
            assert details is not None and details.labels == labels


def test_many_photos_are_found_at_once_as_one_by_one(filled: Paths, folder: Path, tmp_path: Path) -> None:
    """Labels of the photos of a second root would be lost in silence."""
    second = tmp_path / "second"
    shutil.copytree(SAMPLES / "garden", second)
    with Library(filled) as library:
        list(library.index([second]))
        catalog = library._opened.catalog
        paths = [os.fsencode(path) for path in (*folder.rglob("*"), *second.iterdir())] + [b"/", b"/absent/1.jpg"]
        one_by_one = {path: found[0] for path in paths if (found := catalog.photo_at(path)) is not None}
        assert catalog.photos_at(paths) == one_by_one and len({os.path.dirname(path) for path in one_by_one}) > 2


def test_a_person_may_add_words_while_photos_are_being_indexed(filled: Paths, folder: Path) -> None:
    """An interface that cannot save a search for an hour."""
    shutil.copy2(SAMPLES / "garden/red-flower.jpg", folder)
    with Library(filled) as library, Library(filled) as other:
        for _ in library.index():
            other.remember("dog")
            other.save_search("dogs", "dog")
        assert other.history() == ["dog"] and library.saved_searches()[0].name == "dogs"


def test_a_library_that_is_not_there_has_no_words_of_its_own(paths: Paths) -> None:
    """Saving a search must not make a library out of nothing."""
    with Library(paths) as library:
        for call in (lambda: library.save_search("a", "dog"), lambda: library.remember("dog"), library.history):
            with pytest.raises(LibraryError, match="no library"):
                call()
    assert not paths.library.exists()


# -- photos and labels of the library --------------------------------------------------------------


def test_a_photo_is_described_with_all_that_is_known(gallery: Library, samples: Path) -> None:
    """The preview would show another photo's place and date, or hide where the copies lie."""
    details = gallery.photo("travel/2010-alaska/denali.webp")
    assert details is not None
    assert details.path == os.fsencode(samples / "travel/2010-alaska/denali.webp")
    assert (details.metadata.width, details.metadata.height, details.metadata.format) == (600, 315, "WEBP")
    assert details.metadata.title == "Denali National Park and Preserve"
    assert details.metadata.taken_at == "2010-08-13T21:00:01" and details.metadata.camera == "Canon EOS 7D"
    assert details.size == (samples / "travel/2010-alaska/denali.webp").stat().st_size
    copy = gallery.photo(samples / "old-phone-backup/wallpaper.jpg")
    assert copy is not None and copy.copies == (os.fsencode(samples / "city/singaporean-cityscape.jpg"),)
    assert gallery.photo("broken/half-copied.jpg") is None and gallery.photo("absent.jpg") is None


def test_an_engine_gives_the_labels_that_the_library_gives(gallery: Library, gallery_paths: Paths) -> None:
    """Two ways to label would be two truths."""
    labels = ["flowers", "a city", "an animal"]
    paths = ["garden/dandelions.jpg", "broken/half-copied.jpg", "city/japanese-shop-night.jpg"]
    stored = list(gallery.classify(paths, labels))
    with Engine(models_folder=gallery_paths.models, cache_folder=gallery_paths.cache) as engine:
        fresh = engine.classify(paths, labels)
    assert [os.path.basename(one.path).decode() for one in stored] == [os.path.basename(path) for path in paths]
    for one, other in zip(stored, fresh, strict=True):
        if isinstance(one, FailedFile):
            assert not isinstance(other, tuple) and one.reason == other.reason
            continue
        assert isinstance(other, tuple)
        assert [label.label for label in one.labels] == [label.label for label in other]
        scores = [label.score for label in one.labels]
        assert scores == pytest.approx([label.score for label in other], abs=1e-3)
