"""Prepares that misbehave inside a decode worker. Picklable, so that the worker's process can import them."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

from PIL.Image import Image

from clipsearch.engine.preprocess import Preprocess


@dataclass(frozen=True)
class Wrapped:
    prepare: Preprocess
    width: int = 0  # px: the picture to misbehave at

    @property
    def size(self) -> int:
        return self.prepare.size

    def __call__(self, image: Image) -> bytes:
        if image.width == self.width:
            self.misbehave()
        return self.prepare(image)

    def misbehave(self) -> None:
        raise NotImplementedError


class KillItself(Wrapped):
    def misbehave(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Hang(Wrapped):
    def misbehave(self) -> None:
        while True:
            pass


class Print(Wrapped):
    def __call__(self, image: Image) -> bytes:
        print("a warning of a codec", flush=True)
        os.write(1, b"another one\n")
        return self.prepare(image)


class ProcessFacts(Wrapped):
    """Answers with facts about the worker's process instead of pixels."""

    def __call__(self, image: Image) -> bytes:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        return b" ".join(b"%d" % fact for fact in (os.getpid(), os.getpgid(0), os.getsid(0), limit))

    @staticmethod
    def read(pixels: bytes) -> list[int]:
        return [int(fact) for fact in pixels.split()]
