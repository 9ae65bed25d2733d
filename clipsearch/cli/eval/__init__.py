"""`clipsearch eval`: one subject, one file, as below `clipsearch`."""

from __future__ import annotations

import click

from clipsearch.cli.eval.retrieval import retrieval
from clipsearch.cli.eval.words import words

EPILOG = """\b
Of photos in class folders see: clipsearch bench --help

\b
Examples:
  clipsearch eval retrieval captions.tsv
  clipsearch eval words objects.tsv
"""


@click.group("eval", epilog=EPILOG)
def command() -> None:
    """Measure what a model finds, on photos with captions or with words."""


for subject in (retrieval, words):
    command.add_command(subject)
