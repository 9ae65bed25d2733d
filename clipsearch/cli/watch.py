"""`clipsearch watch`: follow the folders, so that what is searched is what is on the disk."""

from __future__ import annotations

import signal
from pathlib import Path

import click

from clipsearch.cli.arguments import Named
from clipsearch.cli.following import following
from clipsearch.cli.options import backend_option, chosen_paths, library_option, opened, threads_of
from clipsearch.cli.sections import Verb
from clipsearch.cli.signals import interruptible
from clipsearch.errors import Exit

EPILOG = """\b
It needs no attention: what changes is in the library within seconds. How each
folder is watched is in `clipsearch status`. Ctrl-C ends it; so does SIGTERM,
with exit code 0. Of disks that come and go: docs/watching.md.

\b
Examples:
  clipsearch watch
  clipsearch watch ~/Photos /media/nas/scans
  clipsearch watch --poll 60 /media/nas/scans
  clipsearch watch --print-service > ~/.config/systemd/user/clipsearch.service
"""


@click.command("watch", cls=Verb, epilog=EPILOG)
@click.argument("folders", nargs=-1, type=Named(), metavar="[PATH]...")
@click.option(
    "--exclude", multiple=True, metavar="PATTERN", help="Leave out, in .gitignore syntax; remembered for the folder."
)
@click.option(
    "--poll",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    help="Look at the folders so often instead of waiting for events.",
)
@click.option(
    "--workers", type=click.IntRange(1), metavar="N", help="Processes that decode photos; by default one a core."
)
@click.option(
    "--progress", type=click.Choice(["auto", "json", "none"]), default="auto", show_default=True, help="How to report."
)
@click.option(
    "--print-service", is_flag=True, help="Print a systemd user unit, or a launchd agent on macOS, that runs this."
)
@backend_option
@library_option
@click.pass_context
def command(
    context: click.Context,
    folders: tuple[Path, ...],
    exclude: tuple[str, ...],
    poll: float | None,
    workers: int | None,
    progress: str,
    print_service: bool,
    backend: str,
    library: str | None,
) -> int:
    """Index photo folders, and follow what changes in them."""
    if print_service:
        from clipsearch.watching.units import service_text

        options = ["--backend", backend] if backend != "auto" else []
        options += ["--threads", str(threads)] if (threads := threads_of(context)) else []
        options += ["--poll", f"{poll:g}"] if poll is not None else []
        options += ["--workers", str(workers)] if workers is not None else []
        options += [word for pattern in exclude for word in ("--exclude", pattern)]
        click.echo(service_text(chosen_paths(context, library), options, [str(one.absolute()) for one in folders]))
        return Exit.DONE
    return keep_watching(
        context, library, backend, folders, exclude=exclude, workers=workers, poll_s=poll, progress=progress
    )


def keep_watching(
    context: click.Context,
    library: str | None,
    backend: str,
    folders: tuple[Path, ...],
    *,
    exclude: tuple[str, ...] = (),
    workers: int | None,
    poll_s: float | None = None,
    progress: str,
) -> int:
    """Watches until a signal comes. The exit code: a service manager that ends it has no reason to see a failure."""
    with (
        opened(context, library, backend) as opened_library,
        interruptible("Stopping; what was found is kept.") as received,
        following(progress) as report,
    ):
        for event in opened_library.watch(
            folders, exclude=exclude, workers=workers, poll_s=poll_s, stop=lambda: bool(received)
        ):
            report(event)
    return Exit.INTERRUPTED if received[:1] == [signal.SIGINT] else Exit.DONE
