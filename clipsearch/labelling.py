"""How photos get labels: the methods of `Library` that name photos, learn from examples, and keep what was said."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.photos import Batch, photo_vectors, stored_vectors
from clipsearch.types import AnyPath, FailedFile, Labelled, LabelSet, Progress

if TYPE_CHECKING:
    from clipsearch.examples import FittedLabels
    from clipsearch.opened import Opened


def _untold(what: str, done: int, total: int) -> None:
    """Nobody looks."""


class Labelling:
    """The part of `Library` that labels photos; use it as Library."""

    _opened: Opened

    def set_labels(self, labels: Iterable[tuple[AnyPath, str | None, float]], *, instead_of: Sequence[str] = ()) -> int:
        """Gives photos labels, each (path, label, probability 0..1), which `label:` finds; how many were given.

        A photo that the library does not know is left out; a label given again gets the new probability. They
        replace those of `instead_of`, so that a photo has one of several labels that exclude each other; None in the
        place of a label only takes those away.
        """
        given = [(os.path.abspath(os.fsencode(path)), label, probability) for path, label, probability in labels]
        photos = self._opened.catalog.photos_at({path for path, _, _ in given})
        known = [(photos[path], label, probability) for path, label, probability in given if path in photos]
        with self._opened.annotations() as annotations:
            annotations.put_labels(known, instead_of=instead_of)
        return sum(label is not None for _, label, _ in known)

    def classify(
        self,
        targets: Sequence[AnyPath] = (),
        labels: Sequence[str] | LabelSet = (),
        *,
        templates: Sequence[str] = (),
        unknown: bool = False,
        margin: float = 0.0,
        top: int | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Labelled | FailedFile]:
        """Zero-shot labels of photos and folders, from stored vectors where they exist, in the order of paths.

        Without a target, of all photos of the library. The labels of a photo come the most probable first, the first
        `top` of them; where the model shares 100 % among them, each photo's probabilities sum to 1. With `unknown` an
        everyday text takes part, so that none may be clear; so may none where the best is not by `margin` above the
        next. It works without a library too, and only as it is iterated. Each template holds {} once, or is the name of
        published ones; their vectors are averaged. `progress` is told of texts and of photos that must be encoded.
        Raises UsageError for labels or templates that cannot work, SystemFault for a path that is not there.
        """
        with contextlib.ExitStack() as stack:
            catalog = None
            if not targets or self._opened.catalog_if_any() is not None:
                catalog = stack.enter_context(self._opened.another_reader())
            space = None if targets else self._opened.space()
            engine = self._opened.engine_of(catalog.active_space() if catalog else None)
            tell = progress or _untold
            label = engine.labeller(
                labels, templates, unknown=unknown, margin=margin, top=top, progress=partial(tell, "encoding labels")
            )
            if catalog is not None and space is not None:
                photos: Iterator[Batch | FailedFile] = stored_vectors(catalog, space)
            else:
                photos = photo_vectors(catalog, engine, targets, partial(tell, "encoding photos"))
            for one in photos:
                if isinstance(one, FailedFile):
                    yield one
                else:
                    for path, verdict in zip(one.paths, label(one.vectors), strict=True):
                        yield Labelled(path, verdict.labels, verdict.label, verdict.probability)

    def fitted_labels(
        self,
        labels: LabelSet,
        examples: AnyPath,
        *,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> FittedLabels:
        """The labels with what a few photos of each have taught, for `classify`: see docs/labels.md.

        `examples` is a folder with a folder for each label, named as it is, and perhaps one called unknown with photos
        that are none of them. `progress` gets (photos, of all). It works without a library too. Raises UsageError for a
        folder that is named as no label, SystemFault where there are no photos that can be read.
        """
        from clipsearch.examples import examples_in, fitted_labels

        catalog = self._opened.catalog_if_any()
        engine = self._opened.engine_of(catalog.active_space() if catalog else None)
        return fitted_labels(engine, labels, examples_in(Path(os.fsdecode(examples)), labels), progress)
