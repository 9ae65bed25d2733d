"""What a decode worker and its parent say to each other, and how it goes through a pipe: pickled, its length first.

Apart from worker.py, which is run as a program: what it defines would be unknown to its parent.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import IO

from clipsearch.types import Decoded, Failure, Prepare


@dataclass(frozen=True, slots=True)
class Task:
    """The first message to a worker: what it does with each file, and what one may take."""

    prepare: Prepare
    file_bytes: int


@dataclass(frozen=True, slots=True)
class Needs:
    """What the pixels will take, by the header."""

    bytes: int


@dataclass(frozen=True, slots=True)
class Answer:
    outcome: Decoded | Failure
    decode_s: float  # core-seconds from the path to the upright RGB picture, colours and hashes included
    prepare_s: float  # core-seconds of the Prepare
    is_worn: bool  # replace this process


def send(stream: IO[bytes], message: object) -> None:
    data = pickle.dumps(message)
    stream.write(len(data).to_bytes(8, "little") + data)
    stream.flush()


def receive(stream: IO[bytes]) -> object:
    """One message. Raises EOFError when the other side is gone."""
    head = stream.read(8)
    if len(head) < 8:
        raise EOFError
    size = int.from_bytes(head, "little")
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return pickle.loads(data)
