"""The facade: what the command line, an interface and Python users call. Joins the parts; decides little.

The way of a query, top to bottom: Query -> cached text vectors -> one mixture -> candidates by the plan
-> exact scores -> hits. Models, runtimes, USearch and Pillow load only in the methods that need them.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.answers import Question, Stopwatch, answered
from clipsearch.config import Paths, resolved_paths
from clipsearch.engine.backends import AUTO
from clipsearch.engine.store import DEFAULT_MODEL
from clipsearch.engine.textcache import TextCache
from clipsearch.errors import LibraryError, UsageError
from clipsearch.events import Event, WatchEvent
from clipsearch.groups import duplicate_groups
from clipsearch.keeping import Keeping
from clipsearch.labelling import Labelling
from clipsearch.opened import Opened, catalog_path, is_there
from clipsearch.photos import Batch, stored_vectors
from clipsearch.query import Filter, Query, parse
from clipsearch.types import (
    BURST_S,
    DUPLICATE_KINDS,
    SORTS,
    Answer,
    AnyPath,
    DuplicateGroup,
    DuplicateKind,
    FailedFile,
    Failure,
    PhotoDetails,
    RootStatus,
    SavedSearch,
    Sort,
    Status,
    TextCacheStatus,
)
from clipsearch.watching.record import read_record

if TYPE_CHECKING:
    from clipsearch.thumbnails import Thumbnails
    from clipsearch.upkeep.recall import Recall


class Library(Labelling, Keeping):
    """One library folder. Use as a context manager, from one thread.

    Readers are unlimited; `index` takes the writer's lock. Whatever reads raises LibraryError where there is no
    library yet, or where it is newer than this program or damaged; all errors are ClipsearchError. Paths may be
    str, bytes or path objects, and come back as absolute bytes, for a name need not be UTF-8.
    """

    def __init__(self, paths: Paths, *, backend: str = AUTO, threads: int = 0) -> None:
        self._paths = paths
        self._backend = backend
        self._threads = threads
        self._opened = Opened(paths, backend, threads)
        self._thumbnails: Thumbnails | None = None

    @classmethod
    def open(cls, folder: str | os.PathLike[str] | None = None, *, backend: str = AUTO, threads: int = 0) -> Library:
        """The library in `folder`, or the user's own one. Nothing is created before something is indexed.

        "lance:URI" is a shared library that `export` wrote: it answers as any other, and what would change it raises
        LibraryError.

        `backend` is "auto" or what docs/backends.md lists, as "openvino" or "onnxruntime-webgpu"; a named one never
        falls back. `threads` run the model; 0 for one for each core.
        """
        return cls(resolved_paths(None if folder is None else os.fspath(folder)), backend=backend, threads=threads)

    def __enter__(self) -> Library:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the database and of the model; a later call would open them again."""
        self._opened.close()
        if self._thumbnails is not None:
            self._thumbnails.close()
        self._thumbnails = None

    def warm_up(self) -> None:
        """Loads now what the first new text would wait for: the text model, and what relevance is measured against.

        Raises what `search` does.
        """
        space = self._opened.space()
        self._opened.engine_of(space).freshly_encoded(["a photo"])
        if len(self._opened.catalog.sample(space, 1)):  # without photos, no relevance is ever asked for
            self._opened.background(space)

    def exists(self) -> bool:
        """Whether anything was indexed here yet; without it there is nothing to ask."""
        return is_there(self._paths)

    def revision(self) -> int:
        """A number that grows when a process has written to the library; it costs nothing to ask again and again."""
        return self._opened.revision()

    # -- indexing ---------------------------------------------------------------------------------

    def index(
        self,
        folders: Sequence[AnyPath] = (),
        *,
        model: str | None = None,
        exclude: Sequence[str] = (),
        workers: int | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[Event]:
        """Indexes the folders (or single photos), or all roots when none is given; yields events, a Summary last.

        It works only as it is iterated: `for event in library.index(["~/Photos"])`, or `*_, done = library.index()`.
        `model` is a name or a folder; a new one encodes every photo, and answers once all are encoded. `exclude`
        are patterns as in .gitignore, `workers` decode (one a core if None), and once `stop()` is true the batch
        in flight is finished. Closing the iterator ends the run; what was committed stays.

        Raises SystemFault for a folder that is not there or cannot be written, LibraryError for a library
        that is locked, newer or damaged, ModelError for a model that is unknown or fails its check, UsageError
        where there is no folder to index.
        """
        from clipsearch.indexing import indexed

        yield from indexed(
            self._paths, self._backend, folders,
            model=model, exclude=exclude, workers=workers, threads=self._threads, stop=stop,
        )  # fmt: skip

    def bundle(
        self,
        target: AnyPath,
        folders: Sequence[AnyPath],
        *,
        shard: str = "1/1",
        model: str | None = None,
        exclude: Sequence[str] = (),
        workers: int | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[Event]:
        """Encodes a share of the folders into the bundle `target`, a folder, and not into this library.

        Works and yields as `index` does; what `target` has already is not encoded again, and it is whole once the
        Summary came uninterrupted. `shard` is "2/4" for the second of four shares: a file is in the same one on every
        machine, by its path below the folder that is named. Without `model` it is that of the bundle where it was
        begun, else this library's. `merge` puts bundles into a library; both need the extra [parquet].

        Raises what `index` does, LibraryError while another process writes `target`, ModelError for a bundle of
        another model, SystemFault for a damaged one.
        """
        from clipsearch.bundles.shard import shard_named
        from clipsearch.sharding.encode import bundled

        yield from bundled(
            self._paths, self._backend, folders, target,
            shard=shard_named(shard), model=model, exclude=exclude, workers=workers, threads=self._threads, stop=stop,
        )  # fmt: skip

    def watch(
        self,
        folders: Sequence[AnyPath] = (),
        *,
        exclude: Sequence[str] = (),
        workers: int | None = None,
        poll_s: float | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[WatchEvent]:
        """Brings the folders, or all roots, up to date and keeps them so until `stop()` is true.

        It works only as it is iterated. `Watching` says how a root is watched, and comes again when that changes;
        each batch of changes brings the events of `index`, a Summary last; `Troubled` what it will try again.
        Where the system tells of no events a root is looked at every `poll_s` seconds (30 if None); a number
        forces that. The library is locked only while a batch is worked on; `index` by hand waits for it.

        Raises LibraryError where this library is watched already, and what `index` raises at its start.
        """
        from clipsearch.watching.loop import watched

        yield from watched(
            self._paths, self._backend, folders,
            exclude=exclude, workers=workers, threads=self._threads, poll_s=poll_s, stop=stop,
        )  # fmt: skip

    def forget(self, folder: AnyPath) -> RootStatus:
        """Takes a root, and the photos that no other root shows, out of the results; says what it was.

        Nothing is changed on the disk, and the vectors are kept: indexing the folder again encodes nothing.
        Raises UsageError for a folder that is no root, LibraryError while another process writes.
        """
        from clipsearch.indexing import forgotten

        return forgotten(self._paths, folder)

    def root(self, folder: AnyPath) -> RootStatus:
        """The root that `forget` would take out, there or not. Raises what that does."""
        catalog_path(self._paths)  # a shared library is refused before a person is asked
        path = os.path.abspath(os.fsencode(folder))
        roots = {root.path: root for root in self._opened.catalog.root_statuses()}
        if path not in roots:
            known = ", ".join(os.fsdecode(known) for known in roots)
            raise UsageError(f"{os.fsdecode(path)} is no folder of this library.", f"Its folders are: {known}")
        return roots[path]

    def failures(self) -> list[FailedFile]:
        """Files that could not be read, with the reason and how often they were tried."""
        return self._opened.catalog.failures()

    # -- asking -----------------------------------------------------------------------------------

    def search(
        self,
        query: str = "",
        *,
        images: Sequence[AnyPath] = (),
        k: int = 20,
        under: AnyPath | None = None,
        sort: Sort | None = None,
        min_relevance: float | None = None,
        diverse: bool = False,
        exact: bool = False,
    ) -> Answer:
        """The photos that fit `query` (in the query language, package `query`) and look like `images`.

        At most `k` hits, one a content, 0 for all of them; `under` keeps those with a file in that folder,
        `min_relevance` (0..1) those at least as relevant, `diverse` prefers photos unlike each other, `exact`
        rules the graph out. Sorted by score, or by date (the newest first) where only filters are asked.
        `answer.hits` are the nearest, far off or not; `answer.fitting` are those that a person is shown.
        Raises UsageError for a query that cannot be read or cancels out, LibraryError where there is no
        library, ModelError where its model is gone, SystemFault for a picture that cannot be read.
        """
        if k < 0:
            raise UsageError(f"There are no {k} photos.", "Ask for 1 or more, or for 0, which means all.")
        if min_relevance is not None and not 0 <= min_relevance <= 1:
            raise UsageError(f"A min_relevance of {min_relevance} means nothing.", "Give one between 0 and 1.")
        if sort is not None and sort not in SORTS:
            raise UsageError(f"There is no sort {sort!r}.", f"There are {', '.join(SORTS)}.")
        watch = Stopwatch()
        space = self._opened.space()  # before a model is loaded in vain
        with watch.step("query"):
            parsed = parse(self.expanded(query)) if query.strip() else Query()
            pictures = [term.text for term in parsed.terms if term.is_picture]
            texts = [term.text for term in parsed.terms if not term.is_picture]
            if not (parsed.terms or parsed.filters or images):
                raise UsageError(
                    "not: alone looks for nothing." if parsed.excluded else "The query is empty.",
                    'Type what you remember: clipsearch search "dog on a beach"',
                )
        with watch.step("text vectors"):
            found = self._opened.text_vectors(space, [*texts, *parsed.excluded])
        watch.split(self._opened.text_steps)
        with watch.step("image vectors"):
            seen = [*self._opened.image_vectors(space, [*(os.path.expanduser(path) for path in pictures), *images])]
        by_text, by_picture = iter(found.vectors), iter(seen)
        parts = [next(by_picture if term.is_picture else by_text) for term in parsed.terms] + list(by_picture)
        question = Question(
            parts=np.array(parts, np.float32).reshape(-1, space.identity.dim),
            weights=(*(term.weight for term in parsed.terms), *(1.0 for _ in images)),
            is_image=not texts,
            has_picture=bool(seen),
            excluded=found.vectors[len(texts) :],
            filters=tuple(map(_resolved, parsed.filters)),
            under=None if under is None else os.path.abspath(os.fsencode(under)),
            k=k,
            sort=sort,
            min_relevance=min_relevance,
            diverse=diverse,
            exact=exact,
        )
        with self._opened.catalog.transaction():  # one snapshot: no photo appears or vanishes between two statements
            if self._opened.catalog.active_space() != space:
                raise LibraryError("The library has just changed its model.", "Ask again.")
            background = partial(self._opened.background, space)
            answer = answered(self._opened.catalog, self._opened.nearest, space, question, background, watch)
        names = [f"like:{term.text}" if term.is_picture else term.text for term in parsed.terms]
        truncated = zip([*texts, *parsed.excluded], found.truncated, strict=True)
        return replace(
            answer,
            terms=(*names, *(os.fsdecode(path) for path in images)),
            truncated=tuple(text for text, cut in truncated if cut),
            steps=tuple(watch.steps),
        )

    def similar(self, path: AnyPath, *, k: int = 20, under: AnyPath | None = None) -> Answer:
        """Photos near to one photo, itself first if the library has it; its stored vector is used then.

        Raises SystemFault for a photo that is not there or cannot be read, LibraryError without a library.
        """
        return self.search(images=[path], k=k, under=under)

    def duplicates(
        self,
        kinds: Collection[DuplicateKind] = DUPLICATE_KINDS,
        *,
        under: AnyPath | None = None,
        within_s: float = BURST_S,
    ) -> Iterator[DuplicateGroup]:
        """Groups of files of one content, copies of one picture, frames of one moment; the best one first in each.

        Only of photos in the folder `under`, if it is named; the frames of a burst are at most `within_s` apart.
        Nothing is changed on the disk.
        """
        space = self._opened.space()
        folder = None if under is None else os.path.abspath(os.fsencode(under))
        with self._opened.another_reader() as catalog, catalog.transaction():
            yield from duplicate_groups(catalog, space, kinds, under=folder, within_s=within_s)

    def photo(self, path: AnyPath) -> PhotoDetails | None:
        """All that the library knows of the photo at `path`; None when it knows none there. Reads no file."""
        wanted = os.path.abspath(os.fsencode(path))
        with self._opened.catalog.transaction():  # an index run may forget the file meanwhile
            known = self._opened.catalog.photo_at(wanted)
            if known is None:
                return None
            row = self._opened.catalog.photo_rows([known[0]])[known[0]]
            labels = self._opened.catalog.labels_of(row.id)
        return PhotoDetails(
            path=wanted,
            copies=tuple(other for other in row.paths if other != wanted),
            metadata=row.metadata,
            size=row.size,
            labels=labels,
            offline=row.offline,
        )

    def vectors(self) -> Iterator[Batch]:
        """(paths, unit vectors float32 (n, dim)) of all photos that answer, in batches, in the order of indexing.

        Each photo has one of its paths. It works only as it is iterated. Raises LibraryError without a library.
        """
        space = self._opened.space()
        with self._opened.another_reader() as catalog:
            yield from stored_vectors(catalog, space)

    def bank(self) -> NDArray[np.float32]:
        """Vectors (texts, dim) of the everyday texts under the library's model. Raises what `search` does."""
        return self._opened.engine_of(self._opened.space()).bank()

    # -- pictures ---------------------------------------------------------------------------------

    def thumbnail(self, path: AnyPath) -> bytes | Failure:
        """A small upright WebP of the photo at `path`, or why there is none; see `thumbnails`."""
        return next(self.thumbnails([path]))[1]

    def thumbnails(self, paths: Sequence[AnyPath]) -> Iterator[tuple[bytes, bytes | Failure]]:
        """(absolute path, WebP of at most 320 px or why there is none) for each path, the wanted ones first.

        Those kept on disk come before those that must be decoded, both in the order of `paths`; photos of a disk
        that is away are shown from what was kept. Closing the iterator drops what is not decoded yet.
        """
        from clipsearch.thumbnails import Thumbnails

        if self._thumbnails is None:
            self._thumbnails = Thumbnails(self._paths.library / "thumbs")
        return self._thumbnails.of(
            self._opened.catalog_if_any(), [os.path.abspath(os.fsencode(path)) for path in paths]
        )

    # -- a person's own words ---------------------------------------------------------------------

    def saved_searches(self) -> list[SavedSearch]:
        """By name; `search("@name")` asks one."""
        return self._opened.catalog.saved_searches()

    def expanded(self, query: str) -> str:
        """`query` with the saved search that its first word names (`@beach`) written out. Raises UsageError."""
        first, rest = [*query.split(maxsplit=1), "", ""][:2]
        if not first.startswith("@") or len(first) == 1:
            return query
        saved = {one.name: one.query for one in self.saved_searches()}
        if first[1:] not in saved:
            near = difflib.get_close_matches(first[1:], saved, n=1)
            known = f"Did you mean @{near[0]}?" if near else "clipsearch saved lists them."
            raise UsageError(f'There is no saved search "{first[1:]}".', f"{known} To search for the word, quote it.")
        return f"{saved[first[1:]]} {rest}".strip()

    def save_search(self, name: str, query: str) -> None:
        """Keeps `query` under `name`, replacing what had it. Raises UsageError for either that cannot be used."""
        if not re.fullmatch(r"[^\s@\"]{1,64}", name):
            raise UsageError(f'"{name}" cannot name a search.', "Use a word of at most 64 letters, without blanks.")
        parse(self.expanded(query))
        with self._opened.annotations() as annotations:
            annotations.save_search(name, self.expanded(query))

    def forget_search(self, name: str) -> bool:
        """Whether there was one of that name."""
        with self._opened.annotations() as annotations:
            return annotations.forget_search(name)

    def history(self) -> list[str]:
        """Queries asked in the interface, the latest first."""
        return self._opened.catalog.asked()

    def remember(self, query: str) -> None:
        """Puts a query on top of the history; `search` does not, for programs ask too. A shared library has none."""
        if self._paths.shared is not None:
            return
        with self._opened.annotations() as annotations:
            annotations.remember(query)

    def recall(
        self,
        *,
        k: int = 20,
        questions: int = 50,
        queries: Sequence[str] | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Recall:
        """Measures what share of the true k nearest photos a search finds: with texts, and with photos of its own.

        `questions` of each kind. The texts are those asked before, then everyday ones; or all of `queries`, in the
        language of search. `progress` gets (questions, of all). Raises what `search` does.
        """
        from clipsearch.upkeep.recall import as_words, recall, some_photos, some_texts

        asked = list(map(as_words, some_texts(self.history(), questions))) if queries is None else queries
        return recall(self, asked, some_photos(self._opened.catalog, questions), progress, k)

    def status(self) -> Status:
        """What the library holds and how it is backed: photos, files, roots, model, checkpoint, text cache."""
        photos, files, failed = self._opened.catalog.counts()
        space = self._opened.catalog.active_space()
        with TextCache(self._paths.cache) as cache:
            text_cache: TextCacheStatus = cache.status()
        watcher = read_record(self._paths.library)
        watched = {one.root: one for one in watcher.roots} if watcher else {}
        roots = [replace(root, watched=watched.get(root.path)) for root in self._opened.catalog.root_statuses()]
        return Status(
            library=self._paths.named,
            photos=photos,
            files=files,
            failed=failed,
            roots=tuple(roots),
            model=space.identity.model if space else DEFAULT_MODEL,
            variant=self._opened.catalog.newest_variant(space) if space else None,
            space=space.identity if space else None,
            checkpoint=self._opened.nearest.status(self._opened.catalog, space),
            text_cache=text_cache,
            watcher=watcher,
        )


def _resolved(one: Filter) -> Filter:
    """A folder as `in:` compares it: ~ and paths that begin with a dot mean what they mean in a shell."""
    if one.key != "in":
        return one
    folder = os.path.expanduser(one.value)
    if folder == one.value and folder.split(os.sep)[0] not in (".", ".."):
        return one  # a name, also one that only looks like somebody's home
    return replace(one, value=os.path.abspath(folder))
