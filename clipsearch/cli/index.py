"""`clipsearch index`: makes the library equal to the folders. Ctrl-C finishes the batch; again, it leaves at once."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from clipsearch.cli import output
from clipsearch.cli.arguments import Folder, Named, filled
from clipsearch.cli.options import backend_option, files0_option, library_option, opened
from clipsearch.cli.progress import reporter
from clipsearch.cli.sections import Verb
from clipsearch.cli.signals import interruptible
from clipsearch.cli.suggest import model_names
from clipsearch.cli.timings import tell_timings
from clipsearch.cli.voice import is_verbose
from clipsearch.cli.whole import tell_whole
from clipsearch.errors import Exit, UsageError
from clipsearch.events import Summary

EPILOG = """\b
Left out by default: hidden names, @eaDir, trash folders, and what a file
.clipsearchignore (in .gitignore syntax) names. Photos are only ever read.

\b
Examples:
  clipsearch index ~/Photos /media/nas/scans
  clipsearch index ~/Photos --exclude "drafts/" --exclude "*.gif"
  find ~/Photos -newer last -print0 | clipsearch index --files0-from -
  clipsearch index                     brings all known folders up to date

\b
One of four machines, and then the one with the library (docs/bundles.md):
  clipsearch index --shard 2/4 --bundle /mnt/shared/bundles/2 /mnt/photos
  clipsearch merge /mnt/shared/bundles/*
"""


@click.command("index", cls=Verb, epilog=EPILOG)
@click.argument("folders", nargs=-1, type=Named(), metavar="[PATH]...")
@files0_option
@click.option(
    "--exclude", multiple=True, metavar="PATTERN", help="Leave out, in .gitignore syntax; remembered for the folder."
)
@click.option(
    "--model",
    metavar="NAME",
    callback=filled,
    shell_complete=model_names,
    help="The model to encode with; changing it encodes the whole library again.",
)
@click.option(
    "--workers", type=click.IntRange(1), metavar="N", help="Processes that decode photos; by default one a core."
)
@click.option(
    "--progress", type=click.Choice(["auto", "json", "none"]), default="auto", show_default=True, help="How to report."
)
@click.option("--timings", is_flag=True, help="Show where the time went, on stderr.")
@click.option(
    "--bundle",
    type=Folder(),
    metavar="DIR",
    help="Write what is encoded into this folder, for `clipsearch merge`, and not into the library.",
)
@click.option("--shard", metavar="I/N", callback=filled, help="With --bundle: only the I-th of N shares of the photos.")
@click.option("--watch", is_flag=True, help="Stay and follow the changes, as `clipsearch watch` does.")
@click.option("--strict", is_flag=True, help="End with 1 when a file could not be read.")
@backend_option
@library_option
@click.pass_context
def command(
    context: click.Context,
    folders: tuple[Path, ...],
    listed: tuple[Path, ...] | None,
    exclude: tuple[str, ...],
    model: str | None,
    workers: int | None,
    progress: str,
    timings: bool,
    bundle: Path | None,
    shard: str | None,
    watch: bool,
    strict: bool,
    backend: str,
    library: str | None,
) -> int:
    """Index photo folders, so that they can be searched."""
    if listed is not None:
        folders += listed
        if not folders:  # which would mean all known folders
            output.narrate("No path is listed, so nothing is indexed.")
            return Exit.DONE
    if shard is not None and bundle is None:
        raise UsageError("--shard says which share goes into a bundle.", "Name its folder: --bundle DIR")
    if watch and bundle is not None:
        raise UsageError("A bundle is written once; it cannot be watched.", "Leave out --watch, or --bundle.")
    summary = Summary()
    with (
        opened(context, library, backend) as opened_library,
        interruptible() as interrupted,
        reporter(progress) as report,
    ):
        stop = partial(bool, interrupted)
        if bundle is None:
            events = opened_library.index(folders, model=model, exclude=exclude, workers=workers, stop=stop)
        else:
            events = opened_library.bundle(
                bundle, folders, shard=shard or "1/1", model=model, exclude=exclude, workers=workers, stop=stop
            )
        for event in events:
            report(event)
            if isinstance(event, Summary):
                summary = event
        failures = opened_library.failures() if summary.failed and is_verbose() and bundle is None else []
    for one in failures:
        output.narrate(f"{output.shown(one.path)}: {output.printable(one.reason)}")
    if timings:
        tell_timings(summary)
    if summary.interrupted:
        return Exit.INTERRUPTED
    if bundle is not None:
        if summary.offline:
            output.narrate(f"{bundle} is not finished. Run the same command again when the disk is there.")
            return Exit.SYSTEM
        tell_whole(bundle)
    if watch:
        from clipsearch.cli.watch import keep_watching

        return keep_watching(context, library, backend, folders, workers=workers, progress=progress)
    if folders and len(summary.offline) == len(folders) and not summary.unchanged and not summary.indexed:
        return Exit.SYSTEM
    return Exit.NOTHING_FOUND if strict and summary.failed else Exit.DONE
