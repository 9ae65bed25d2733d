"""`clipsearch eval`: one subject, one file, as below `clipsearch`."""

from __future__ import annotations

import click

from clipsearch.cli.eval.retrieval import retrieval

EPILOG = """\b
Of photos in class folders see: clipsearch bench --help

\b
Examples:
  clipsearch eval retrieval captions.tsv
"""


@click.group("eval", epilog=EPILOG)
def command() -> None:
    """Measure what a model finds, on photos with captions."""


command.add_command(retrieval)
