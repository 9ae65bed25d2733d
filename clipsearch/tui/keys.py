"""The bindings of the program as a person reads them: for the help screen and the palette."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from textual.app import App
from textual.binding import Binding
from textual.dom import DOMNode


def described_bindings(node: DOMNode, keymap: Mapping[str, str]) -> Iterator[tuple[Binding, list[str]]]:
    """(binding, all its keys) of one node, in the order they are written down; `keymap` gives some other keys."""
    for binding in node.BINDINGS:
        if isinstance(binding, Binding) and binding.description:
            keys = keymap.get(binding.id or "", binding.key)
            yield binding, [key.strip() for key in keys.split(",")]


def unknown_action(nodes: Iterable[DOMNode], keymap: Mapping[str, str]) -> tuple[str, str] | None:
    """The first action in the keymap that no node has, and what to do about it; None when all are known."""
    known = [binding.id for node in nodes for binding in node.BINDINGS if isinstance(binding, Binding) and binding.id]
    for action in keymap:
        if action not in known:
            near = difflib.get_close_matches(action, known, n=1)
            did = f"Did you mean {near[0]}? " if near else ""
            return f'[keys] names no action "{action}".', f"{did}? shows every key with the name of its action."
    return None


def shown_keys(app: App[Any], binding: Binding, keys: Sequence[str]) -> str:
    """The keys as they stand on a keyboard: "↑ k"."""
    names = [app.get_key_display(Binding(key, binding.action)) for key in keys]
    return " ".join("␣" if name == "space" else name for name in names)
