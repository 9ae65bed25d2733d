"""What the kernel knows of a terminal's window; the terminal itself is not asked."""

from __future__ import annotations

import struct

from clipsearch.pictures.graphics import ASSUMED_CELL, CellSize


def cell_size(descriptor: int) -> CellSize:
    """Of the terminal's characters in px, from its own window size; many do not tell."""
    try:
        import fcntl
        import termios
    except ImportError:  # Windows
        return ASSUMED_CELL
    try:
        size = fcntl.ioctl(descriptor, termios.TIOCGWINSZ, b"\0" * 8)
    except OSError:  # a pipe, with a protocol that was forced
        return ASSUMED_CELL
    rows, columns, width, height = struct.unpack("HHHH", size)
    if not (rows and columns and width and height):
        return ASSUMED_CELL
    return CellSize(max(1, width // columns), max(1, height // rows))
