"""A dialog for choosing a folder of photos to index; what somebody sees who has none indexed yet."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

import platformdirs
from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, DirectoryTree, Input, Static

from clipsearch.tui.screens.dialog import Dialog

WELCOME = (
    "Nothing is indexed yet. Choose the folder with your photos: they are only ever read, nothing leaves this machine, "
    "and you can search while it runs."
)
FURTHER = "Photos in it are read once; you can search while it runs. A folder that is known is brought up to date."


def likely_folder() -> Path:
    """Where the photos of a person probably lie: the first usual folder there is, or home."""
    home = Path.home()
    usual = [Path(platformdirs.user_pictures_dir()), home / "Pictures", home / "Photos"]
    return next((folder for folder in usual if folder.is_dir()), home)


class Folders(DirectoryTree):
    """Folders only, without the hidden ones."""

    ICON_NODE = "▸ "  # characters of every font, where emoji are boxes on some terminals
    ICON_NODE_EXPANDED = "▾ "

    def filter_paths(self, paths: Iterable[Path]) -> Iterable[Path]:
        return [path for path in paths if not path.name.startswith(".") and path.is_dir()]


class FolderScreen(Dialog[Path]):
    """Ends with a folder that is there."""

    DEFAULT_CSS = """
    FolderScreen > .box { height: 90%; max-height: 30; }
    FolderScreen Folders { height: 1fr; margin: 1 0; background: transparent; padding: 0; }
    FolderScreen Horizontal { height: 1; }
    FolderScreen Button { margin-right: 2; }
    FolderScreen #wrong { color: $error; display: none; }
    """

    def __init__(self, words: str) -> None:
        super().__init__()
        self._words = Static(words, classes="hint", markup=False)

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = "Index a folder"
            box.border_subtitle = "⏎ index · tab the tree below · esc later"
            yield self._words
            yield Input(compact=True)
            yield Static(id="wrong", markup=False)
            with Horizontal():
                yield Button("Index this folder", variant="primary", compact=True, id="go")
                yield Button("Later", compact=True, id="later")

    def on_mount(self) -> None:
        self._propose()

    def say(self, words: str) -> None:
        """Says this above the line; what is typed there stays."""
        self._words.update(words)

    @work
    async def _propose(self) -> None:
        folder = await asyncio.to_thread(likely_folder)
        line = self.query_one(Input)
        line.value = str(folder)
        line.cursor_position = len(line.value)
        await self.query_one(".box").mount(Folders(Path.home()), after="#wrong")
        line.focus()

    @on(DirectoryTree.DirectorySelected)
    def take(self, event: DirectoryTree.DirectorySelected) -> None:
        self.query_one(Input).value = str(event.path)

    @on(Input.Submitted)
    @on(Button.Pressed, "#go")
    @work(exclusive=True)
    async def end(self) -> None:
        folder = Path(self.query_one(Input).value.strip()).expanduser()
        if await asyncio.to_thread(folder.is_dir):
            self.dismiss(folder)
            return
        wrong = self.query_one("#wrong", Static)
        wrong.update(f"There is no folder {folder}.")
        wrong.display = True

    @on(Button.Pressed, "#later")
    def leave(self) -> None:
        self.dismiss(None)
