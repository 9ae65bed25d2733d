"""`clipsearch status`: what the library holds and how it answers."""

from __future__ import annotations

from dataclasses import asdict

import click

from clipsearch.cli import output
from clipsearch.cli.following import how_watched
from clipsearch.cli.moments import ago, lasting
from clipsearch.cli.options import answering, library_option
from clipsearch.cli.sections import Verb
from clipsearch.config import SHARED_PREFIX
from clipsearch.errors import Exit
from clipsearch.printable import percent
from clipsearch.types import RootStatus, Status, WatcherStatus, Watching


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
            {
                **output.path_fields(root.path),
                "files": root.files,
                "online": root.online,
                "checked_at": root.checked_at,
                "offline_since": root.offline_since,
                "watched": _watched_fields(root.watched),
            }
            for root in status.roots
        ],
        "watcher": _watcher_fields(status.watcher),
        "model": status.model,
        "variant": status.variant,
        "space": asdict(status.space) if status.space else None,
        "checkpoint": asdict(status.checkpoint),
        "text_cache": {**asdict(status.text_cache), "hit_rate": round(status.text_cache.hit_rate, 4)},
    }


def _watched_fields(watching: Watching | None) -> dict[str, object] | None:
    if watching is None:
        return None
    fields = asdict(watching)
    del fields["root"]
    return fields


def _watcher_fields(watcher: WatcherStatus | None) -> dict[str, object] | None:
    if watcher is None:
        return None
    fields = asdict(watcher)
    del fields["roots"]  # each is with its root
    return fields


def _state(root: RootStatus) -> str:
    """How a root is kept current, and when it was last looked at."""
    seen = f"seen {ago(root.checked_at)}"
    if not root.online:
        gone = f" {lasting(root.offline_since)}" if root.offline_since else ""
        return f"offline{gone}; its photos stay searchable"
    return f"{how_watched(root.watched)}, {seen}" if root.watched else f"{seen}, not watched"


def _table(status: Status) -> None:
    unread = f", {status.failed:,} not readable (clipsearch errors)" if status.failed else ""
    _say("Library", status.library)
    _say("", f"{status.photos:,} photos in {status.files:,} files{unread}")
    for title, root in zip(["Roots"] + [""] * len(status.roots), status.roots, strict=False):
        _say(title, f"{output.shown(root.path)}  {root.files:,} files, {_state(root)}")
    if (watcher := status.watcher) is not None:
        test = f"it polls: {output.printable(watcher.self_test)}" if watcher.self_test else "its self-test passed"
        _say("Watcher", f"process {watcher.pid} {lasting(watcher.since)} · {test}")
    dimensions = f" · {status.space.dim} dimensions" if status.space else ""
    variant = f" · {status.variant}" if status.variant else ""
    _say("Model", f"{status.model}{dimensions}{variant}")
    checkpoint = status.checkpoint
    number = (
        f"checkpoint {checkpoint.generation} ({checkpoint.rows:,} rows)" if checkpoint.generation else "no checkpoint"
    )
    tail = f" · {checkpoint.tail:,} newer" if checkpoint.tail else ""
    _say("Index", f"{number}{tail} · {checkpoint.state}")
    cache = status.text_cache
    texts = f"{cache.entries:,} text{'' if cache.entries == 1 else 's'} cached"
    hits = f"{cache.hits:,} hits of {cache.hits + cache.misses:,} ({percent(cache.hit_rate).strip()})"
    _say("Queries", f"{texts}, {hits}")
    from clipsearch.engine.store import DEFAULT_MODEL  # not for --json, which a running service answers in no time

    if status.model == DEFAULT_MODEL and not status.library.startswith(SHARED_PREFIX):
        _say("Better", "clipsearch model list shows what finds more, what it costs, and the command that brings it")


def _say(title: str, text: str) -> None:
    output.say(f"{title:<10}{text}", hanging=" " * 10)
