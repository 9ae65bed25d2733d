"""Which share of some folders is whose: by names alone, so that machines agree without speaking to each other. Pure."""

from __future__ import annotations

import contextlib
import hashlib
import re
import unicodedata
from typing import NamedTuple

from clipsearch.errors import UsageError


class Shard(NamedTuple):
    """One of so many shares."""

    number: int  # from 1
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def has(self, path: bytes) -> bool:
        """Whether the file at `path`, relative to the folder that was named and with / between names, is of this share.

        The same on every machine, whatever it mounts the folder as. A Mac's file server may spell an é as two signs
        where another one has it in one: both are the same name here.
        """
        with contextlib.suppress(UnicodeDecodeError):  # a name in some older encoding is the same bytes everywhere
            path = unicodedata.normalize("NFC", path.decode()).encode()
        return int.from_bytes(hashlib.blake2b(path, digest_size=8).digest()) % self.of == self.number - 1


ALL = Shard(1, 1)


def shard_named(text: str) -> Shard:
    """Of "2/4". Raises UsageError."""
    known = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text, re.ASCII)
    shard = Shard(int(known[1]), int(known[2])) if known else Shard(0, 0)
    if not 1 <= shard.number <= shard.of:
        raise UsageError(f'"{text}" is no share.', "Write 2/4 for the second of four; the first is 1/4.")
    return shard
