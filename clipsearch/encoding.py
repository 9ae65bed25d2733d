"""Words and images -> unit vectors of one model, their cosines, and labels.

Joins a card, its two towers, the cache of texts and the decode workers, for Python users and for the library.
Knows nothing of libraries; photos.py adds the vectors that one has stored.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from clipsearch.background import background_texts
from clipsearch.config import resolved_paths
from clipsearch.engine.backends import AUTO, check_backend, usable_cores
from clipsearch.engine.bank import bank_vectors
from clipsearch.engine.cards import ModelCard
from clipsearch.engine.choosing.candidates import Candidate, default_candidate
from clipsearch.engine.choosing.choice import Purpose, chosen, known_ways, measured_ways
from clipsearch.engine.store import DEFAULT_MODEL, find_model
from clipsearch.engine.textcache import CachedVectors, TextCache
from clipsearch.errors import ModelError, SystemFault, UsageError
from clipsearch.events import Advanced
from clipsearch.labels.sets import check_alternatives, check_fitted, label_set, prompts
from clipsearch.labels.verdicts import Verdict, alternatives, ensembled, rivals_of, verdicts
from clipsearch.types import (
    AnyPath,
    Decoded,
    Failure,
    LabelScore,
    LabelSet,
    MeasuredWay,
    Picture,
    Prepare,
    Step,
    TextCacheStatus,
)

if TYPE_CHECKING:
    from clipsearch.engine.tokenize import TextTokenizer, Tokens
    from clipsearch.engine.towers import ImageTower, TextTower

logger = logging.getLogger(__name__)

Vector = NDArray[np.float32]
Tower = TypeVar("Tower")
Labeller = Callable[[Vector], list[Verdict]]


@dataclass(frozen=True, slots=True)
class FailedImage:
    place: int  # among the images given, from 0
    image: Picture
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class EncodedImages:
    """What became of some images. Rows can be matched with images by `read`; `vectors` has no gaps, or raises."""

    rows: NDArray[np.float32]  # (read, dim), unit rows, of those that could be read
    read: tuple[int, ...]  # which of the images given the rows are of, from 0
    failures: tuple[FailedImage, ...]

    @property
    def vectors(self) -> NDArray[np.float32]:
        """(images, dim), a unit row for every image given. Raises SystemFault when one could not be read."""
        if self.failures:
            failed = self.failures[0]
            name = os.fsdecode(failed.image) if isinstance(failed.image, _PATH) else f"Image {failed.place}"
            raise SystemFault(f"{name} cannot be read: {failed.reason}.", "Leave it out.")
        return self.rows


class Engine:
    """One model: unit vectors of words and images, cosines, labels. Use as a context manager, from one thread.

    `model` is a name or a model's folder, as `clipsearch model list` shows them; the models folder and the
    folder of the text cache are the user's own ones unless they are named. Nothing is loaded before it is
    needed: the image tower by the first image, the text tower by the first text that was never asked before.
    Raises ModelError for a model or a backend that is not there; every method may raise it for one that fails.

    >>> with Engine("starter") as engine:
    ...     engine.encode_text(["a cat", "a dog"]).shape
    (2, 512)
    """

    def __init__(
        self,
        model: str | ModelCard = DEFAULT_MODEL,
        *,
        backend: str = AUTO,
        threads: int = 0,
        models_folder: AnyPath | None = None,
        cache_folder: AnyPath | None = None,
    ) -> None:
        check_backend(backend)
        if isinstance(model, str):
            models = resolved_paths(None).models if models_folder is None else Path(os.fsdecode(models_folder))
            model = find_model(model, models)
        self.card = model
        self._backend = backend
        self._threads = threads
        self._cache_folder = resolved_paths(None).cache if cache_folder is None else Path(os.fsdecode(cache_folder))
        self._tokenizer: TextTokenizer | None = None
        self._text_tower: TextTower | None = None
        self._image_tower: ImageTower | None = None
        self.text_steps: tuple[Step, ...] = ()  # what the last texts took; none where all were asked before
        self._one_at_a_time = False  # whether that tower was opened for one picture

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Gives the memory of the towers back; a later call would open them again."""
        self._tokenizer = self._text_tower = self._image_tower = None

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return self.card.dim

    @property
    def logit_scale(self) -> float:
        """What the model multiplies cosines by before its softmax or sigmoid: 100 for OpenAI's CLIP."""
        return self.card.scoring.scale

    # -- how it is run ----------------------------------------------------------------------------

    def ways(self) -> tuple[MeasuredWay, ...]:
        """The ways to run the model on this machine, tried now if they never were: 20 s at most, once."""
        return measured_ways(self.card, self._cache_folder)

    def candidate(self, purpose: Purpose) -> Candidate:
        """The backend that was named; else what measured best, or what needs no measuring where nothing was."""
        measured = chosen(known_ways(self.card, self._cache_folder), purpose) if self._backend == AUTO else None
        found = measured or default_candidate(self.card, self._backend)
        return replace(found, way=replace(found.way, threads=self._threads)) if self._threads else found

    def image_tower(self, *, one_at_a_time: bool = False) -> ImageTower:
        """A tower of the caller's own, the way that `candidate` names: for batches, or to answer one picture soonest,
        on all cores. Raises ModelError."""
        from clipsearch.engine.towers import ImageTower

        def opened(card: ModelCard, candidate: Candidate, cache: Path) -> ImageTower:
            return ImageTower(card, replace(candidate, batch=1) if one_at_a_time else candidate, cache)

        return self._opened(opened, "ingest")

    def _opened(self, tower: Callable[[ModelCard, Candidate, Path], Tower], purpose: Purpose) -> Tower:
        """Only `auto` falls back, and says why: what was measured before may have lost its driver since."""
        candidate = self.candidate(purpose)
        try:
            return tower(self.card, candidate, self._cache_folder)
        except ModelError as error:
            plain = default_candidate(self.card, self._backend, self._threads)
            if candidate.name == plain.name:  # as always where a backend is named: a demand is its own plain way
                raise
            logger.warning("%s is taken, for what measured best fails: %s", plain.way.name, error.message)
            return tower(self.card, plain, self._cache_folder)

    # -- words ------------------------------------------------------------------------------------

    def encode_text(self, texts: str | Iterable[str]) -> NDArray[np.float32]:
        """float32 (texts, dim), unit rows. Texts asked before come from the text cache and load no model, unless a
        backend was named that computes in another arithmetic, or runs another variant.

        A model reads the beginning of a long text only; `text_vectors` says of which. Raises UsageError for
        a text that is not UTF-8.
        """
        return self.text_vectors(texts).vectors

    def text_vectors(self, texts: str | Iterable[str]) -> CachedVectors:
        """The same vectors, and which of the texts the model read only the beginning of."""
        asked = [texts] if isinstance(texts, str) else list(texts)
        for text in asked:
            _check_utf8(text)
        if not asked:
            return CachedVectors(np.empty((0, self.dim), np.float32), ())
        self.text_steps = ()
        if not self._makes_common_texts():
            return self._encoded(asked)
        with TextCache(self._cache_folder) as cache:
            return cache.vectors(self.card.text_fingerprint, asked, self._encoded)

    def _makes_common_texts(self) -> bool:
        """Whether its vectors of texts are those that everybody else would get: kept, and taken from what was kept.

        A demand of another arithmetic or variant is answered in that, and leaves nothing behind: its vectors would
        answer who never asked for them.
        """
        if self._backend == AUTO:
            return True
        demanded = self.candidate("query")
        return demanded.way.arithmetic == "f32" and demanded.variant == self.card.reference.name

    def text_cache(self) -> TextCacheStatus:
        """How many texts are remembered, of all models, and how often that has helped."""
        with TextCache(self._cache_folder) as cache:
            return cache.status()

    def tokenize(self, texts: str | Iterable[str]) -> Tokens:
        """Token ids int64 (texts, tokens) as the model reads them, padded, with their mask. Loads no tower."""
        from clipsearch.engine.tokenize import TextTokenizer

        if self._tokenizer is None:
            self._tokenizer = TextTokenizer(self.card.folder, self.card.text)
        return self._tokenizer.encode([texts] if isinstance(texts, str) else list(texts))

    def freshly_encoded(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The same as `encode_text`, past the text cache."""
        return self._encoded(list(texts)).vectors

    def _encoded(self, texts: list[str]) -> CachedVectors:
        from clipsearch.engine.towers import TextTower

        started = time.perf_counter()
        if self._text_tower is None:
            self._text_tower = self._opened(TextTower, "query")
        opened = time.perf_counter()
        encoded = self._text_tower.encode(texts)
        encode_ms = (time.perf_counter() - opened) * 1000 - encoded.tokenize_ms
        self.text_steps = (
            Step("open the model", (opened - started) * 1000),
            Step("tokenize", encoded.tokenize_ms),
            Step("encode", encode_ms),
        )
        return CachedVectors(encoded.vectors, tuple(encoded.truncated.tolist()))

    # -- images -----------------------------------------------------------------------------------

    def encode_images(
        self, images: Picture | Iterable[Picture], *, progress: Callable[[Advanced], None] | None = None
    ) -> EncodedImages:
        """Vectors of files, of Pillow images, and of uint8 RGB arrays (height, width, 3), mixed as one likes.

        Files are decoded in processes of their own and encoded in batches. What cannot be read is listed with
        its reason and stops nothing; `vectors` of the result raises if there is such an image. `progress` is
        called after each image. Raises UsageError for an array of another shape or type.
        """
        pictures = _several(images)
        rows: list[Vector] = []
        read: list[int] = []
        failures: list[FailedImage] = []
        for place, outcome in enumerate(self.each_image(pictures)):
            if isinstance(outcome, Failure):
                failures.append(FailedImage(place, pictures[place], outcome.reason))
            else:
                rows.append(outcome)
                read.append(place)
            if progress is not None:
                following = pictures[place + 1] if place + 1 < len(pictures) else None
                waiting_for = os.fsencode(following) if isinstance(following, _PATH) else None
                progress(Advanced(place + 1, len(pictures), len(failures), waiting_for))
        matrix = np.array(rows, np.float32).reshape(-1, self.dim)
        return EncodedImages(matrix, tuple(read), tuple(failures))

    def each_image(self, images: Picture | Iterable[Picture]) -> Iterator[Vector | Failure]:
        """For each image, in their order, its unit vector (dim,) or why it cannot be read, as batches are done."""
        pictures = _several(images)
        for picture in pictures:
            _check_array(picture)
        if not pictures:
            return
        tower, side = self._tower_for(len(pictures)), self.card.image.size
        with contextlib.closing(self.each_prepared(pictures)) as outcomes:
            while batch := list(itertools.islice(outcomes, tower.batch_size)):
                decoded = [outcome for outcome in batch if isinstance(outcome, Decoded)]
                pixels = np.frombuffer(b"".join(one.pixels for one in decoded), np.uint8)
                vectors = iter(tower.encode_pixels(pixels.reshape(-1, side, side, 3)) if decoded else ())
                for outcome in batch:
                    yield outcome if isinstance(outcome, Failure) else next(vectors)

    def each_prepared(self, images: Picture | Iterable[Picture]) -> Generator[Decoded | Failure, None, None]:
        """For each image, in their order, its pixels as the image tower takes them, or why it cannot be read."""
        from clipsearch.decoding.workers import DecodeWorkers
        from clipsearch.engine.preprocess import Preprocess

        pictures, prepare = _several(images), Preprocess(self.card.image)
        paths = [os.fsencode(picture) for picture in pictures if isinstance(picture, _PATH)]
        with DecodeWorkers(prepare, max(1, min(len(paths), usable_cores()))) as workers:
            yield from _decoded(pictures, workers.decode_all(paths), prepare)

    def _tower_for(self, count: int) -> ImageTower:
        if self._image_tower is None or (count > 1 and self._one_at_a_time):
            self._one_at_a_time = count == 1
            self._image_tower = self.image_tower(one_at_a_time=self._one_at_a_time)
        return self._image_tower

    # -- words and images -------------------------------------------------------------------------

    def similarity(self, texts: str | Iterable[str], images: Picture | Iterable[Picture]) -> NDArray[np.float32]:
        """Cosines float32 (texts, images), -1..1. Raises SystemFault for an image that cannot be read."""
        vectors = self.encode_images(images).vectors
        return np.asarray(np.clip(self.encode_text(texts) @ vectors.T, -1, 1), np.float32)

    def classify(
        self,
        images: Picture | Iterable[Picture],
        labels: Sequence[str] | LabelSet,
        *,
        templates: Sequence[str] = (),
    ) -> list[tuple[LabelScore, ...] | Failure]:
        """For each image its labels, most probable first, or why it cannot be read.

        Each label is put into the templates ("a photo of {}." if none is given; a name of published ones stands for
        them) and the vectors are averaged. Raises UsageError for labels or templates that cannot work.
        """
        label = self.labeller(labels, templates)
        return [one if isinstance(one, Failure) else label(one[None])[0].labels for one in self.each_image(images)]

    def labeller(
        self,
        labels: Sequence[str] | LabelSet,
        templates: Sequence[str] = (),
        *,
        unknown: bool = False,
        margin: float = 0.0,
        top: int | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Labeller:
        """From unit vectors of images (n, dim) to what may be said of each; the labels' own vectors are made once.

        `unknown`: an everyday text takes part, so that none may fit. `margin`, `top`: see labels.verdicts. `progress`
        gets (texts encoded, of all). Raises UsageError for labels that were fitted under another model.
        """
        from clipsearch.engine.scoring import logits, probabilities

        asked = labels if isinstance(labels, LabelSet) else label_set(labels, templates)
        scoring = self.card.scoring
        exclusive = scoring.kind == "softmax"
        if exclusive:
            check_alternatives(asked, unknown=unknown)
        check_fitted(asked, self.card.name, self.card.scoring_fingerprint)
        matrix = self.label_vectors(asked, progress=progress)
        others = self.rivals(asked, matrix) if unknown and exclusive else matrix[:0]
        slopes = np.array([label.slope for label in asked.labels])
        biases = np.array([label.bias for label in asked.labels])
        rival_bias = asked.fitted.unknown if asked.fitted else 0.0

        def labelled(vectors: Vector) -> list[Verdict]:
            cosines = np.clip(vectors @ matrix.T, -1, 1)
            shares = probabilities(cosines, scoring, slopes, biases)
            if not unknown:
                fits = np.ones(len(vectors), np.bool_)
            elif exclusive:  # the slope is one for all of them
                rivals = logits(rivals_of(vectors, others), scoring, slopes.mean(), rival_bias)
                fits = logits(cosines, scoring, slopes, biases).max(axis=1) >= rivals
            else:
                fits = shares.max(axis=1) >= 0.5
            return list(verdicts(asked, cosines, shares, exclusive=exclusive, fits=fits, margin=margin, top=top))

        return labelled

    def label_vectors(
        self,
        labels: LabelSet,
        *,
        fresh: bool = False,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Vector:
        """float32 (labels, dim), unit rows: of each label's prompts the mean, made unit again.

        `fresh`: past the text cache. So are more than a thousand: ImageNet's 80,000 would push all others out of it.
        `progress` gets (texts, of all).
        """
        sentences = [prompts(label) for label in labels.labels]
        texts = [sentence for one in sentences for sentence in one]
        encode = self.freshly_encoded if fresh or len(texts) > _KEPT_TEXTS else self.encode_text
        parts = []
        for start in range(0, len(texts), _TEXTS_TOGETHER):
            parts.append(encode(texts[start : start + _TEXTS_TOGETHER]))
            progress(min(start + _TEXTS_TOGETHER, len(texts)), len(texts))
        ends = np.cumsum([len(one) for one in sentences])
        return np.stack([ensembled(group) for group in np.split(np.concatenate(parts), ends[:-1])])

    def rivals(self, labels: LabelSet, matrix: Vector) -> Vector:
        """Vectors (texts, dim) of the everyday texts that a label must stand up to: those that mean none of them.

        The labels are compared as they are asked (`matrix`), and by their bare words: everyday texts are bare too.
        """
        bare = self.encode_text([word for label in labels.labels for word in label.words])
        return alternatives(self.bank(), np.concatenate([matrix, bare]))

    def bank(self) -> Vector:
        """Vectors of the everyday texts, float32 (texts, dim), unit rows; made once for a model and kept."""
        keep = self._makes_common_texts()
        return bank_vectors(self.card, background_texts(), self._cache_folder, self.freshly_encoded, keep=keep)


_PATH = (str, bytes, os.PathLike)
_TEXTS_TOGETHER = 512  # several batches of each length; between them it is told how far it is
_KEPT_TEXTS = 1000  # of one set of labels, that the text cache is asked to keep


def _several(images: Picture | Iterable[Picture]) -> list[Picture]:
    """One image is a list of one; an array of rank 4 is a list of images."""
    if isinstance(images, np.ndarray):
        return list(images) if images.ndim == 4 else [images]
    if isinstance(images, _PATH) or not isinstance(images, Iterable):
        return [images]
    return list(images)


def _decoded(
    pictures: Sequence[Picture], files: Iterator[Decoded | Failure], prepare: Prepare
) -> Iterator[Decoded | Failure]:
    """Outcomes in the order of the pictures; `files` are those of the ones that are paths."""
    for picture in pictures:
        if isinstance(picture, _PATH):
            yield next(files)
        else:
            from clipsearch.decoding.decode import decode_picture

            yield decode_picture(picture, prepare)


def _check_array(picture: Picture) -> None:
    if not isinstance(picture, np.ndarray):
        return
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise UsageError(
            f"An array of type {picture.dtype} and shape {picture.shape} is no image.",
            "Give uint8 RGB, rows from the top: (height, width, 3).",
        )


def _check_utf8(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"The text {text!r} is not UTF-8.", "Decode it before it is asked.") from error
