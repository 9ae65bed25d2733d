"""The bindings of the program as a person reads them: for the help screen and the palette."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from textual.app import App
from textual.binding import Binding
from textual.dom import DOMNode


def described_bindings(node: DOMNode) -> Iterator[tuple[Binding, list[str]]]:
    """(binding, all its keys) of one node, in the order they are written down."""
    for binding in node.BINDINGS:
        if isinstance(binding, Binding) and binding.description:
            yield binding, [key.strip() for key in binding.key.split(",")]


def shown_keys(app: App[Any], binding: Binding, keys: Sequence[str]) -> str:
    """The keys as they stand on a keyboard: "↑ k"."""
    names = [app.get_key_display(Binding(key, binding.action)) for key in keys]
    return " ".join("␣" if name == "space" else name for name in names)
