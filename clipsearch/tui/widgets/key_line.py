"""The keys that work now, in one line; each can be clicked."""

from __future__ import annotations

from textual.content import Content
from textual.keys import REPLACED_KEYS, key_to_character
from textual.screen import Screen
from textual.style import Style
from textual.widgets import Static


class KeyLine(Static):
    """One line instead of Textual's Footer, whose widgets are made anew whenever the focus moves."""

    DEFAULT_CSS = """
    KeyLine {
        height: 1; padding: 0 1; background: $panel; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis;
        link-style: none; link-style-hover: reverse; link-color: $text-muted;
        link-background-hover: transparent; link-color-hover: $text;
    }
    """

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def _changed(self, screen: Screen[object]) -> None:
        seen: set[str] = set()
        parts: list[Content] = []
        focused = screen.focused
        for _, binding, enabled, _ in screen.active_bindings.values():
            if not (binding.show and enabled) or binding.action in seen:
                continue
            # "slash" is a name of Textual; the character is looked up by that of Unicode, "solidus".
            character = key_to_character(REPLACED_KEYS.get(binding.key, binding.key))
            if focused is not None and focused.check_consume_key(binding.key, character):
                continue  # there it types itself
            seen.add(binding.action)
            key = self.app.get_key_display(binding)
            click = Style.from_meta({"@click": f"app.simulate_key('{binding.key}')"})
            parts.append(
                Content.styled(key, Style(bold=True) + click) + Content.styled(f" {binding.description}", click)
            )
        self.update(Content("  ").join(parts), layout=False)
