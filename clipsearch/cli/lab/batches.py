"""`clipsearch lab batches`: images and texts a second, by batch."""

from __future__ import annotations

from pathlib import Path

import click

from clipsearch.cli.lab.showing import show, showing_options
from clipsearch.cli.options import backend_option, model_option, opened_engine
from clipsearch.cli.sections import Verb
from clipsearch.errors import Exit

EPILOG = """\b
Examples:
  clipsearch lab batches
  clipsearch lab batches --model vit-b-32-laion2b --backend onnxruntime --output batches.html
"""


@click.command("batches", cls=Verb, epilog=EPILOG)
@model_option
@showing_options
@backend_option
@click.pass_context
def batches(context: click.Context, model: str, target: Path | None, as_json: bool, backend: str) -> int:
    """Measure images and texts a second by how many are encoded at once."""
    from clipsearch.lab.batches import batch_sweep, finding

    with opened_engine(context, model, backend) as engine:
        sweep = batch_sweep(engine)
    show(sweep, finding(sweep), target, as_json)
    return Exit.DONE
