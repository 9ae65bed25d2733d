"""`clipsearch lab`: one experiment, one file, as below `clipsearch`."""

from __future__ import annotations

import click

from clipsearch.cli.lab.batches import batches
from clipsearch.cli.lab.cache import cache
from clipsearch.cli.lab.compare import compare
from clipsearch.cli.lab.map import map_
from clipsearch.cli.lab.models import models
from clipsearch.cli.lab.precision import precision
from clipsearch.cli.lab.prompts import prompts
from clipsearch.cli.lab.space import space
from clipsearch.cli.lab.temperature import temperature

EPILOG = """\b
Plots need the extra [lab]: pip install 'clipsearch[lab]'

\b
Examples:
  clipsearch lab batches --output batches.html
  clipsearch lab prompts ~/data/cifar10/test --per-class 100
  clipsearch lab models
"""


@click.group("lab", epilog=EPILOG)
def command() -> None:
    """Experiments: what a model can do, why, and what it costs."""


for experiment in (batches, prompts, temperature, map_, space, cache, compare, models, precision):
    command.add_command(experiment)
