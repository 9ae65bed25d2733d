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
from clipsearch.cli.lab.report import report
from clipsearch.cli.lab.space import space
from clipsearch.cli.lab.temperature import temperature

EPILOG = """\b
Plots need the extra [lab]: pip install 'clipsearch[lab]'

\b
Examples:
  clipsearch lab models
  clipsearch lab map --output map.html
  clipsearch lab prompts ~/data/cifar10/test --per-class 100
  clipsearch lab report ~/data/pets --output report.html
"""


@click.group("lab", epilog=EPILOG)
def command() -> None:
    """Experiments: what a model can do, why, and what it costs."""


for experiment in (models, prompts, temperature, space, map_, cache, precision, batches, compare, report):
    command.add_command(experiment)
