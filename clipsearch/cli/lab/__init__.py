"""`clipsearch lab`: one experiment, one file, as below `clipsearch`."""

from __future__ import annotations

import click

from clipsearch.cli.lab.batches import batches
from clipsearch.cli.lab.map import map_
from clipsearch.cli.lab.space import space

EPILOG = """\b
Plots need the extra [lab]: pip install 'clipsearch[lab]'

\b
Examples:
  clipsearch lab batches --output batches.html
"""


@click.group("lab", epilog=EPILOG)
def command() -> None:
    """Experiments: what a model can do, why, and what it costs."""


for experiment in (batches, map_, space):
    command.add_command(experiment)
