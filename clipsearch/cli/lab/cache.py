"""`clipsearch lab cache`: what the text cache saves."""

from __future__ import annotations

from pathlib import Path

import click

from clipsearch.cli.lab.showing import show, showing_options
from clipsearch.cli.meter import meter
from clipsearch.cli.options import backend_option, model_option, opened_engine
from clipsearch.cli.sections import Verb
from clipsearch.errors import Exit

EPILOG = """\b
Texts are asked of the model and of a cache made for this; your own is left alone.

\b
Examples:
  clipsearch lab cache
  clipsearch lab cache --model vit-b-32-laion2b --output cache.html
"""


@click.command("cache", cls=Verb, epilog=EPILOG)
@model_option
@showing_options
@backend_option
@click.pass_context
def cache(context: click.Context, model: str, target: Path | None, as_json: bool, backend: str) -> int:
    """Measure what the text cache saves, by how many texts are asked."""
    from clipsearch.lab.cache import finding, text_cache_gain

    with opened_engine(context, model, backend) as engine, meter("texts") as progress:
        gain = text_cache_gain(engine, progress=progress)
    show(gain, finding(gain), target, as_json)
    return Exit.DONE
