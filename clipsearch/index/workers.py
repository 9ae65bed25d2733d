"""Decoding in processes of its own: a crash, a hang or a memory bomb of one file costs that file.

Each thread of the pool owns one child process (`python -m clipsearch.index.workers`) and speaks to it over
its pipes: a path goes in, pixels or a reason come out. A child that is silent for too long is killed; a
child that dies is replaced. Children sit in sessions of their own, so Ctrl-C reaches the parent only, and
killing one takes with it whatever it started.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO

from clipsearch.errors import SystemFault
from clipsearch.types import Decoded, Failure, Prepare

TIME_LIMIT_S = 10.0  # a file; a 200-megapixel JPEG takes about 3 s
MEMORY_LIMIT_BYTES = 4 << 30  # address space of a child
_WINDOW = 4  # files in flight a worker: enough to keep it busy while a batch is encoded

_START_LIMIT_S = 60.0  # a cold disk may take its time to load Python and Pillow


class DecodeWorkers:
    """Satisfies types.Decoder. Use as a context manager; children start when the first file comes."""

    def __init__(self, prepare: Prepare, workers: int, *, time_limit_s: float = TIME_LIMIT_S) -> None:
        self._prepare = prepare
        self._workers = workers
        self._time_limit_s = time_limit_s
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="decode")
        self._local = threading.local()
        self._children: list[_Child] = []
        self._leaving = False

    def __enter__(self) -> DecodeWorkers:
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving = True
        self._threads.shutdown(wait=False, cancel_futures=True)  # first, or a thread begins the next file
        for child in list(self._children):
            child.kill()  # a thread may be waiting for its answer
        self._threads.shutdown(wait=True)
        for child in self._children:
            child.close()

    @property
    def identity(self) -> str:
        from clipsearch.index.decode import decoder_identity

        return decoder_identity()

    def decode_all(self, paths: Iterable[bytes]) -> Generator[Decoded | Failure, None, None]:
        """Outcomes in the order of `paths`, which are pulled only as far ahead as keeps the workers busy.

        Closing it drops the files that no worker has begun with.
        """
        waiting: deque[Future[Decoded | Failure]] = deque()
        try:
            for path in paths:
                waiting.append(self._threads.submit(self._decode, path))
                if len(waiting) >= self._workers * _WINDOW:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:  # left over where the caller has closed us; the next one would wait for them
                future.cancel()

    def _decode(self, path: bytes) -> Decoded | Failure:
        child: _Child | None = getattr(self._local, "child", None)
        if child is None or not child.alive:
            child = self._local.child = _Child(self._prepare)
            self._children.append(child)
        if self._leaving:  # it was being started while the others were killed
            child.kill()
        return child.decode(path, self._time_limit_s)


class _Child:
    def __init__(self, prepare: Prepare) -> None:
        # One thread a child: numeric libraries would reserve memory for one a core.
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            # -P: or a pickle.py in the folder of photos one stands in would be run.
            [sys.executable, "-P", "-m", "clipsearch.index.workers"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # libtiff and libpng write to it; their words are in the reason
            env=environment,
            start_new_session=True,
        )
        self._timed_out = False
        if not self._exchange(prepare, _START_LIMIT_S):
            self.kill()
            self.close()
            raise SystemFault("The decode worker did not start.", "Run: python -m clipsearch.index.workers < /dev/null")

    @property
    def alive(self) -> bool:
        # A child whose time ran out just as it answered is being killed.
        return not self._timed_out and self._process.poll() is None

    def decode(self, path: bytes, time_limit_s: float) -> Decoded | Failure:
        answer = self._exchange(path, time_limit_s)
        if isinstance(answer, (Decoded, Failure)):
            return answer
        self.close()
        if self._timed_out:
            return Failure(f"it took longer than {time_limit_s:g} s to read")
        return Failure("it crashed the decoder")

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            if os.name == "nt":
                self._process.kill()
            else:
                os.killpg(self._process.pid, signal.SIGKILL)  # its session: and what it may have started
        self._process.wait()

    def close(self) -> None:
        """Kills it and closes its pipes. Only where no thread waits for its answer."""
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            with contextlib.suppress(OSError):  # what it did not read any more cannot be flushed
                pipe.close()

    def _exchange(self, message: object, time_limit_s: float) -> object:
        """The child's answer, or None when it died or was killed for its silence."""
        assert self._process.stdin and self._process.stdout
        timer = threading.Timer(time_limit_s, self._expire)
        timer.start()
        try:
            _send(self._process.stdin, message)
            return _receive(self._process.stdout)
        except (OSError, EOFError, ValueError):  # ValueError: its pipes are closed already
            return None
        finally:
            timer.cancel()
            timer.join()  # if it fired just now, this child is dead before the next file is given to it

    def _expire(self) -> None:
        self._timed_out = True
        self.kill()


def _send(stream: IO[bytes], message: object) -> None:
    data = pickle.dumps(message)
    stream.write(len(data).to_bytes(8, "little") + data)
    stream.flush()


def _receive(stream: IO[bytes]) -> object:
    """One message. Raises EOFError when the other side is gone."""
    head = stream.read(8)
    if len(head) < 8:
        raise EOFError
    size = int.from_bytes(head, "little")
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return pickle.loads(data)


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limit; the time limit and the header's budget remain
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))


def _serve() -> None:
    """The child: reads a Prepare, then paths, and answers each until its parent closes the pipe."""
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints must not garble the answers
    _limit_memory()
    from clipsearch.index.decode import decode

    prepare = _receive(source)
    _send(sink, "ready")
    with contextlib.suppress(EOFError):
        while True:
            path = _receive(source)
            _send(sink, decode(path, prepare))  # type: ignore[arg-type]  # our own parent wrote them


if __name__ == "__main__":
    _serve()
