"""`clipsearch eval variants`: how far a model's variants in fewer bits are from it, on one's own photos."""

from __future__ import annotations

from pathlib import Path

import click

from clipsearch.cli.eval.samples import captions_options, library_photos, photos_argument, samples_of
from clipsearch.cli.lab.showing import show, showing_options
from clipsearch.cli.left_out import tell_failures
from clipsearch.cli.meter import meter
from clipsearch.cli.options import chosen_paths, library_option, model_option
from clipsearch.cli.sections import Verb
from clipsearch.errors import Exit

EPILOG = """\b
Each variant of the model's card, and its first one in shorter floats, beside
that one in 32-bit floats. Without PHOTOS: photos of the library. Of more than
200 photos 200 are drawn. Ends with 4 where a variant is below its gate.
clipsearch model quantize makes variants, clipsearch eval backends compares
other ways to run the same one.

\b
Examples:
  clipsearch eval variants ~/Photos/2024 --model vit-b-32-laion2b
  clipsearch eval variants --captions captions.tsv --model vit-b-32-laion2b
"""


@click.command("variants", cls=Verb, epilog=EPILOG)
@photos_argument
@captions_options
@model_option
@showing_options
@library_option
@click.pass_context
def variants(
    context: click.Context,
    targets: tuple[Path, ...],
    captions: Path | None,
    folder: Path | None,
    model: str,
    target: Path | None,
    as_json: bool,
    library: str | None,
) -> int:
    """Measure how far a model's variants (int8, bf16 …) move the vectors of your photos."""
    from clipsearch.engine.store import find_model
    from clipsearch.lab.variants import finding, variant_drift

    paths = chosen_paths(context, library)
    card = find_model(model, paths.models)
    samples = samples_of(card, targets or (() if captions else library_photos(paths)), captions, folder)
    assert samples is not None  # some were named, or the library's are
    with meter("variants") as progress:
        drift = variant_drift(card, samples, paths.cache, progress)
    tell_failures(drift.failures)
    show(drift, finding(drift), target, as_json)
    return Exit.DONE if all(one.below_gate is None for one in drift.variants) else Exit.MODEL
