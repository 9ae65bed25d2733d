"""Which photos an evaluation asks: named ones, those of a file with captions, or what the command has for itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from clipsearch.cli.arguments import Named
from clipsearch.errors import UsageError

if TYPE_CHECKING:
    from clipsearch.config import Paths
    from clipsearch.engine.cards import ModelCard
    from clipsearch.evaluation.agreement import AskedSamples

Function = TypeVar("Function", bound=Callable[..., Any])


def photos_argument(function: Function) -> Function:
    return click.argument("targets", nargs=-1, type=Named(), metavar="[PHOTOS]...")(function)


def captions_options(function: Function) -> Function:
    """`--captions` and `--photos`, as `captions` and `folder`."""
    function = click.option(
        "--photos", "folder", type=Named(), metavar="DIR", help="With --captions: where their photos lie."
    )(function)
    return click.option(
        "--captions",
        type=Named(),
        metavar="FILE",
        help="Photos with captions, as clipsearch eval retrieval takes them: R@1 is measured too.",
    )(function)


def check_one_source(targets: Sequence[Path], captions: Path | None, folder: Path | None) -> None:
    """Raises UsageError."""
    if targets and captions is not None:
        raise UsageError("PHOTOS and --captions are both given.", "Name photos, or a file with captions.")
    if folder is not None and captions is None:
        raise UsageError("--photos goes with --captions.", "Name photos without it: they are arguments.")


def samples_of(
    card: ModelCard, targets: Sequence[Path], captions: Path | None, folder: Path | None
) -> AskedSamples | None:
    """What was named; None where nothing was."""
    from clipsearch.cli.meter import meter
    from clipsearch.evaluation.agreement import MOST_PHOTOS, captioned_samples, photo_samples
    from clipsearch.evaluation.captions import captioned_photos
    from clipsearch.evaluation.pixels import named_photos

    check_one_source(targets, captions, folder)
    if captions is not None:
        asked = captioned_photos(captions, folder)
        with meter("photos") as progress:
            return captioned_samples(card, asked, progress)
    if not targets:
        return None
    photos = named_photos(targets, MOST_PHOTOS)
    with meter("photos") as progress:
        return photo_samples(card, photos, progress)


def library_photos(paths: Paths) -> list[Path]:
    """Of the photos in the library as many as are asked, those that are here. Raises UsageError where there is none."""
    from clipsearch.evaluation.agreement import MOST_PHOTOS
    from clipsearch.quantizing import drawn_photos

    found = drawn_photos(paths, MOST_PHOTOS)
    if not found:
        raise UsageError("The library has no photos to measure with.", "Name photos, or a folder with photos.")
    return [Path(os.fsdecode(photo)) for photo in found]
