"""What widgets may ask for without blocking: answers of the library, pictures of photos."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from clipsearch.config import Paths
from clipsearch.pictures.blocks import RGB
from clipsearch.tui.asking import Asker
from clipsearch.tui.picture import Medium, Picture, Wanted, painted

if TYPE_CHECKING:  # numpy and what hangs on it load in the threads, after the first paint
    from clipsearch.library import Library

Answered = TypeVar("Answered")


class Desk:
    """Two threads with a library each: one for questions, one for thumbnails, so that neither waits for the other."""

    def __init__(self, paths: Paths, backend: str, threads: int, medium: Medium) -> None:
        self._medium = medium
        self._questions = Asker(paths, backend, threads, "questions")
        self._thumbnails = Asker(paths, backend, threads, "thumbnails")

    async def ask(self, call: Callable[[Library], Answered]) -> Answered:
        """What `call` returns. Raises what it raises."""
        return await self._questions.ask(call)

    async def paint(self, wanted: Sequence[Wanted], ground: RGB) -> list[tuple[Wanted, Picture]]:
        """Pictures of different photos, on the `ground` of the screen."""
        by_path = {one.path: one for one in wanted}

        def call(library: Library) -> list[tuple[Wanted, Picture]]:
            return [
                (by_path[path], painted(thumbnail, by_path[path], ground, self._medium))
                for path, thumbnail in library.thumbnails(list(by_path))
            ]

        return await self._thumbnails.ask(call)

    async def close(self) -> None:
        await self._questions.close()
        await self._thumbnails.close()
