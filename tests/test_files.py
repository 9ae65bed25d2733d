"""Durable files: the order of publishing, the writer's lock, network disks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from clipsearch import files
from clipsearch.errors import LibraryError
from clipsearch.files import network_filesystem, publish, writer_lock


def test_publishing_syncs_the_file_before_the_rename_and_the_folder_after_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Renamed before it is synced, a power cut leaves a final name over an empty file."""
    temporary, final = tmp_path / "new.tmp", tmp_path / "final"
    temporary.write_bytes(b"new")
    final.write_bytes(b"old")
    steps: list[str] = []
    kinds = {temporary.stat().st_ino: "file", tmp_path.stat().st_ino: "folder"}
    real_sync, real_replace = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        steps.append(f"sync {kinds[os.fstat(descriptor).st_ino]}")
        real_sync(descriptor)

    def replace(self: Path, target: Path) -> Path:
        steps.append("rename")
        return real_replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    publish(temporary, final)
    assert steps == ["sync file", "rename"] + (["sync folder"] if os.name != "nt" else [])
    assert final.read_bytes() == b"new"
    assert not temporary.exists()


def test_a_second_writer_is_refused_with_the_name_of_the_first(tmp_path: Path) -> None:
    """Two writers would number generations alike; a nameless lock leaves the user guessing."""
    lock = tmp_path / "writer.lock"
    with (
        writer_lock(lock, "clipsearch index"),
        pytest.raises(LibraryError) as caught,
        writer_lock(lock, "another"),
    ):
        pass
    assert f"process {os.getpid()} (clipsearch index)" in caught.value.message
    assert "search" in caught.value.hint


def test_the_lock_is_free_again_after_use_and_after_an_error(tmp_path: Path) -> None:
    """A lock that outlives its run would need a manual the user does not have."""
    lock = tmp_path / "writer.lock"
    with pytest.raises(ZeroDivisionError), writer_lock(lock, "a much longer purpose than the next one"):
        raise ZeroDivisionError
    with writer_lock(lock, "next"):
        assert lock.read_text() == f"process {os.getpid()} (next)\n"


def test_a_refused_writer_does_not_take_the_lock_or_the_name_from_its_holder(tmp_path: Path) -> None:
    """Closing a second descriptor of a POSIX record lock would free it for everyone."""
    lock = tmp_path / "writer.lock"
    with writer_lock(lock, "first"):
        for _ in range(2):
            with pytest.raises(LibraryError, match="first"), writer_lock(lock, "second"):
                pass


_HOLDER = """
import sys
from pathlib import Path
from clipsearch.files import writer_lock
with writer_lock(Path(sys.argv[1]), "the child"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    """After a crash the library must open without a file to delete by hand."""
    lock = tmp_path / "writer.lock"
    command = [sys.executable, "-c", _HOLDER, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with pytest.raises(LibraryError, match=rf"process {child.pid} \(the child\)"), writer_lock(lock, "parent"):
            pass
        child.send_signal(signal.SIGKILL)
        child.wait(timeout=30)
        with writer_lock(lock, "parent"):
            assert "parent" in lock.read_text()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/me/library", None),
        ("/mnt/nas/photos", "nfs4"),
        ("/mnt/nas", "nfs4"),
        ("/mnt/nas2", None),
        ("/mnt/nas/local-disk/x", None),
        ("/mnt/my nas/x", "cifs"),
        ("/mnt/Köln/x", "fuse.sshfs"),
        ("/mnt/写真/x", "cifs"),
        ("/mnt/over/x", "nfs"),
    ],
)
def test_a_network_disk_is_known_by_the_mount_that_holds_the_path(tmp_path: Path, path: str, kind: str | None) -> None:
    """SQLite's locks fail silently on such disks; a mount point with a space or an umlaut must not hide one."""
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/sda1 / ext4 rw 0 0\n"
        "broken line\n"
        "nas:/a /mnt/nas nfs4 rw 0 0\n"
        "/dev/sdb1 /mnt/nas/local-disk ext4 rw 0 0\n"
        "//nas/b /mnt/my\\040nas cifs rw 0 0\n"
        "nas: /mnt/Köln fuse.sshfs rw 0 0\n"
        "//nas/c /mnt/写真 cifs rw 0 0\n"
        "/dev/sdc1 /mnt/over ext4 rw 0 0\n"
        "nas:/d /mnt/over nfs rw 0 0\n",
        "utf-8",
    )
    assert network_filesystem(Path(path), mounts) == kind


def test_without_a_table_of_mounts_every_disk_counts_as_local(tmp_path: Path) -> None:
    """On macOS and Windows there is none, and the program must start."""
    assert network_filesystem(tmp_path, tmp_path / "no mounts") is None


def test_the_list_of_network_filesystems_names_types_as_the_kernel_does() -> None:
    """A capital letter or a space in the table would never match."""
    assert all(kind == kind.lower().strip() for kind in files.NETWORK_FILESYSTEMS)
