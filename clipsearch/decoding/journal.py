"""The names of the files being decoded, where the next run finds them if this one dies.

Workers that die cost a file (workers.py). This is for the file that takes the whole run down: one that has the
kernel run out of memory and end us, or the machine stop. What was in flight then is a suspect: the next run reads it
last and alone, when everything else is committed, so that it can keep nothing else out. A suspect that takes the run
down again while nothing but it is read has a strike; with STRIKES of them it is not read any more.

A run that a person ends (kill -9, a closed laptop's session) makes no suspects: the kernel counts the processes that
it ended for memory, and each start of the machine has a name; if neither has changed, no file is to blame.

The file has slots of one size which are written in place, 2 us each. Nothing is synced: it must outlive the
process, and what a power cut garbles is left out by its CRC-32.
"""

from __future__ import annotations

import struct
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path

from clipsearch.errors import SystemFault

STRIKES = 2

_HEAD = struct.Struct("<IBBH")  # CRC-32 of what follows; state; strikes; length of the path that follows
_SLOT_BYTES = 4096 + _HEAD.size  # no system opens a longer path
_WITNESS_BYTES = 128
_MOST_SUSPECTS = 64  # kept from run to run; each costs the next one a fresh worker


class _State(IntEnum):
    EMPTY = 0
    AMONG_OTHERS = 1  # being decoded, beside others
    WAITING = 2  # a suspect that was not read yet
    ALONE = 3  # a suspect being decoded, and nothing else


class Journal:
    """Use as a context manager, from the threads that decode. One process at a time, which holds the writer's lock."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._slots: dict[bytes, int] = {}  # path -> its slot
        self._free: list[int] = []
        witness = _witness()
        try:
            before = path.read_bytes() if path.exists() else b""
            self._strikes = _suspects(before, witness)
            self._file = open(path, "wb", buffering=0)  # noqa: SIM115  # closed by __exit__
        except OSError as error:
            raise self._unwritable(error) from error
        self._write_at(0, witness.ljust(_WITNESS_BYTES, b"\0"))
        for suspect, strikes in self._strikes.items():
            self._put(suspect, _State.WAITING, strikes)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        """What is still in flight was ended by us, not by a file."""
        with self._lock:
            for path in list(self._slots):
                if path in self._strikes:
                    self._put(path, _State.WAITING, self._strikes[path])
                else:
                    self._clear(path)
        self._file.close()

    @property
    def suspects(self) -> Mapping[bytes, int]:
        """Absolute paths of files that were being decoded when an earlier run died, and their strikes."""
        return self._strikes

    @contextmanager
    def reading(self, path: bytes, *, alone: bool = False) -> Iterator[None]:
        """The name is on record before the file is decoded, and off it afterwards."""
        with self._lock:
            self._put(path, _State.ALONE if alone else _State.AMONG_OTHERS, self._strikes.get(path, 0))
        try:
            yield
        finally:
            self.clear(path)

    def clear(self, path: bytes) -> None:
        """The file has an outcome."""
        with self._lock:
            self._strikes.pop(path, None)
            self._clear(path)

    def _put(self, path: bytes, state: _State, strikes: int) -> None:
        slot = self._slots.get(path)
        if slot is None:
            slot = self._slots[path] = self._free.pop() if self._free else len(self._slots)
        body = struct.pack("<BBH", state, strikes, len(path)) + path
        self._write(slot, zlib.crc32(body).to_bytes(4, "little") + body)

    def _clear(self, path: bytes) -> None:
        if (slot := self._slots.pop(path, None)) is not None:
            self._write(slot, bytes(_HEAD.size))
            self._free.append(slot)

    def _write(self, slot: int, data: bytes) -> None:
        self._write_at(_WITNESS_BYTES + slot * _SLOT_BYTES, data)

    def _write_at(self, offset: int, data: bytes) -> None:
        try:
            self._file.seek(offset)
            self._file.write(data)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> SystemFault:
        return SystemFault(
            f"{self._path} cannot be written ({error.strerror}).",
            "Free some space or check the folder's permissions; what was committed is kept.",
        )


def _suspects(data: bytes, witness: bytes) -> dict[bytes, int]:
    """Whom the journal of the last run accuses, with their strikes."""
    somebody_ended_it = bool(witness) and data[:_WITNESS_BYTES].rstrip(b"\0") == witness
    found: dict[bytes, int] = {}
    for start in range(_WITNESS_BYTES, len(data), _SLOT_BYTES):
        slot = data[start : start + _SLOT_BYTES]
        if len(slot) < _HEAD.size:
            break
        checksum, state, strikes, length = _HEAD.unpack_from(slot)
        path = slot[_HEAD.size : _HEAD.size + length]
        if state == _State.EMPTY or zlib.crc32(slot[4 : _HEAD.size] + path) != checksum:
            continue
        if state == _State.ALONE:
            found[path] = strikes + (0 if somebody_ended_it else 1)
        elif state == _State.WAITING or not somebody_ended_it:
            found[path] = strikes
    return dict(list(found.items())[-_MOST_SUSPECTS:])


def _witness() -> bytes:
    """Changes when the kernel has ended a process for want of memory, and when the machine starts. Empty: unknown."""
    try:
        with open("/proc/vmstat", "rb") as lines:
            killed = next(line.split()[1] for line in lines if line.startswith(b"oom_kill "))
        with open("/proc/sys/kernel/random/boot_id", "rb") as boot:
            return boot.read().strip() + b" " + killed
    except (OSError, StopIteration):  # not Linux, or one that hides it: then any death counts
        return b""
