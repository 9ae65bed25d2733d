"""Durable files: atomic replace, locks that die with their process, what kind of disk this is.

The only durability code outside SQLite. Knows nothing of photos, vectors or libraries.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from clipsearch.errors import LibraryBusy, LibraryError, SystemFault

NETWORK_FILESYSTEMS = frozenset(
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "afpfs",
        "fuse.sshfs",
        "fuse.rclone",
        "davfs",
        "fuse.davfs2",
        "ceph",
        "glusterfs",
        "fuse.glusterfs",
    ]
)


def sync_file(path: Path) -> None:
    with path.open("rb") as handle:
        os.fsync(handle.fileno())


def sync_folder(folder: Path) -> None:
    """Makes a rename or a new name in `folder` durable; a no-op where folders cannot be opened (Windows)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish(temporary: Path, final: Path) -> None:
    """Gives a complete file its final name: sync, rename, sync the folder, in this order.

    After a crash at any point `final` is absent, the old file, or the whole new one.
    """
    sync_file(temporary)
    temporary.replace(final)
    sync_folder(final.parent)


def publish_private(final: Path, content: bytes) -> None:
    """Writes a small file that only its owner may read, as `publish` does. One process at a time may call it."""
    temporary = final.with_name(final.name + ".new")
    temporary.unlink(missing_ok=True)  # of a process that was killed here
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(content)
    publish(temporary, final)


def write_whole(final: Path, data: bytes) -> None:
    """Writes a file that somebody else may read meanwhile, as `publish` does; one that is there keeps its permissions,
    and stays where a link leads. Raises OSError."""
    final = final.resolve()
    temporary = final.with_name(f".{final.name}-{os.getpid()}")
    temporary.unlink(missing_ok=True)  # of a process that was killed here
    try:
        with temporary.open("xb") as handle:  # not by tempfile, whose files nobody else may read
            handle.write(data)
        if final.exists():
            shutil.copymode(final, temporary)
        publish(temporary, final)
    finally:
        temporary.unlink(missing_ok=True)


def replace_unsynced(final: Path, data: bytes) -> None:
    """Writes a file of a cache: readers meet the old one or the whole new one.

    Nothing is synced, so a power loss may leave a file that is short or empty; the cache has to see that.
    """
    descriptor, temporary = tempfile.mkstemp(dir=final.parent, prefix=".new-")
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(data)
        os.replace(temporary, final)
    except BaseException:
        os.unlink(temporary)
        raise


@contextlib.contextmanager
def writer_lock(path: Path, purpose: str) -> Iterator[None]:
    """Holds the one writer's lock. Raises LibraryBusy at once when another process does."""

    def taken(holder: str) -> LibraryError:
        return LibraryBusy(
            f"The library {path.parent} is being written by {holder}.",
            "Wait for it to finish; searching works meanwhile.",
            holder,
        )

    with exclusive_lock(path, purpose, taken):
        yield


@contextlib.contextmanager
def exclusive_lock(path: Path, purpose: str, taken: Callable[[str], LibraryError]) -> Iterator[None]:
    """Holds the lock file; the operating system releases it when the process dies.

    Raises at once what `taken` makes of the process that holds it, and of its purpose.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _try_lock(descriptor):
            raise taken(os.pread(descriptor, 200, 0).decode("utf-8", "replace").strip() or "another process")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} ({purpose})\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def lock_holder(path: Path) -> str | None:
    """The process that holds a lock file and its purpose, or None when nobody does."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return None
    try:
        said = os.pread(descriptor, 200, 0).decode("utf-8", "replace").strip()
        # Tried only where whoever wrote it is alive: to try the lock is to hold it for a moment.
        return said if _is_alive(said) and not _try_lock(descriptor) else None
    finally:
        os.close(descriptor)


def _is_alive(said: str) -> bool:
    """Whether the process that a lock file names runs; on Windows, where asking would end it, always."""
    number = said.removeprefix("process ").split(" ")[0]
    if not number.isdigit() or os.name == "nt":
        return bool(said)
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def _try_lock(descriptor: int) -> bool:
    # flock, not fcntl.lockf: a POSIX record lock is lost when any descriptor of the file is closed.
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        try:
            # Far behind the text, so that the holder's name stays readable.
            os.lseek(descriptor, 1 << 20, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]  # exists on Windows only
        except OSError:
            return False
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def network_filesystem(path: Path, mounts: Path = Path("/proc/mounts")) -> str | None:
    """The type of the network file system that holds `path`, or None for a local one.

    Where the table of mounts cannot be read (not Linux) the answer is None: SQLite will say itself if it cannot lock.
    """
    try:
        table = mounts.read_text("utf-8", "replace")
    except OSError:
        return None
    target = path.resolve()
    best, kind = -1, ""
    for line in table.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        # The kernel writes a space in a mount point as \040 (see getmntent(3)).
        point = Path(fields[1].encode("latin-1", "backslashreplace").decode("unicode_escape"))
        if target.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), fields[2]
    return kind if kind in NETWORK_FILESYSTEMS else None


def check_new(final: Path) -> None:
    """Raises SystemFault where something has that name already."""
    if final.exists() or final.is_symlink():
        raise SystemFault(f"{final} is there already; nothing was written.", "Name another file, or remove that one.")


@contextlib.contextmanager
def new_file(final: Path, needed_bytes: int = 0) -> Iterator[Path]:
    """A temporary path beside `final`; what was written there gets its name when all went well, else it is removed.

    Raises SystemFault where something has that name already, where no file can be made, and where less than
    `needed_bytes` are free.
    """
    check_new(final)
    temporary = final.with_name(f".{final.name}-{os.getpid()}")
    try:
        free = shutil.disk_usage(final.parent).free
        temporary.unlink(missing_ok=True)  # of a process that was killed here
        temporary.touch(exist_ok=False)  # not by tempfile, whose files nobody else may read
    except OSError as error:
        raise SystemFault(
            f"{final} cannot be written ({(error.strerror or str(error)).lower()}).", "Name a file in another folder."
        ) from error
    try:
        if free < needed_bytes:
            raise SystemFault(
                f"{final.parent} has {free >> 20:,} MiB free, and {-(-needed_bytes >> 20):,} MiB are needed.",
                "Free some space, or name a file on another disk.",
            )
        yield temporary
        publish(temporary, final)
    finally:
        temporary.unlink(missing_ok=True)
