"""`clipsearch model pull`: fetches a model, after saying how much comes and under which licence."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from clipsearch.cli import output
from clipsearch.cli.arguments import filled
from clipsearch.cli.model.words import agreed
from clipsearch.cli.options import chosen_paths
from clipsearch.cli.sections import Verb
from clipsearch.cli.suggest import known_models
from clipsearch.cli.voice import is_quiet
from clipsearch.engine.store import is_installed
from clipsearch.errors import Exit, UsageError

if TYPE_CHECKING:  # numpy comes with it
    from clipsearch.engine.pulling.pull import Plan, Step

EPILOG = """\b
NAME is one of clipsearch model list, owner/repository of a model hub, or the
folder of a model in one of the layouts that hubs have; @REVISION may follow a
name. HF_ENDPOINT names another hub, HF_TOKEN opens private models,
HF_HUB_OFFLINE=1 forbids all of it.

\b
Examples:
  clipsearch model pull siglip2-b-32-256
  clipsearch model pull ViT-B-32__laion2b-s34b-b79k
  clipsearch model pull ~/Downloads/clip-vit-base-patch32
"""

_PLAIN_EVERY_S = 10.0


@click.command("pull", cls=Verb, epilog=EPILOG)
@click.argument("name", callback=filled, shell_complete=known_models)
@click.option("-y", "--yes", is_flag=True, help="Accept a licence that is for research only, without being asked.")
@click.pass_context
def pull(context: click.Context, name: str, yes: bool) -> int:
    """Fetch the model NAME; what has come is kept, and the same command goes on."""
    from clipsearch.engine.pulling.pull import planned, pulled, understood

    models = chosen_paths(context, None).models
    wish = understood(name, models)
    if is_installed(wish.name, models):  # scripts pull what they need without asking whether it is there
        output.narrate(f"{wish.name} is here already. Search with it: clipsearch model use {wish.name}")
        return Exit.DONE
    plan = planned(wish)
    output.narrate(
        f"{plan.name} · {output.size_text(plan.size)} in {len(plan.files)} files · licence: "
        f"{output.printable(plan.licence)}\nfrom {output.printable(plan.source.origin)}"
    )
    if plan.restricted and not yes and not _accepted(plan):
        output.narrate("Nothing was fetched.")
        return Exit.INTERRUPTED
    try:
        with _reporter() as report:
            for step in pulled(plan, models):
                report(step)
    except KeyboardInterrupt:
        output.tell("\nStopped. What has come is kept; the same command goes on.")
        return Exit.INTERRUPTED
    output.narrate(f"{plan.name} is here. Search with it: clipsearch model use {plan.name}")
    return Exit.DONE


def _accepted(plan: Plan) -> bool:
    answer = agreed("Its licence is for research only. Fetch it?")
    if answer is None:
        raise UsageError(
            f"The licence of {plan.name} is for research only; nothing was fetched.",
            f"Accept it with --yes: clipsearch model pull {plan.name} --yes",
        )
    return answer


@contextmanager
def _reporter() -> Iterator[Callable[[Step], None]]:
    if is_quiet():
        yield lambda step: None
    elif sys.stderr.isatty():
        with _live() as report:
            yield report
    else:
        yield _plain()


def _plain() -> Callable[[Step], None]:
    from clipsearch.engine.pulling.pull import Checking, Fetched

    last = time.monotonic()

    def report(step: Step) -> None:
        nonlocal last
        match step:
            case Fetched():
                if time.monotonic() - last >= _PLAIN_EVERY_S:
                    last = time.monotonic()
                    output.narrate(f"{output.size_text(step.done)} of {output.size_text(step.total)}")
            case Checking():
                output.narrate(f"checking: {output.printable(step.what)}")
            case _:
                output.narrate(f"waiting {step.seconds:.0f} s: {step.reason}")

    return report


@contextmanager
def _live() -> Iterator[Callable[[Step], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from clipsearch.engine.pulling.pull import Checking, Fetched

    console = Console(stderr=True, color_system="auto" if output.colored(sys.stderr) else None)
    room = max(0, console.width - 76)  # what bar, sizes, speed and time leave for the name of the file
    columns = (
        BarColumn(bar_width=16), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(),
        TextColumn("{task.fields[what]}", style="dim", markup=False),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True, refresh_per_second=8, redirect_stderr=False) as progress:
        task = progress.add_task("pull", total=None, what="")

        def report(step: Step) -> None:
            match step:
                case Fetched():
                    name = output.printable(step.path.rpartition("/")[2])[-room:] if room else ""
                    progress.update(task, completed=step.done, total=step.total, what=name)
                case Checking():
                    progress.update(task, what=f"checking: {output.printable(step.what)}"[: room + 20])
                case _:
                    progress.update(task, what=f"waiting {step.seconds:.0f} s: {step.reason}")

        yield report
