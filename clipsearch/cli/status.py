"""`clipsearch status`: what the library holds and how it answers."""

from __future__ import annotations

from dataclasses import asdict

import click

from clipsearch.cli import output
from clipsearch.cli.options import answering, library_option
from clipsearch.cli.sections import Verb
from clipsearch.errors import Exit
from clipsearch.printable import percent
from clipsearch.types import Status


@click.command("status", cls=Verb, epilog="\b\nExamples:\n  clipsearch status\n  clipsearch status --json | jq .photos")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, exact and complete.")
@library_option
@click.pass_context
def command(context: click.Context, as_json: bool, library: str | None) -> int:
    """Show what the library holds."""
    with answering(context, library) as asked_library:
        status = asked_library.status()
    if as_json:
        output.write_json(_fields(status))
    else:
        _table(status)
    return Exit.DONE


def _fields(status: Status) -> dict[str, object]:
    return {
        "library": status.library,
        "photos": status.photos,
        "files": status.files,
        "failed": status.failed,
        "roots": [
            {**output.path_fields(root.path), "files": root.files, "online": root.online, "checked_at": root.checked_at}
            for root in status.roots
        ],
        "model": status.model,
        "variant": status.variant,
        "space": asdict(status.space) if status.space else None,
        "checkpoint": asdict(status.checkpoint),
        "text_cache": {**asdict(status.text_cache), "hit_rate": round(status.text_cache.hit_rate, 4)},
    }


def _table(status: Status) -> None:
    unread = f", {status.failed:,} not readable (clipsearch errors)" if status.failed else ""
    click.echo(f"Library   {status.library}")
    click.echo(f"          {status.photos:,} photos in {status.files:,} files{unread}")
    for title, root in zip(["Roots"] + [""] * len(status.roots), status.roots, strict=False):
        state = "" if root.online else "  offline; its photos stay searchable"
        seen = root.checked_at[:16].replace("T", " ")
        click.echo(f"{title:<10}{output.shown(root.path)}  {root.files:,} files, seen {seen} UTC{state}")
    dimensions = f" · {status.space.dim} dimensions" if status.space else ""
    variant = f" · {status.variant}" if status.variant else ""
    click.echo(f"Model     {status.model}{dimensions}{variant}")
    checkpoint = status.checkpoint
    number = (
        f"checkpoint {checkpoint.generation} ({checkpoint.rows:,} rows)" if checkpoint.generation else "no checkpoint"
    )
    tail = f" · {checkpoint.tail:,} newer" if checkpoint.tail else ""
    click.echo(f"Index     {number}{tail} · {checkpoint.state}")
    cache = status.text_cache
    click.echo(
        f"Queries   {cache.entries:,} text{'' if cache.entries == 1 else 's'} cached, "
        f"{cache.hits:,} hits of {cache.hits + cache.misses:,} ({percent(cache.hit_rate).strip()})"
    )
    from clipsearch.engine.store import DEFAULT_MODEL  # not for --json, which a running service answers in no time

    if status.model == DEFAULT_MODEL:
        click.echo(
            "Better    clipsearch model list shows what finds more, what it costs, and the command that brings it"
        )
