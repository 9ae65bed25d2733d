"""A Ray of several machines on this one: each node is a process of its own, with its own store and its own workers."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

_RAY = Path(sys.executable).with_name("ray")
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",  # or the nodes would need the token of a home directory
    "RAY_memory_monitor_refresh_ms": "0",  # whatever else this machine does
    "PYTHONWARNINGS": "",
}


class Nodes:
    """A head without cores, and nodes that may be killed. Use as a context manager."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = {**environment, **ENVIRONMENT}
        # Sockets lie in it, whose paths may have 107 bytes.
        self._folder = tempfile.mkdtemp(prefix="ray-")
        self._nodes: list[int] = []  # process groups
        self.address = ""

    def __enter__(self) -> Nodes:
        said = self._start("--head", "--port=0", "--include-dashboard=false", f"--temp-dir={self._folder}", cores=0)
        self.address = re.findall(r"--address='([^']+)'", said)[0]
        return self

    def __exit__(self, *_: object) -> None:
        for group in self._nodes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, cores: int = 1) -> int:
        """A node, by which `kill` knows it."""
        self._start(f"--address={self.address}", cores=cores)
        return self._nodes[-1]

    def kill(self, node: int) -> None:
        """As when somebody pulls the plug: all of its processes at once."""
        workers = [pid for pid, _ in _children(node)]
        os.killpg(node, signal.SIGKILL)
        for pid in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def actors(self, node: int) -> list[int]:
        return [pid for pid, name in _children(node) if name.startswith("ray::MapWorker")]

    def _start(self, *arguments: str, cores: int) -> str:
        # Addresses of their own: who asks must not be attached to a node that is going to die.
        host = f"127.0.0.{len(self._nodes) + 1}"
        with subprocess.Popen(
            [
                _RAY, "start", *arguments, f"--num-cpus={cores}", f"--node-ip-address={host}",
                "--object-store-memory=100000000", "--disable-usage-stats",
            ],
            env=self._environment, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        ) as starting:  # fmt: skip
            said = starting.communicate(timeout=100)[0]
        assert starting.returncode == 0, said
        self._nodes.append(starting.pid)  # what it has started stays in its group
        return said


def _children(group: int) -> Iterator[tuple[int, str]]:
    """Processes, and their names, that a process of the group has started; workers have groups of their own."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if parent and os.getpgid(parent) == group:
                    yield int(entry.name), (entry / "cmdline").read_bytes().partition(b"\0")[0].decode()
