"""`clipsearch eval backends`: whether every way to run a model here gives the same vectors."""

from __future__ import annotations

from pathlib import Path

import click

from clipsearch.cli.eval.samples import captions_options, photos_argument, samples_of
from clipsearch.cli.lab.showing import show, showing_options
from clipsearch.cli.left_out import tell_failures
from clipsearch.cli.meter import meter
from clipsearch.cli.options import chosen_paths, model_option
from clipsearch.cli.sections import Verb
from clipsearch.errors import Exit
from clipsearch.ways import names, way_named

EPILOG = """\b
Each way runs in a process of its own, the model's first variant, beside ONNX
Runtime in 32-bit floats. Without PHOTOS: the model's golden pictures, and noise.
Of more than 200 photos 200 are drawn. Ends with 4 where a way does not agree.
How fast they are: clipsearch backends. One graph, node by node: clipsearch
model verify --layers. Other variants (int8): clipsearch eval variants.

\b
Examples:
  clipsearch eval backends
  clipsearch eval backends ~/Photos/2024 --model vit-b-32-laion2b
  clipsearch eval backends --backend openvino-cpu-bf16 --captions captions.tsv
"""


@click.command("backends", cls=Verb, epilog=EPILOG)
@photos_argument
@captions_options
@click.option(
    "--backend",
    "backends_",
    multiple=True,
    metavar="NAME",
    shell_complete=lambda context, parameter, typed: [one for one in names() if one.startswith(typed)],
    help="Compare this way only; several may be named.",
)
@model_option
@showing_options
@click.pass_context
def backends(
    context: click.Context,
    targets: tuple[Path, ...],
    captions: Path | None,
    folder: Path | None,
    backends_: tuple[str, ...],
    model: str,
    target: Path | None,
    as_json: bool,
) -> int:
    """Compare the vectors of every way to run a model here with the reference's."""
    ways = [way_named(name) for name in backends_] or None
    from clipsearch.engine.store import find_model
    from clipsearch.evaluation.agreement import plain_samples
    from clipsearch.lab.backends import backend_parity, finding

    paths = chosen_paths(context, None)
    card = find_model(model, paths.models)
    samples = samples_of(card, targets, captions, folder) or plain_samples(card)
    with meter("ways") as progress:
        parity = backend_parity(card, samples, paths.cache, ways, progress)
    tell_failures(parity.failures)
    show(parity, finding(parity), target, as_json)

    return Exit.DONE if parity.all_agree else Exit.MODEL
