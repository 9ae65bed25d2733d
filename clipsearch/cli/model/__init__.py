"""`clipsearch model`: one verb, one file, as below `clipsearch`."""

from __future__ import annotations

import click

from clipsearch.cli.model.info import info
from clipsearch.cli.model.list import model_list
from clipsearch.cli.model.pull import pull
from clipsearch.cli.model.quantize import quantize
from clipsearch.cli.model.remove import remove
from clipsearch.cli.model.use import use
from clipsearch.cli.model.verify import verify

EPILOG = """\b
Examples:
  clipsearch model list
  clipsearch model pull vit-b-32-256-datacomp
  clipsearch model use vit-b-32-256-datacomp
"""


@click.group("model", epilog=EPILOG)
def command() -> None:
    """Show, fetch and change the models that turn photos and words into vectors."""


for verb in (model_list, info, pull, use, quantize, verify, remove):
    command.add_command(verb)
