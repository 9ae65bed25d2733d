"""The facade: what the command line, an interface and Python users call. Joins the parts; decides little.

The way of a query, top to bottom: Query -> cached text vectors -> one mixture -> candidates by the plan
-> exact scores -> hits. Models, runtimes, USearch and Pillow load only in the methods that need them.
"""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch import labels as zero_shot
from clipsearch import search as ranking
from clipsearch.config import Paths
from clipsearch.engine.backends import AUTO
from clipsearch.engine.cards import ModelCard
from clipsearch.engine.store import DEFAULT_MODEL, find_model, model_handle
from clipsearch.engine.textcache import CachedVectors, TextCache
from clipsearch.errors import LibraryError, ModelError, SystemFault, UsageError
from clipsearch.files import network_filesystem, writer_lock
from clipsearch.index.catalog import Catalog, Root, Space
from clipsearch.index.names import is_listed
from clipsearch.query import Query
from clipsearch.types import (
    Answer,
    CheckpointStatus,
    Decoded,
    Event,
    FailedFile,
    Failure,
    Hit,
    Labelled,
    Status,
    Summary,
    TextCacheStatus,
)

if TYPE_CHECKING:
    from clipsearch.index.vectors import Generation

# A library up to this size is scanned from SQLite: 5,000 rows take about 10 ms, importing USearch 50 ms.
SCAN_ROWS = 5_000

Vector = NDArray[np.float32]
Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Asked:
    """A query as a vector. `is_image` says that only images were asked with, so the graph may answer."""

    vector: Vector
    is_image: bool
    truncated: tuple[str, ...]  # texts of which the model read only the beginning


class Library:
    """One library folder. Readers are unlimited; `update` takes the writer's lock. Use as a context manager."""

    def __init__(self, paths: Paths, *, backend: str = AUTO) -> None:
        self._paths = paths
        self._backend = backend
        self._reader: Catalog | None = None

    def __enter__(self) -> Library:
        return self

    def __exit__(self, *_: object) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    # -- indexing ---------------------------------------------------------------------------------

    def update(
        self,
        folders: Sequence[Path] = (),
        *,
        model: str | None = None,
        exclude: Sequence[str] = (),
        workers: int | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[Event]:
        """Indexes the folders, or all roots when none is given; yields events, a Summary last.

        Raises SystemFault for a folder that is not there or cannot be written, LibraryError for a library
        that is locked, newer or damaged, ModelError for a model that is unknown or fails its check.
        """
        from clipsearch.engine.backends import usable_cores
        from clipsearch.engine.towers import ImageTower
        from clipsearch.index.update import update
        from clipsearch.index.workers import DecodeWorkers

        targets = [_existing(folder) for folder in folders]
        self._create_folder()
        with (
            writer_lock(self._paths.library / "writer.lock", "clipsearch index"),
            Catalog.open_writer(self._catalog_path) as catalog,
        ):
            active = catalog.active_space()
            card = find_model(model or (active.identity.model if active else DEFAULT_MODEL), self._paths.models)
            tower = ImageTower(card, self._backend)
            space = catalog.space_for(replace(tower.space, model=model_handle(card, self._paths.models)))
            roots = [_root_for(catalog, target) for target in targets]
            if exclude:
                for root in roots:
                    catalog.set_exclude(root.id, exclude)
            chosen = {root.id for root in roots}
            # A new model encodes all of the library, or its results would lose what was not named.
            switching = active is not None and active.id != space.id
            everything = switching or not chosen
            roots = [root for root in catalog.roots() if everything or root.id in chosen]
            if not roots:
                raise UsageError("The library has no folders yet.", "Name one: clipsearch index ~/Photos")
            with DecodeWorkers(tower.prepare, workers or usable_cores()) as decoder:
                for event in update(catalog, space, self._vectors_folder, roots, tower, decoder, stop=stop):
                    if isinstance(event, Summary):
                        if switching and not event.interrupted:
                            catalog.activate(space)
                        catalog.record_event(
                            "index", {"indexed": event.indexed, "failed": event.failed, "seconds": event.seconds}
                        )
                    yield event

    def failures(self) -> list[FailedFile]:
        """Files that could not be read, with the reason and how often they were tried."""
        return self._catalog.failures()

    # -- asking -----------------------------------------------------------------------------------

    def asked(self, query: Query | None, images: Sequence[Path] = ()) -> Asked:
        """The vector of a query, of pictures, or of their sum.

        Texts come from the cache where they were asked before; then no model is loaded at all.
        Raises UsageError when nothing is asked or all cancels out, SystemFault for an unreadable picture.
        """
        parts: list[Vector] = []
        weights: list[float] = []
        truncated: tuple[str, ...] = ()
        if query is not None:
            texts = [term.text for term in query.terms]
            found = self._text_vectors(texts)
            parts += list(found.vectors)
            weights += [term.weight for term in query.terms]
            truncated = tuple(text for text, cut in zip(texts, found.truncated, strict=True) if cut)
        if images:
            parts += list(self._image_vectors(images))
            weights += [1.0] * len(images)
        if not parts:
            raise UsageError("The query is empty.", 'Type what you remember: clipsearch search "dog on a beach"')
        return Asked(ranking.mixture(parts, weights), is_image=query is None, truncated=truncated)

    def search(self, asked: Asked, *, k: int = 20, under: Path | None = None) -> Answer:
        """The k nearest photos, one hit a content; `under` keeps those with a file in that folder."""
        catalog, space = self._catalog, self._space()
        with catalog.transaction():  # one snapshot: no photo appears or vanishes between two statements
            if under is not None:
                ids = catalog.photos_under(os.fsencode(under.absolute()))
                found, scores = ranking.best_of_chunks(asked.vector, catalog.vectors_of(space, ids.tolist()), k)
                plan, searched = "filtered exact", len(ids)
            else:
                found, scores, plan = self._nearest(catalog, space, asked, k)
                searched = catalog.counts()[0]
            hits = _hits(catalog, found, scores, None if under is None else os.fsencode(under.absolute()))
        return Answer(hits, plan, searched)

    def similar(self, path: Path, *, k: int = 20, under: Path | None = None) -> Answer:
        """Photos near to one photo; its stored vector is used when the library has it unchanged."""
        return self.search(self.asked(None, [path]), k=k, under=under)

    def classify(
        self, targets: Sequence[Path], labels: Sequence[str], *, templates: Sequence[str] = ()
    ) -> Iterator[Labelled | FailedFile]:
        """Zero-shot labels of photos and folders, from stored vectors where they exist, in the order of paths.

        Raises UsageError for labels or templates that cannot work, SystemFault for a path that is not there.
        """
        from clipsearch.engine.scoring import probabilities

        card = self._card()
        names = zero_shot.checked_labels(labels, exclusive=card.scoring.kind == "softmax")
        prompts = [zero_shot.prompts(name, zero_shot.checked_templates(templates)) for name in names]
        vectors = self._text_vectors([prompt for group in prompts for prompt in group]).vectors
        matrix = np.stack([zero_shot.ensembled(group) for group in vectors.reshape(len(names), -1, card.dim)])
        for path, vector in self._photo_vectors(card, targets):
            if isinstance(vector, Failure):
                yield FailedFile(path, vector.reason, 1)
                continue
            cosines = np.clip(matrix @ vector, -1, 1)
            yield Labelled(path, zero_shot.ranked(names, cosines, probabilities(cosines, card.scoring)))

    def status(self) -> Status:
        photos, files, failed = self._catalog.counts()
        space = self._catalog.active_space()
        with TextCache(self._paths.cache) as cache:
            text_cache: TextCacheStatus = cache.status()
        return Status(
            library=str(self._paths.library),
            photos=photos,
            files=files,
            failed=failed,
            roots=tuple(self._catalog.root_statuses()),
            model=space.identity.model if space else DEFAULT_MODEL,
            space=space.identity if space else None,
            checkpoint=self._checkpoint_status(space),
            text_cache=text_cache,
        )

    # -- the plan of a search ---------------------------------------------------------------------

    def _nearest(self, catalog: Catalog, space: Space, asked: Asked, k: int) -> tuple[Ids, Vector, str]:
        """Candidates and their exact scores. Whatever the plan, the scores come from the vectors in SQLite."""
        from_scan = catalog.vector_count(space) <= SCAN_ROWS
        generation = None if from_scan else self._generation(catalog, space)
        hidden = catalog.hidden_photos()
        if generation is None:
            chunks = (_without(ids, vectors, hidden) for ids, vectors in catalog.vector_chunks(space))
            return *ranking.best_of_chunks(asked.vector, chunks, k), "exact"
        from clipsearch.index.vectors import GRAPH_THRESHOLD

        tail = catalog.photos_after(space, generation.checkpoint.max_seq)
        stale = np.union1d(hidden, tail)  # rows of the generation that must not answer (I6)
        # A text lies outside the cloud of images, where the graph finds 0.65 of the true hits (DESIGN section 8).
        by_graph = asked.is_image and generation.checkpoint.rows >= GRAPH_THRESHOLD
        # 16 more: USearch ranks in f16 arithmetic, the order at the edge is settled by the exact scores.
        keys = generation.nearest(asked.vector, k + len(stale) + 16, exact=not by_graph)
        candidates = np.union1d(np.setdiff1d(keys, stale), np.setdiff1d(tail, hidden))
        found = ranking.best_of_chunks(asked.vector, catalog.vectors_of(space, candidates.tolist()), k)
        return *found, "graph + tail" if by_graph else "exact"

    def _generation(self, catalog: Catalog, space: Space) -> Generation | None:
        """The checkpoint, opened; None when there is none or it is not what its row says (I2)."""
        from clipsearch.index.vectors import DamagedGeneration, open_generation

        checkpoint = catalog.checkpoint(space)
        if checkpoint is None:
            return None
        try:
            return open_generation(self._vectors_folder, checkpoint, space.identity.dim)
        except DamagedGeneration:
            return None  # `status` says so, the next index run makes a new one

    def _checkpoint_status(self, space: Space | None) -> CheckpointStatus:
        from clipsearch.index.vectors import DamagedGeneration, open_generation

        checkpoint = self._catalog.checkpoint(space) if space else None
        if space is None or checkpoint is None:
            tail = self._catalog.vector_count(space) if space else 0
            return CheckpointStatus(None, 0, tail, "none yet; searches read the catalog", healthy=tail == 0)
        tail = self._catalog.vector_count(space, after_seq=checkpoint.max_seq)
        try:
            open_generation(self._vectors_folder, checkpoint, space.identity.dim)
        except DamagedGeneration as error:
            state = f"{error}; searches read the catalog, the next clipsearch index makes a new one"
            return CheckpointStatus(checkpoint.generation, checkpoint.rows, tail, state, healthy=False)
        return CheckpointStatus(checkpoint.generation, checkpoint.rows, tail, "good", healthy=True)

    # -- vectors of what is asked -----------------------------------------------------------------

    def _text_vectors(self, texts: Sequence[str]) -> CachedVectors:
        card = self._card()

        def encode(missing: list[str]) -> CachedVectors:
            from clipsearch.engine.towers import TextTower

            encoded = TextTower(card, self._backend).encode(missing)
            return CachedVectors(encoded.vectors, tuple(encoded.truncated.tolist()))

        with TextCache(self._paths.cache) as cache:
            return cache.vectors(card.text_fingerprint, texts, encode)

    def _image_vectors(self, paths: Sequence[Path]) -> Iterator[Vector]:
        card = self._card()
        for path, vector in self._photo_vectors(card, [_existing(path) for path in paths], folders=False):
            if isinstance(vector, Failure):
                raise SystemFault(f"{os.fsdecode(path)} cannot be read: {vector.reason}.", "Name a photo.")
            yield vector

    def _photo_vectors(
        self, card: ModelCard, targets: Sequence[Path], *, folders: bool = True
    ) -> Iterator[tuple[bytes, Vector | Failure]]:
        """(path, unit vector) of photos and, in folders, of every photo below."""
        from clipsearch.index import crawl

        stored = self._stored_vectors(card)
        pending: list[bytes] = []
        for target in targets:
            path = os.fsencode(_existing(target))
            if not os.path.isdir(path):
                pending.append(path)
                continue
            if not folders:
                raise SystemFault(f"{target} is a folder.", "Name a photo.")
            listing = crawl.walk(Root(0, path, False, (), None))
            if not isinstance(listing, crawl.Listing):
                raise SystemFault(f"{target} cannot be listed ({listing.reason}).", "Check its permissions.")
            pending += [os.path.join(path, stamp.folder, stamp.name) for stamp in listing.stamps]
        if not pending:
            raise SystemFault(f"There are no photos in {targets[0]}.", "Name a folder with photos.")
        known = {path: vector for path in pending if (vector := stored(path)) is not None}
        fresh = self._fresh_vectors(card, [path for path in pending if path not in known])
        for path in pending:
            yield path, known[path] if path in known else next(fresh)

    def _stored_vectors(self, card: ModelCard) -> Callable[[bytes], Vector | None]:
        """Looks up the vector of an unchanged, indexed photo; without a library nothing is stored."""
        if not self._catalog_path.exists():
            return lambda path: None
        catalog, space = self._catalog, self._catalog.active_space()

        def look_up(path: bytes) -> Vector | None:
            known = catalog.photo_at(path)
            if space is None or known is None or space.identity.fingerprint != card.image_fingerprint:
                return None
            photo_id, stamp = known
            status = os.stat(path)
            if (status.st_size, status.st_mtime_ns) != (stamp.size, stamp.mtime_ns):
                return None
            for _, vectors in catalog.vectors_of(space, [photo_id]):
                return ranking.mixture([vectors[0].astype(np.float32)], [1.0])
            return None

        return look_up

    def _fresh_vectors(self, card: ModelCard, paths: Sequence[bytes]) -> Iterator[Vector | Failure]:
        """Decodes and encodes files, in their order; no model is loaded when there are none."""
        if not paths:
            return
        from clipsearch.engine.backends import usable_cores
        from clipsearch.engine.towers import ImageTower
        from clipsearch.index.workers import DecodeWorkers

        tower, side = ImageTower(card, self._backend), card.image.size
        with DecodeWorkers(tower.prepare, min(len(paths), usable_cores())) as decoder:
            outcomes = decoder.decode_all(paths)
            while batch := list(itertools.islice(outcomes, tower.batch_size)):
                decoded = [outcome for outcome in batch if isinstance(outcome, Decoded)]
                pixels = np.frombuffer(b"".join(one.pixels for one in decoded), np.uint8)
                vectors = iter(tower.encode_pixels(pixels.reshape(-1, side, side, 3)) if decoded else ())
                for outcome in batch:
                    yield outcome if isinstance(outcome, Failure) else next(vectors)

    # -- the library's folder ---------------------------------------------------------------------

    @property
    def _catalog_path(self) -> Path:
        return self._paths.library / "catalog.db"

    @property
    def _vectors_folder(self) -> Path:
        return self._paths.library / "vectors"

    @property
    def _catalog(self) -> Catalog:
        if self._reader is None:
            self._reader = Catalog.open_reader(self._catalog_path)
        return self._reader

    def _space(self) -> Space:
        space = self._catalog.active_space()
        if space is None:
            raise LibraryError(
                f"The library {self._paths.library} has no photos yet.",
                "Index a folder first: clipsearch index ~/Photos",
            )
        return space

    def _card(self) -> ModelCard:
        """The card of the model that made the library's vectors; the default one where there is no library yet."""
        space = self._catalog.active_space() if self._catalog_path.exists() else None
        if space is None:
            return find_model(DEFAULT_MODEL, self._paths.models)
        card = find_model(space.identity.model, self._paths.models)
        if card.image_fingerprint != space.identity.fingerprint:
            raise ModelError(
                f"The model {card.name} is not the one that indexed this library.",
                "Encode the photos with it: clipsearch index",
            )
        return card

    def _create_folder(self) -> None:
        folder = self._paths.library
        if kind := network_filesystem(folder):
            raise LibraryError(
                f"{folder} lies on a network file system ({kind}), where SQLite's locks cannot be trusted.",
                "Keep the library on a local disk with --library DIR; the photos may stay where they are.",
            )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK):
                raise PermissionError(errno.EACCES, "permission denied")
        except OSError as error:
            raise SystemFault(
                f"The library folder {folder} cannot be written ({error.strerror}).",
                "Choose another one with --library DIR, or change its permissions.",
            ) from error


def _existing(path: Path) -> Path:
    if not path.exists():
        raise SystemFault(
            f"There is no {path}.", "Check the spelling; an unplugged disk keeps its photos in the library."
        )
    return path


def _root_for(catalog: Catalog, target: Path) -> Root:
    """The root that covers the target: one that holds it already, or a new one that takes over roots inside it."""
    path = os.path.abspath(os.fsencode(target))
    is_file = not os.path.isdir(path)
    if is_file:
        _check_picture(path)
    for root in catalog.roots():
        listed = not is_file or is_listed(os.path.basename(path))
        if root.path == path or (not root.is_file and listed and _lies_in(path, root.path)):
            return root
    catalog.add_root(path, is_file=is_file)
    added = next(root for root in catalog.roots() if root.path == path)
    for root in catalog.roots():
        listed = not root.is_file or is_listed(os.path.basename(root.path))
        if not is_file and root.id != added.id and listed and _lies_in(root.path, path):
            catalog.absorb_root(root, added)
    return added


def _check_picture(path: bytes) -> None:
    """A file named by itself is tried whatever it is called, but a text file is a slip, not a failed photo."""
    from clipsearch.index.decode import picture_format

    if picture_format(path) is None and not is_listed(os.path.basename(path)):
        raise SystemFault(f"{os.fsdecode(path)} is not a picture.", "Name a folder of photos, or a photo.")


def _lies_in(path: bytes, folder: bytes) -> bool:
    return path.startswith(os.path.join(folder, b""))


def _without(ids: Ids, vectors: NDArray[np.float16], hidden: Ids) -> tuple[Ids, NDArray[np.float16]]:
    if not len(hidden):
        return ids, vectors
    keep = ~np.isin(ids, hidden)
    return ids[keep], vectors[keep]


def _hits(catalog: Catalog, ids: Ids, scores: Vector, under: bytes | None) -> tuple[Hit, ...]:
    rows = catalog.photo_rows(ids.tolist())
    hits: list[Hit] = []
    for photo_id, score in zip(ids.tolist(), scores.tolist(), strict=True):
        row = rows[photo_id]
        # Shown by the copy that lies where one asked.
        paths = sorted(row.paths, key=lambda path: under is not None and not _lies_in(path, under) and path != under)
        hits.append(
            Hit(len(hits) + 1, score, paths[0], tuple(paths[1:]), row.width, row.height, row.taken_at, row.offline)
        )
    return tuple(hits)
