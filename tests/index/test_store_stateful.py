"""The store against a dict and brute force, through crashes, damage and reopening, in any order."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from clipsearch.index import nearest as plans
from clipsearch.index import vectors
from clipsearch.index.catalog import Catalog
from clipsearch.index.nearest import Nearest
from clipsearch.types import Metadata
from tests.index.filled import DIM, Vector, files_under, identity, new_root, stamp, true_scores
from tests.support.encoder import hashed_vector

NAMES = st.integers(0, 15)
CONTENTS = st.integers(0, 15)
QUERIES = [hashed_vector(b"query %d" % number, DIM) for number in range(2)]


class Killed(BaseException):
    """Stands for SIGKILL inside a checkpoint; what is on the disk then is copied aside and opened."""


class Store(RuleBasedStateMachine):
    """The model: which file shows which content, and the vector of each content that was ever encoded."""

    large_rows = 200_000

    @initialize()
    def begin(self) -> None:
        self.thresholds = plans.SCAN_ROWS, plans.FEW, plans.WHOLE, vectors.LARGE_ROWS
        plans.SCAN_ROWS = plans.FEW = plans.WHOLE = 0  # generations at any size
        vectors.LARGE_ROWS = self.large_rows
        self.base = Path(tempfile.mkdtemp(prefix="clipsearch-state-"))
        self.lives = 0
        self.files: dict[int, int] = {}  # name -> content
        self.vectors: dict[int, Vector] = {}  # content -> vector
        self.ids: dict[int, int] = {}  # content -> photo id
        self.folder = self.base / "0"
        self.folder.mkdir()
        self.open()

    def open(self) -> None:
        self.catalog = Catalog.open_writer(self.folder / "catalog.db")
        self.space = self.catalog.space_for(identity())
        self.root = new_root(self.catalog, b"/photos")
        self.nearest = Nearest(self.folder / "vectors")

    def teardown(self) -> None:
        if hasattr(self, "catalog"):
            self.catalog.close()
            plans.SCAN_ROWS, plans.FEW, plans.WHOLE, vectors.LARGE_ROWS = self.thresholds
            shutil.rmtree(self.base)

    @rule(items=st.lists(st.tuples(NAMES, CONTENTS), min_size=1, max_size=6))
    def add(self, items: list[tuple[int, int]]) -> None:
        with self.catalog.transaction():
            for name, content in items:
                digest = b"%032d" % content
                photo_id = self.catalog.complete_photo(digest, self.space.id)
                assert photo_id == self.ids.get(content), "ids are never reused or lost (I6)"
                if photo_id is None:
                    photo_id = self.catalog.put_photo(digest, Metadata(4, 3, "JPEG"))
                    vector = hashed_vector(b"content %d" % content, DIM)
                    self.catalog.put_vector(self.space, photo_id, vector, "fake")
                    self.ids[content], self.vectors[content] = photo_id, vector
                self.catalog.put_file(self.root.id, stamp(b"%d.jpg" % name), photo_id)
                self.files[name] = content

    @precondition(lambda self: self.vectors)
    @rule(data=st.data(), version=st.integers(0, 3))
    def replace_vector(self, data: st.DataObject, version: int) -> None:
        content = data.draw(st.sampled_from(sorted(self.vectors)))
        self.vectors[content] = hashed_vector(b"content %d, version %d" % (content, version), DIM)
        with self.catalog.transaction():
            self.catalog.put_vector(self.space, self.ids[content], self.vectors[content], "fake")

    @precondition(lambda self: self.files)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        gone = data.draw(st.sets(st.sampled_from(sorted(self.files)), min_size=1, max_size=4))
        rows = {file.stamp.name: file.id for file in self.catalog.known_files(self.root.id, self.space.id)}
        self.catalog.forget_files([rows[b"%d.jpg" % name] for name in gone])
        for name in gone:
            del self.files[name]

    @precondition(lambda self: self.files)
    @rule(data=st.data(), to=NAMES)
    def move(self, data: st.DataObject, to: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.files)))
        rows = {file.stamp.name: file.id for file in self.catalog.known_files(self.root.id, self.space.id)}
        self.catalog.move_file(rows[b"%d.jpg" % name], stamp(b"%d.jpg" % to))
        self.files[to] = self.files.pop(name)

    @precondition(lambda self: self.files)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.files)))
        self.catalog.put_failure(self.root.id, stamp(b"%d.jpg" % name), "broken", "decoder")
        del self.files[name]

    @rule()
    def checkpoint(self) -> None:
        vectors.make_checkpoint(self.catalog, self.space, self.folder / "vectors")
        assert not vectors.needs_checkpoint(self.catalog, self.space, self.folder / "vectors")

    @rule()
    def reopen(self) -> None:
        self.catalog.close()
        self.open()

    @rule(step=st.sampled_from([None, *vectors.STEPS]), in_transaction=st.booleans())
    def crash(self, step: str | None, in_transaction: bool) -> None:
        """The disk as it was at that moment, log included, is all that is left."""

        def die(reached: str) -> None:
            if reached == step:
                raise Killed

        survivor = self.base / str(self.lives + 1)
        try:
            if step is not None:
                vectors.make_checkpoint(self.catalog, self.space, self.folder / "vectors", die)
            if in_transaction:
                with self.catalog.transaction():
                    photo_id = self.catalog.put_photo(b"never committed", Metadata(4, 3, "JPEG"))
                    self.catalog.put_vector(self.space, photo_id, hashed_vector(b"x", DIM), "fake")
                    self.catalog.put_file(self.root.id, stamp(b"0.jpg"), photo_id)
                    shutil.copytree(self.folder, survivor)
                    raise Killed
        except Killed:
            pass
        if not survivor.exists():
            shutil.copytree(self.folder, survivor)
        self.catalog.close()
        shutil.rmtree(self.folder)
        self.lives += 1
        self.folder = survivor
        self.open()

    @precondition(lambda self: self.catalog.checkpoint(self.space) is not None)
    @rule(data=st.data(), kind=st.sampled_from(["cut", "flip", "delete", "older"]), at=st.floats(0, 0.999))
    def damage(self, data: st.DataObject, kind: str, at: float) -> None:
        checkpoint = self.catalog.checkpoint(self.space)
        assert checkpoint is not None
        file = data.draw(st.sampled_from(checkpoint.files))
        path = self.folder / "vectors" / file.name
        if not path.exists():
            return
        whole = path.read_bytes()
        path.unlink()  # whoever has it mapped keeps the old one
        place = int(at * len(whole))
        if not whole:
            return
        if kind == "cut":
            path.write_bytes(whole[:place])
        elif kind == "flip":
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        elif kind == "older":
            path.write_bytes(whole[::-1])
        self.nearest = Nearest(self.folder / "vectors")
        # The second flip of a bit heals the file.
        healed = path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256
        assert healed or vectors.needs_checkpoint(self.catalog, self.space, self.folder / "vectors")

    @invariant()
    def answers_are_those_of_brute_force(self) -> None:
        if not hasattr(self, "catalog"):
            return
        shown = {self.ids[content]: self.vectors[content] for content in self.files.values()}
        for query in QUERIES:
            truth = true_scores(shown, query)
            for k, is_image in ((3, False), (3, True), (50, False)):
                found = self.nearest.find(self.catalog, self.space, query, k, is_image=is_image)
                scores = dict(zip(found.ids.tolist(), found.scores.tolist(), strict=True))
                assert scores.keys() <= truth.keys()
                best = sorted(truth.values(), reverse=True)[:k]
                assert len(scores) == len(best)
                assert np.allclose(sorted(scores.values(), reverse=True), best, atol=1e-5)
                assert all(abs(truth[photo_id] - score) < 1e-5 for photo_id, score in scores.items())

    @invariant()
    def counts_and_paths_are_those_of_the_model(self) -> None:
        if not hasattr(self, "catalog"):
            return
        paths = {b"/photos/%d.jpg" % name: self.ids[content] for name, content in self.files.items()}
        assert dict(files_under(self.catalog, b"/photos")) == paths
        assert self.catalog.counts()[0] == len(set(paths.values()))
        assert set(self.catalog.hidden_photos().tolist()) == set(self.ids.values()) - set(paths.values())


class TestStore(Store.TestCase):
    """A sequence that nobody thought of must not lose a photo or show a wrong one."""

    settings = settings(max_examples=20, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))


class LargeStore(Store):
    """Every generation has sketches and a graph."""

    large_rows = 1


class TestLargeStore(LargeStore.TestCase):
    """The same of a library with many photos: nothing may depend on how many there are."""

    settings = settings(max_examples=20, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))
