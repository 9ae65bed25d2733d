"""Pickles as Python 2's cPickle wrote CIFAR's, opcode by opcode: Python 3 writes others.

The beginnings are those of the published test_batch and batches.meta, which the authors' page describes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

_RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85U\x01b\x87Rq\t"
_DTYPE = b"cnumpy\ndtype\nq\nU\x02u1K\x00K\x01\x87Rq\x0b(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"


def batch(labels: Sequence[int], pixels: bytes, *, key: bytes = b"labels", count: int | None = None) -> bytes:
    """A batch of `labels` whose array says that it is of `count` pictures."""
    return framed(
        texts(b"batch_label", text(b"testing batch 1 of 1"), b"q\x03")
        + pair(key, labels)
        + data(pixels, count or len(labels))
    )


def framed(pairs: bytes) -> bytes:
    return b"\x80\x02}q\x01(" + pairs + b"u."


def texts(key: bytes, value: bytes, memo: bytes = b"") -> bytes:
    return text(key) + b"q\x02" + value + memo


def pair(key: bytes, labels: Sequence[int]) -> bytes:
    return text(key) + b"q\x04]q\x05(" + b"".join(number(one) for one in labels) + b"e"


def data(pixels: bytes, count: int, dtype: bytes = _DTYPE, rest: int = 3072) -> bytes:
    state = b"(K\x01" + number(count) + number(rest) + b"\x86" + dtype + b"\x89T" + struct.pack("<i", len(pixels))
    return text(b"data") + b"q\x06" + _RECONSTRUCT + state + pixels + b"tb"


def text(content: bytes) -> bytes:
    return b"U" + bytes((len(content),)) + content


def number(value: int) -> bytes:
    if 0 <= value < 256:
        return b"K" + bytes((value,))
    return b"M" + struct.pack("<H", value) if 0 <= value < 65_536 else b"J" + struct.pack("<i", value)
