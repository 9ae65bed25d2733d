"""`clipsearch eval`: one subject, one file, as below `clipsearch`."""

from __future__ import annotations

import click

from clipsearch.cli.eval.retrieval import retrieval
from clipsearch.cli.eval.zero_shot import zero_shot
from clipsearch.cli.eval.words import words

EPILOG = """\b
How fast a model is, and which classes it confuses: clipsearch bench --help

\b
Examples:
  clipsearch eval zero-shot ~/data/cifar-10-batches-bin
  clipsearch eval retrieval captions.tsv
  clipsearch eval words objects.tsv
"""


@click.group("eval", epilog=EPILOG)
def command() -> None:
    """Measure what a model is worth, on photos whose classes, captions or things are known."""


for figure in (zero_shot, retrieval, words):
    command.add_command(figure)
