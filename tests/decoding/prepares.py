"""Prepares that misbehave inside a decode worker. Picklable, so that the worker's process can import them."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from typing import ClassVar

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


@dataclass(frozen=True)
class KillItselfOnce(Wrapped):
    """As when a neighbour has taken the memory: the next time all is well."""

    marker: str = ""

    def misbehave(self) -> None:
        if not os.path.exists(self.marker):
            open(self.marker, "x").close()
            os.kill(os.getpid(), signal.SIGKILL)


class KillTheRun(Wrapped):
    """As when the kernel, short of memory, ends the process that asked."""

    def misbehave(self) -> None:
        os.kill(os.getppid(), signal.SIGKILL)


class Work(Wrapped):
    """Takes 10 ms of a core for each photo."""

    def __call__(self, image: Image) -> bytes:
        work()
        return self.prepare(image)


def work() -> None:
    started = time.process_time()
    while time.process_time() < started + 0.01:
        pass


class Leak(Wrapped):
    """Keeps 30 MB of each photo, and answers with the process it runs in."""

    kept: ClassVar[list[bytes]] = []

    def __call__(self, image: Image) -> bytes:
        self.kept.append(os.urandom(1 << 20) * 30)
        return b"%d" % os.getpid()


class Flood(Wrapped):
    """Takes a gigabyte that no header spoke of."""

    def misbehave(self) -> None:
        bytearray(1 << 30)


class Wait(Wrapped):
    """As on a share that does not answer."""

    def misbehave(self) -> None:
        time.sleep(600)


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

        memory, cores = resource.getrlimit(resource.RLIMIT_AS)[0], resource.getrlimit(resource.RLIMIT_CPU)[0]
        return b" ".join(b"%d" % fact for fact in (os.getpid(), os.getpgid(0), os.getsid(0), memory, cores))

    @staticmethod
    def read(pixels: bytes) -> list[int]:
        return [int(fact) for fact in pixels.split()]
