"""`clipsearch cluster`: work that several machines share, through Ray."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import click

from clipsearch.cli import output
from clipsearch.cli.arguments import Folder, filled
from clipsearch.cli.options import backend_option, chosen_paths, model_option, threads_of
from clipsearch.cli.progress import Report, reporter
from clipsearch.cli.sections import Verb
from clipsearch.cli.signals import interruptible
from clipsearch.cli.whole import tell_whole
from clipsearch.errors import Exit
from clipsearch.events import Summary, Troubled, WatchEvent

EPILOG = """\b
Examples:
  clipsearch cluster encode /mnt/photos --out /mnt/bundle
  clipsearch merge /mnt/bundle
"""

ENCODE_EPILOG = """\b
SOURCE is a folder of photos, a Parquet table with a column of paths or URIs
or of bytes, or a tar of pictures (WebDataset); here or in an object store.
Quote a pattern: 's3://archive/shards/*.tar'. Without --address this machine
is a cluster of its own. The same command goes on with what is missing.

\b
Examples:
  clipsearch cluster encode /mnt/photos --out /mnt/bundle
  clipsearch cluster encode s3://archive/2024 --out bundle --address 10.0.0.1:6379
  clipsearch cluster encode 'shards/*.tar' --out bundle --address auto --gpus 1
  clipsearch merge bundle
"""


@click.group("cluster", epilog=EPILOG)
def command() -> None:
    """Encode photos on several machines at once."""


@command.command("encode", cls=Verb, epilog=ENCODE_EPILOG)
@click.argument("words", nargs=-1, required=True, metavar="SOURCE...", callback=lambda _, parameter, given: given)
@click.option("--out", type=Folder(), required=True, metavar="DIR", help="The folder of the bundle that is written.")
@click.option(
    "--address",
    metavar="HOST:PORT",
    callback=filled,
    help="The Ray cluster, as `ray start --head` shows it; auto is the one that this machine belongs to.",
)
@click.option(
    "--actors",
    type=click.IntRange(1),
    metavar="N",
    help="Copies of the model; by default one a machine, or as many as the GPUs carry.",
)
@click.option(
    "--gpus",
    type=click.FloatRange(0),
    metavar="F",
    default=0.0,
    help="GPUs of each actor, as 1 or 0.5; by default none.",
)
@click.option(
    "--progress", type=click.Choice(["auto", "json", "none"]), default="auto", show_default=True, help="How to report."
)
@click.option("--strict", is_flag=True, help="End with 1 when a file could not be read.")
@model_option
@backend_option
@click.pass_context
def encode(
    context: click.Context,
    words: tuple[str, ...],
    out: Path,
    address: str | None,
    actors: int | None,
    gpus: float,
    progress: str,
    strict: bool,
    model: str,
    backend: str,
) -> int:
    """Encode photos of folders, tables, tars and object stores into a bundle."""
    from clipsearch.cluster.stores import check_installed

    check_installed()
    from clipsearch.cluster.driving import Job, encoded

    job = Job(
        words=words, out=out.absolute(), model=model, backend=backend, threads=threads_of(context), address=address,
        actors=actors, gpus=gpus,
    )  # fmt: skip
    summary = Summary()
    with interruptible() as interrupted, _reporter(progress) as report:
        for event in encoded(job, chosen_paths(context, None), partial(bool, interrupted)):
            report(event)
            if isinstance(event, Summary):
                summary = event
    if summary.interrupted:
        return Exit.INTERRUPTED
    tell_whole(out)
    return Exit.NOTHING_FOUND if strict and summary.failed else Exit.DONE


@contextmanager
def _reporter(kind: str) -> Iterator[Report]:
    """As of an index run; what died and is made up for is worth a line too."""
    with reporter(kind) as report:

        def told(event: WatchEvent) -> None:
            if isinstance(event, Troubled) and kind == "auto":
                output.tell(f"clipsearch: {event.message}\nhint: {event.hint}")
            else:
                report(event)

        yield told
