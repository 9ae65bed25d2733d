"""The facade: what the command line, an interface and Python users call. Joins the parts; decides little.

The way of a query, top to bottom: Query -> cached text vectors -> one mixture -> candidates by the plan
-> exact scores -> hits. Models, runtimes, USearch and Pillow load only in the methods that need them.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch import labels as zero_shot
from clipsearch.config import Paths
from clipsearch.engine.backends import AUTO
from clipsearch.engine.cards import ModelCard
from clipsearch.engine.store import DEFAULT_MODEL, find_model, model_handle
from clipsearch.engine.textcache import CachedVectors, TextCache
from clipsearch.errors import LibraryError, ModelError, SystemFault, UsageError
from clipsearch.files import network_filesystem, writer_lock
from clipsearch.index.catalog import Catalog, Space
from clipsearch.index.nearest import Found, Nearest
from clipsearch.index.roots import lies_in, root_for
from clipsearch.photos import existing, photo_vectors, photos_below
from clipsearch.query import Query
from clipsearch.search import mixture
from clipsearch.types import (
    Answer,
    Event,
    FailedFile,
    Failure,
    Hit,
    Labelled,
    Status,
    Summary,
    TextCacheStatus,
    Unlisted,
)

Vector = NDArray[np.float32]


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
        self._nearest = Nearest(self._vectors_folder)

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
        from clipsearch.engine.towers import PendingImageTower
        from clipsearch.index.update import update
        from clipsearch.index.workers import DecodeWorkers

        targets = [existing(folder) for folder in folders]
        self._create_folder()
        with (
            writer_lock(self._paths.library / "writer.lock", "clipsearch index"),
            Catalog.open_writer(self._catalog_path) as catalog,
        ):
            active = catalog.active_space()
            card = find_model(model or (active.identity.model if active else DEFAULT_MODEL), self._paths.models)
            tower = PendingImageTower(card, self._backend)
            space = catalog.space_for(replace(tower.space, model=model_handle(card, self._paths.models)))
            roots = [root_for(catalog, target) for target in targets]
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
            unlisted = False
            with DecodeWorkers(tower.prepare, workers or usable_cores()) as decoder:
                for event in update(catalog, space, self._vectors_folder, roots, tower, decoder, stop=stop):
                    unlisted = unlisted or isinstance(event, Unlisted)
                    if isinstance(event, Summary):
                        # What could not be listed has no vectors in the new space and would leave the results.
                        if switching and not event.interrupted and not unlisted:
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
        self._space()  # before a model is loaded in vain
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
        return Asked(mixture(parts, weights), is_image=query is None, truncated=truncated)

    def search(self, asked: Asked, *, k: int = 20, under: Path | None = None) -> Answer:
        """The k nearest photos, one hit a content; `under` keeps those with a file in that folder."""
        catalog, space = self._catalog, self._space()
        with catalog.transaction():  # one snapshot: no photo appears or vanishes between two statements
            if under is not None:
                folder = os.path.abspath(os.fsencode(under))
                among = catalog.photos_under(folder)
                found = self._nearest.find_among(catalog, space, asked.vector, k, among)
                return Answer(_hits(catalog, found, folder), found.plan, len(among))
            found = self._nearest.find(catalog, space, asked.vector, k, is_image=asked.is_image)
            return Answer(_hits(catalog, found, None), found.plan, catalog.counts()[0])

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
        for path, vector in photo_vectors(self._catalog_if_any(), card, photos_below(targets), self._backend):
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
            checkpoint=self._nearest.status(self._catalog, space),
            text_cache=text_cache,
        )

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
        found = [existing(path) for path in paths]
        for path, vector in photo_vectors(self._catalog_if_any(), self._card(), found, self._backend):
            if isinstance(vector, Failure):
                raise SystemFault(f"{os.fsdecode(path)} cannot be read: {vector.reason}.", "Name a photo.")
            yield vector

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

    def _catalog_if_any(self) -> Catalog | None:
        return self._catalog if self._catalog_path.exists() else None

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
        catalog = self._catalog_if_any()
        space = catalog.active_space() if catalog else None
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


def _hits(catalog: Catalog, found: Found, under: bytes | None) -> tuple[Hit, ...]:
    rows = catalog.photo_rows(found.ids.tolist())
    hits: list[Hit] = []
    for photo_id, score in zip(found.ids.tolist(), found.scores.tolist(), strict=True):
        row = rows[photo_id]
        # Shown by the copy that lies where one asked.
        paths = sorted(row.paths, key=lambda path: under is not None and not lies_in(path, under) and path != under)
        hits.append(
            Hit(len(hits) + 1, score, paths[0], tuple(paths[1:]), row.width, row.height, row.taken_at, row.offline)
        )
    return tuple(hits)
