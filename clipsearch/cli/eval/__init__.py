"""`clipsearch eval`: one subject, one file, as below `clipsearch`."""

from __future__ import annotations

import click

from clipsearch.cli.eval.backends import backends
from clipsearch.cli.eval.preprocessing import preprocessing
from clipsearch.cli.eval.recall import recall
from clipsearch.cli.eval.retrieval import retrieval
from clipsearch.cli.eval.variants import variants
from clipsearch.cli.eval.words import words
from clipsearch.cli.eval.zero_shot import zero_shot

EPILOG = """\b
How fast a model is, and which classes it confuses: clipsearch bench --help
How vectors are compared, with figures: docs/agreement.md

\b
Examples:
  clipsearch eval zero-shot ~/data/cifar-10-batches-bin --against published
  clipsearch eval retrieval captions.tsv
  clipsearch eval words objects.tsv
  clipsearch eval recall
  clipsearch eval backends
  clipsearch eval variants ~/Photos/2024
  clipsearch eval preprocessing --captions captions.tsv
"""


@click.group("eval", epilog=EPILOG)
def command() -> None:
    """Measure what a model finds, and whether it is run as it should be."""


for subject in (zero_shot, retrieval, words, recall, backends, variants, preprocessing):
    command.add_command(subject)
