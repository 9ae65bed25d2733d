"""Which disks are mounted where: a mount brings no event to the folder that it covers."""

from __future__ import annotations

from pathlib import Path

Mounts = frozenset[tuple[bytes, bytes]]  # (mount point, what is mounted there)


def mounted(table: Path = Path("/proc/self/mountinfo")) -> Mounts:
    """All mounts; none where the system has no such table."""
    try:
        lines = table.read_bytes().splitlines()
    except OSError:
        return frozenset()
    return frozenset((_unescaped(fields[4]), fields[0] + fields[2]) for line in lines if (fields := line.split(b" ")))


def changed_inside(folder: bytes, before: Mounts, now: Mounts) -> bool:
    """Whether a disk came or went below the folder."""
    return any(point.startswith(folder.rstrip(b"/") + b"/") for point, _ in before ^ now)


def _unescaped(point: bytes) -> bytes:
    """The kernel writes blanks as \\040 (proc(5), mountinfo)."""
    for code, character in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\")):
        point = point.replace(code, character)
    return point
