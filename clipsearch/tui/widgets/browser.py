"""Results and preview side by side, and what can be done with photos: open, reveal, copy a path, export, copies.

Fetches pictures and details for both. What is asked, and why these photos are here, is the screen's.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, TypeVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal

from clipsearch.deeds import listed, opened, opener, placed, reveal
from clipsearch.errors import SystemFault
from clipsearch.pictures.blocks import RGB
from clipsearch.printable import shown
from clipsearch.tui.desk import Desk
from clipsearch.tui.picture import Picture
from clipsearch.tui.screens.export import Export, ExportScreen
from clipsearch.tui.screens.listing import ListingScreen
from clipsearch.tui.telling import tell, tell_error
from clipsearch.tui.widgets.preview import Preview
from clipsearch.tui.widgets.results import Results

Done = TypeVar("Done")

_BATCH = 8  # pictures fetched at once: enough to keep the decode workers busy
_SETTLED_S = 0.05  # a cursor that moves on sooner passes by
_MANY = 20  # photos that nobody opens at once but by accident


class Browser(Horizontal):
    """The photos found, with one of them large where there is room."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("o", "open", "open", show=False, id="photo.open-with-system"),
        Binding("R", "reveal", "show in its folder", show=False, id="photo.reveal"),
        Binding("y", "copy", "copy path", show=False, id="photo.copy-path"),
        Binding("e", "export", "export", show=False, id="photo.export"),
        Binding("d", "copies", "duplicates of this photo", show=False, id="photo.duplicates"),
    ]
    DEFAULT_CSS = """
    Browser > Results { width: 1fr; }
    """

    def __init__(self, desk: Desk, *, shows_pictures: bool) -> None:
        super().__init__()
        self._desk = desk
        self.results = Results(shows_pictures=shows_pictures)
        self.preview = Preview(shows_pictures=shows_pictures)

    def compose(self) -> ComposeResult:
        yield self.results
        yield self.preview

    # -- pictures and details ---------------------------------------------------------------------

    @on(Results.Lacking)
    def _fill_results(self, event: Results.Lacking) -> None:
        self._paint_results(event)

    @work(exclusive=True, group="pictures")
    async def _paint_results(self, lacking: Results.Lacking) -> None:
        """A new wish replaces the old one: what is in sight now comes first."""
        try:
            for start in range(0, len(lacking.wanted), _BATCH):
                batch = lacking.wanted[start : start + _BATCH]
                for wanted, picture in await self._desk.paint(batch, self._ground):
                    self._transmit(picture)
                    self.results.put(wanted, picture)
        except Exception as error:  # the boundary of this worker
            tell_error(self.app, error)

    @on(Results.Moved)
    def _show_in_preview(self, event: Results.Moved) -> None:
        self.preview.show(event.hit)

    @on(Preview.Lacking)
    def _fill_preview(self, event: Preview.Lacking) -> None:
        self._describe(event)

    @work(exclusive=True, group="preview")
    async def _describe(self, lacking: Preview.Lacking) -> None:
        hit = lacking.hit
        try:
            await asyncio.sleep(_SETTLED_S)
            details, is_there, painted = await asyncio.gather(
                self._desk.ask(lambda library: library.photo(hit.path)),
                asyncio.to_thread(os.path.exists, hit.path),
                self._desk.paint([lacking.wanted], self._ground),
            )
            self._transmit(painted[0][1])
            self.preview.fill(hit, details, painted[0][1], is_gone=not is_there)  # at once: each is a screen drawn anew
        except Exception as error:  # the boundary of this worker
            tell_error(self.app, error)

    def _transmit(self, picture: Picture) -> None:
        # Textual has no public way to write past the screen; its own clipboard goes this way too.
        if picture.transmission and self.app._driver is not None:
            self.app._driver.write(picture.transmission)

    @property
    def _ground(self) -> RGB:
        color = self.background_colors[1]
        return color.r, color.g, color.b

    # -- what is done with photos -----------------------------------------------------------------

    @on(Results.Opened)
    def action_open(self) -> None:
        paths = [hit.path for hit in self.results.chosen]
        if len(paths) > _MANY:
            tell(
                self.app,
                f"{len(paths):,} photos are selected; {_MANY} are opened at once at most.",
                "Esc selects none.",
            )
        elif paths:
            self._do(lambda: _open(paths))

    def action_reveal(self) -> None:
        if hit := self.results.hit:
            self._do(lambda: _reveal(hit.path))

    def action_copy(self) -> None:
        """Puts paths into the clipboard by OSC 52, which reaches the terminal through SSH too."""
        paths = [hit.path for hit in self.results.chosen]
        if not paths:
            return
        self.app.copy_to_clipboard("\n".join(path.decode("utf-8", "backslashreplace") for path in paths))
        name = shown(os.path.basename(paths[0]))
        tell(self.app, f"Copied the path of {name}." if len(paths) == 1 else f"Copied {len(paths):,} paths.")

    @work
    async def action_export(self) -> None:
        paths = [hit.path for hit in self.results.chosen]
        export = await self.app.push_screen_wait(ExportScreen(len(paths))) if paths else None
        if export is None:
            return
        told = await self._done(lambda: _exported(paths, export))
        if told is not None:
            tell(self.app, *told, is_error=bool(told[1]))

    @work
    async def action_copies(self) -> None:
        """The files with the same content, and those found of the same moment; Enter on one opens it."""
        hit = self.results.hit
        if hit is None:
            return
        behind = self.results.behind(hit)
        if not behind:
            tell(self.app, f"{shown(os.path.basename(hit.path))} is there once.")
            return
        rows = [(hit.path, ""), *behind]
        what = "of this moment" if len(behind) > len(hit.copies) else "with this content"
        screen = ListingScreen(f"{len(rows)} files {what}", rows, enter="open")
        path = await self.app.push_screen_wait(screen)
        if path is not None:
            self._do(lambda: _open([path]))

    @work
    async def _do(self, deed: Callable[[], None]) -> None:
        await self._done(deed)

    async def _done(self, deed: Callable[[], Done]) -> Done | None:
        """What `deed` returns, off the loop; None when it fails, which is told."""
        try:
            return await asyncio.to_thread(deed)
        except Exception as error:  # the boundary of this worker
            tell_error(self.app, error)
            return None


def _open(paths: Sequence[bytes]) -> None:
    """Raises SystemFault for a photo that is gone or that the system's program does not open."""
    for path in paths:
        _check_there(path)
    for path, code in opened(paths):
        raise _not_opened(path, code)


def _reveal(path: bytes) -> None:
    _check_there(path)
    if code := reveal(path):
        raise _not_opened(path, code)


def _check_there(path: bytes) -> None:
    if not os.path.exists(path):
        raise SystemFault(
            f"{shown(path)} is not there.", "Plug in its disk, or bring the library up to date: clipsearch index"
        )


def _not_opened(path: bytes, code: int) -> SystemFault:
    return SystemFault(f"{opener()} could not open {shown(path)} (it ended with {code}).", "y copies the path.")


def _exported(paths: Sequence[bytes], export: Export) -> tuple[str, str]:
    """What was made, and what of it failed, in words. Raises SystemFault for a folder that cannot be written."""
    folder = Path(os.path.abspath(os.path.expanduser(export.folder)))
    if export.kind == "list":
        return f"{len(paths):,} path{'' if len(paths) == 1 else 's'} in {listed(paths, folder)}", ""
    done = list(placed(paths, export.kind, folder))
    failed = [one for one in done if one.target is None]
    missing = f"{len(failed):,} left out: {shown(failed[0].photo)}: {failed[0].reason}" if failed else ""
    count = len(done) - len(failed)
    what = {"copy": ("copy", "copies"), "link": ("link", "links")}[export.kind][count != 1]
    return f"{count:,} {what} in {folder}", missing
