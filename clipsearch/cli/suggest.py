"""What a shell is offered at TAB: filters of the query language, saved searches, models.

Runs while somebody types, so it imports what it needs and nothing more, and is silent where it knows nothing.
"""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from clipsearch.config import Paths, resolved_paths
from clipsearch.errors import ClipsearchError

Items = list[CompletionItem[str]]


def query_words(context: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
    """The keys of filters, their values where these are few, and saved searches after an @."""
    from clipsearch.query import KEYS

    if incomplete.startswith("@"):
        return [
            CompletionItem(f"@{item.value}", help=item.help) for item in saved_names(context, parameter, incomplete)
        ]
    key, colon, value = incomplete.partition(":")
    if colon:
        values = next((one.values for one in KEYS if one.key == key), ())
        return [CompletionItem(f"{key}:{known}") for known in values if known.startswith(value)]
    offered = [(one.key, one.meaning) for one in KEYS]
    offered += [("not", "drops photos that show it"), ("like", "looks like that picture")]
    return [CompletionItem(f"{name}:", help=meaning) for name, meaning in offered if name.startswith(incomplete)]


def saved_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
    """Names of saved searches, without their @."""
    from clipsearch.library import Library

    typed = incomplete.removeprefix("@")
    try:
        with Library(_paths(context)) as library:
            searches = library.saved_searches()
    except ClipsearchError:
        return []
    return [CompletionItem(one.name, help=one.query) for one in searches if one.name.startswith(typed)]


def model_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
    from clipsearch.engine.store import available_models, model_handle

    try:
        models = _paths(context).models
        cards, _ = available_models(models)
    except ClipsearchError:
        return []
    names = [(model_handle(card, models), card.summary) for card in cards]
    return [CompletionItem(name, help=summary) for name, summary in names if name.startswith(incomplete)]


def known_models(context: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
    """Models that are here or can be fetched."""
    from clipsearch.engine.pulling.catalogue import catalogue

    ready = [CompletionItem(entry.name, help=entry.title) for entry in catalogue() if entry.repository]
    here = model_names(context, parameter, incomplete)
    return here + [
        one for one in ready if one.value.startswith(incomplete) and one.value not in {h.value for h in here}
    ]


def _paths(context: click.Context) -> Paths:
    """No verb runs while completing, so the settings are resolved here."""
    at: click.Context | None = context
    while at is not None:
        if at.params.get("library"):
            return resolved_paths(at.params["library"])
        at = at.parent
    return resolved_paths(None)
