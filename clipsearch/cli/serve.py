"""`clipsearch serve`: keep the library open for this program, editors and scripts."""

from __future__ import annotations

import contextlib
import signal

import click

from clipsearch.cli import output
from clipsearch.cli.options import chosen_paths, library_option
from clipsearch.cli.sections import Verb
from clipsearch.errors import Exit

EPILOG = """\b
While it runs, it answers search, similar, zsl and status; they find it by
themselves. Other programs ask it in JSON over HTTP, as docs/service.md says.

\b
Examples:
  clipsearch serve &
  clipsearch serve --idle 0
  clipsearch serve --port 8765
"""


@click.command("serve", cls=Verb, epilog=EPILOG)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="N",
    help="Listen on this port of 127.0.0.1 instead of a Unix socket; 0 takes a free one.",
)
@click.option(
    "--idle",
    type=click.FloatRange(0),
    default=900,
    show_default=True,
    metavar="SECONDS",
    help="End when nothing was asked for so long; 0 for never.",
)
@library_option
@click.pass_context
def command(context: click.Context, port: int | None, idle: float, library: str | None) -> int:
    """Keep the library open, so that searches answer at once."""
    from clipsearch.service.server import serve

    paths = chosen_paths(context, library)

    def ready(place: str) -> None:
        ends = f"after {idle:g} s without a question, or with Ctrl-C" if idle else "with Ctrl-C"
        output.narrate(f"{output.printable(paths.named)} is served on {output.printable(place)} and ends {ends}.")

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # it ends the service as Ctrl-C does
    with contextlib.suppress(KeyboardInterrupt):  # the way to end it, not an interruption
        serve(paths, port=port, idle_s=idle, ready=ready)
    return Exit.DONE
