"""What the command palette offers: every key's action by its words, saved searches, indexing, the theme."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.types import IgnoreReturnCallbackType

from clipsearch.errors import ClipsearchError
from clipsearch.tui.keys import described_bindings, shown_keys
from clipsearch.tui.screens.search import SearchScreen
from clipsearch.tui.telling import tell_error
from clipsearch.types import SavedSearch


class _Command(NamedTuple):
    name: str
    help: str
    call: IgnoreReturnCallbackType


class Commands(Provider):
    """For the search screen; other screens have none."""

    _saved: tuple[SavedSearch, ...] = ()

    async def startup(self) -> None:
        if isinstance(self.screen, SearchScreen):
            try:
                self._saved = tuple(await self.screen.bar.saved_searches())
            except ClipsearchError as error:
                tell_error(self.app, error)

    async def discover(self) -> Hits:
        for command in self._commands():
            yield DiscoveryHit(command.name, command.call, help=command.help)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for command in self._commands():
            if (score := matcher.match(command.name)) > 0:
                yield Hit(score, matcher.highlight(command.name), command.call, help=command.help)

    def _commands(self) -> Iterator[_Command]:
        screen = self.screen
        if not isinstance(screen, SearchScreen):
            return
        for saved in self._saved:
            yield _Command(f"@{saved.name}", saved.query, partial(screen.bar.ask_for, f"@{saved.name}"))
        for node in (screen.results, screen.browser, screen, self.app):
            for binding, keys in described_bindings(node, screen.keys):
                if (binding.id or "").startswith("move."):
                    continue  # nobody moves by a palette
                call = partial(self.app.run_action, binding.action, node)
                yield _Command(binding.description.capitalize(), shown_keys(self.app, binding, keys), call)
        yield _Command("Bring all folders up to date", "Index what has changed", partial(screen.want_indexing, ()))
        yield _Command("Stop indexing", "What was indexed is kept", screen.stop_indexing)
        yield _Command("Choose a theme", "Colours of the interface", self.app.action_change_theme)
        for saved in self._saved:
            yield _Command(f"Forget @{saved.name}", saved.query, partial(screen.bar.forget, saved.name))
