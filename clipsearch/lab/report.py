"""All experiments on one set of photos, one after the other: what each found, or why it could not be done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from clipsearch.encoding import Engine
from clipsearch.errors import ClipsearchError
from clipsearch.evaluation.captions import CaptionedPhotos
from clipsearch.evaluation.encoded import EncodedPhotos, Progress, classifier, encoded_photos
from clipsearch.evaluation.labelled import LabelledPhotos
from clipsearch.evaluation.zero_shot import recognised_of
from clipsearch.lab import accuracy, batches, captioned_space, compare, models, precision, prompts, space, temperature
from clipsearch.lab import cache as text_cache
from clipsearch.lab.findings import Column, Finding, Table
from clipsearch.labels.sets import checked_templates
from clipsearch.printable import shown
from clipsearch.types import FailedFile


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What is measured, and on what; experiments on a single model are about the first."""

    engines: Sequence[Engine]
    photos: LabelledPhotos
    captioned: CaptionedPhotos | None
    templates: Sequence[str]
    cache: Path  # the folder where it is remembered which files were verified
    _kept: list[EncodedPhotos | ClipsearchError] = field(default_factory=list, init=False)

    @property
    def engine(self) -> Engine:
        return self.engines[0]

    @property
    def failures(self) -> tuple[FailedFile, ...]:
        """Labelled photos that could not be read, as far as they were asked for."""
        return tuple(failed for one in self._kept if isinstance(one, EncodedPhotos) for failed in one.failures)

    def encoded(self, progress: Progress) -> EncodedPhotos:
        """By the first model, once for all experiments. Raises UsageError where no photo can be read, found out once
        too."""
        if not self._kept:
            try:
                self._kept.append(encoded_photos(self.engine, self.photos, progress))
            except ClipsearchError as error:
                self._kept.append(error)
        (kept,) = self._kept
        if isinstance(kept, ClipsearchError):
            raise kept
        return kept

    def readable(self, progress: Progress) -> LabelledPhotos:
        """The photos without those that could not be read: a damaged one on a slow disk costs its time once."""
        encoded = self.encoded(progress)
        pictures = [self.photos.pictures[place] for place in encoded.read]
        return replace(self.photos, pictures=pictures, truth=encoded.truth)


@dataclass(frozen=True, slots=True)
class Experiment:
    title: str
    run: Callable[[Progress], Finding]

    def found(self, progress: Progress) -> tuple[Finding, bool]:
        """What it found and True; or why it could not be done: what others took hours to measure is not lost."""
        try:
            return self.run(progress), True
        except ClipsearchError as error:
            return Finding(self.title, f"Not done. {error.message} {error.hint}"), False


def experiments(material: Material) -> tuple[Experiment, ...]:
    """Those that the material is enough for, in the order of the report."""
    found = [
        Experiment("Accuracy", lambda progress: _accuracy(material, progress)),
        Experiment("Models", lambda progress: _models(material)),
        Experiment("Prompts", lambda progress: _prompts(material, progress)),
        Experiment("Temperature", lambda progress: _temperature(material, progress)),
        Experiment("The space of the classes", lambda progress: _classes(material, progress)),
    ]
    if (captioned := material.captioned) is not None:
        found.append(Experiment("The space of the captions", lambda progress: _captions(material, captioned, progress)))
    found += [
        Experiment("Text cache", lambda progress: _cache(material, progress)),
        Experiment("Precision", lambda progress: _precision(material, progress)),
        Experiment("Batches", lambda progress: batches.finding(batches.batch_sweep(material.engine))),
    ]
    if len(material.engines) > 1:
        found.append(Experiment("Models compared", lambda progress: _compared(material, progress)))
    return tuple(found)


def not_done(unfinished: Sequence[Experiment]) -> list[Finding]:
    """What the page says of those that a run did not come to the end of: the first was under way."""
    return [
        Finding(one.title, f"Not done: the run ended {'before' if number else 'during'} it.")
        for number, one in enumerate(unfinished)
    ]


def left_out(failures: Sequence[FailedFile]) -> Finding:
    """All photos that could not be read, by name."""
    rows = tuple((shown(one.path), one.reason) for one in failures)
    return Finding(
        "Photos left out",
        f"{len(rows):,} of the photos could not be read; no figure is about them.",
        (Table("Which, and why", (Column("photo"), Column("reason")), rows),),
    )


def _accuracy(material: Material, progress: Progress) -> Finding:
    encoded = material.encoded(progress)
    return accuracy.finding(
        material.photos, recognised_of(material.engine, material.photos, encoded, material.templates)
    )


def _models(material: Material) -> Finding:
    return models.finding(models.model_sizes([engine.card for engine in material.engines]))


def _prompts(material: Material, progress: Progress) -> Finding:
    plan = prompts.prompt_plan(material.photos)
    encoded = material.encoded(progress)
    return prompts.finding(prompts.prompt_choice(material.engine, material.photos, encoded, plan, progress))


def _temperature(material: Material, progress: Progress) -> Finding:
    encoded = material.encoded(progress)
    return temperature.finding(
        temperature.temperature_of(material.engine, material.photos, encoded, material.templates)
    )


def _classes(material: Material, progress: Progress) -> Finding:
    engine, names = material.engine, material.photos.classes
    sentences = checked_templates(material.templates or material.photos.templates)
    words = classifier(engine, names, sentences)
    return space.finding(space.space_of(engine.card.name, names, material.encoded(progress), words, sentences))


def _captions(material: Material, captioned: CaptionedPhotos, progress: Progress) -> Finding:
    return captioned_space.finding(captioned_space.captioned_space(material.engine, captioned, progress))


def _cache(material: Material, progress: Progress) -> Finding:
    return text_cache.finding(text_cache.text_cache_gain(material.engine, progress=progress))


def _precision(material: Material, progress: Progress) -> Finding:
    found = precision.precision(
        material.engine,
        material.readable(progress),
        material.captioned,
        material.templates,
        cache=material.cache,
        progress=progress,
    )
    return precision.finding(replace(found, failures=(*material.failures, *found.failures)))


def _compared(material: Material, progress: Progress) -> Finding:
    photos = material.readable(progress)
    found = compare.compared_models(material.engines, photos, material.templates, progress)
    return compare.finding(replace(found, failures=(*material.failures, *found.failures)))
