"""`clipsearch mcp`: search, similar and zsl as tools for assistants."""

from __future__ import annotations

import importlib.util

import click

from clipsearch.cli.options import chosen_paths, library_option
from clipsearch.cli.sections import Verb
from clipsearch.errors import Exit, UsageError

EPILOG = """\b
It speaks the Model Context Protocol on stdin and stdout; an assistant starts
it by itself, for example with
  {"mcpServers": {"photos": {"command": "clipsearch", "args": ["mcp"]}}}

\b
The tools search, similar and zsl answer with paths, relevances, dates and
labels. They change nothing, and send no pictures; what an assistant does with
the answers is its own.
"""


@click.command("mcp", cls=Verb, epilog=EPILOG)
@library_option
@click.pass_context
def command(context: click.Context, library: str | None) -> int:
    """Let assistants search, over the Model Context Protocol."""
    if importlib.util.find_spec("mcp") is None:
        raise UsageError("clipsearch mcp needs the extra mcp, which is not installed.", "pip install 'clipsearch[mcp]'")
    from clipsearch.service.mcp import run

    run(chosen_paths(context, library))
    return Exit.DONE
