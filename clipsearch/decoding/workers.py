"""Decoding in processes of its own: a crash, a hang or a memory bomb of one file costs that file.

Each thread of the pool owns one child process (worker.py) and speaks to it over its pipes: a path goes in, pixels
or a reason come out. A child that is silent for too long is killed; a child that dies is replaced, and so is one
that is worn. Children sit in sessions of their own, so Ctrl-C reaches the parent only, and killing one takes with
it whatever it started.

Pixels come back over the pipe, pickled: 0.15 ms for the 150 kB of 224 x 224, where decoding a photo of 12 megapixels
takes 35 (benchmarks/isolation.py), so shared memory would save nothing that could be measured.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from clipsearch.decoding.budget import Budget, file_bytes, total_bytes
from clipsearch.decoding.journal import STRIKES, Journal
from clipsearch.decoding.messages import Answer, Needs, Task, receive, send
from clipsearch.errors import SystemFault
from clipsearch.types import Decoded, Failure, Prepare

TIME_LIMIT_S = 10.0  # a file; a 200-megapixel JPEG takes about 3 s
_WINDOW = 4  # files in flight a worker where outcomes are wanted in order: what waits for a slow one is kept
_AHEAD = 16  # files in hand a worker where they are not: it has work while a batch is encoded and committed
_AHEAD_BYTES = 64 << 20  # of pixels, however many workers and however large the model's pictures

_START_LIMIT_S = 60.0  # a cold disk may take its time to load Python and Pillow


class DecodeWorkers:
    """Satisfies types.Decoder. Use as a context manager; children start when the first file comes."""

    def __init__(self, prepare: Prepare, workers: int, *, time_limit_s: float = TIME_LIMIT_S) -> None:
        self._prepare = prepare
        self._workers = workers
        self._time_limit_s = time_limit_s
        self._journal: Journal | None = None
        self._budget = Budget(total_bytes(workers))
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="decode")
        self._local = threading.local()
        self._children: set[_Child] = set()
        self._lock = threading.Lock()  # of the two that follow
        self._decode_s = self._prepare_s = 0.0
        self._leaving = False

    def __enter__(self) -> DecodeWorkers:
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving = True
        self._threads.shutdown(wait=False, cancel_futures=True)  # first, or a thread begins the next file
        self._budget.close()
        for child in list(self._children):
            child.kill()  # a thread may be waiting for its answer
        self._threads.shutdown(wait=True)
        for child in self._children:
            child.close()

    @contextlib.contextmanager
    def journaled(self, journal: Journal) -> Iterator[None]:
        """What is read meanwhile is on record in `journal`, whose suspects are ours."""
        self._journal = journal
        try:
            yield
        finally:
            self._journal = None

    @property
    def identity(self) -> str:
        from clipsearch.decoding.decode import decoder_identity

        return decoder_identity()

    @property
    def ahead(self) -> int:
        picture = 3 * self._prepare.size**2
        return max(2 * self._workers, min(_AHEAD * self._workers, _AHEAD_BYTES // picture))

    @property
    def suspects(self) -> Mapping[bytes, int]:
        return self._journal.suspects if self._journal else {}

    @property
    def spent(self) -> tuple[float, float]:
        with self._lock:
            return self._decode_s, self._prepare_s

    def submit(self, path: bytes) -> Future[Decoded | Failure]:
        return self._threads.submit(self._decode, path)

    def decode_alone(self, path: bytes) -> Decoded | Failure:
        """In a worker of its own, while nothing else is in flight. A suspect with STRIKES is not read any more."""
        if self._journal and self._journal.suspects.get(path, 0) >= STRIKES:
            self._journal.clear(path)
            return Failure("clipsearch was ended while it read this file alone", fatal=True)
        child = self._started()
        try:
            return self._answer(child, path, alone=True)
        finally:
            self._end(child)

    def decode_all(self, paths: Iterable[bytes]) -> Generator[Decoded | Failure, None, None]:
        """Outcomes in the order of `paths`, which are pulled only as far ahead as keeps the workers busy.

        Closing it drops the files that no worker has begun with.
        """
        waiting: deque[Future[Decoded | Failure]] = deque()
        try:
            for path in paths:
                waiting.append(self.submit(path))
                if len(waiting) >= self._workers * _WINDOW:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:  # left over where the caller has closed us; the next one would wait for them
                future.cancel()

    def _decode(self, path: bytes) -> Decoded | Failure:
        """On a thread of the pool."""
        child: _Child | None = getattr(self._local, "child", None)
        if child is None:
            child = self._local.child = self._started()
        if self._leaving:  # it was being started while the others were killed
            child.kill()
        outcome = self._answer(child, path)
        if child.is_worn:
            self._local.child = None
            self._end(child)
        return outcome

    def _answer(self, child: _Child, path: bytes, *, alone: bool = False) -> Decoded | Failure:
        journal = self._journal
        with journal.reading(path, alone=alone) if journal else contextlib.nullcontext():
            answer = child.decode(path, self._time_limit_s, self._budget)
        if isinstance(answer, Failure):
            return answer
        with self._lock:
            self._decode_s += answer.decode_s
            self._prepare_s += answer.prepare_s
        return answer.outcome

    def _started(self) -> _Child:
        child = _Child(self._prepare)
        self._children.add(child)
        return child

    def _end(self, child: _Child) -> None:
        child.close()
        self._children.discard(child)


class _Child:
    def __init__(self, prepare: Prepare) -> None:
        # One thread a child: numeric libraries would reserve memory for one a core, and malloc an arena a thread.
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
        self._process = subprocess.Popen(
            # -P: or a pickle.py in the folder of photos one stands in would be run.
            [sys.executable, "-P", "-m", "clipsearch.decoding.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # libtiff and libpng write to it; their words are in the reason
            env=environment,
            start_new_session=True,
        )
        self.is_worn = False  # to be replaced: it is dead, or has had its share of files
        self._timed_out = self._was_waiting = False
        if not self._exchange(Task(prepare, file_bytes()), _START_LIMIT_S):
            self.kill()
            self.close()
            raise SystemFault(
                "The decode worker did not start.", "Run: python -m clipsearch.decoding.worker </dev/null"
            )

    def decode(self, path: bytes, time_limit_s: float, budget: Budget) -> Answer | Failure:
        """The time limit is that of reading; waiting for the budget does not count."""
        started = time.monotonic()
        answer = self._exchange(path, time_limit_s)
        if isinstance(answer, Needs):
            left = time_limit_s - (time.monotonic() - started)
            with budget.taking(answer.bytes):
                answer = self._exchange("granted", max(0.0, left))
        if isinstance(answer, Answer):
            self.is_worn = answer.is_worn or self._timed_out  # its time may have run out just as it answered
            return answer
        self.is_worn = True
        self.close()
        if self._was_waiting:
            return Failure(f"the disk did not answer for {time_limit_s:g} s", fatal=True, lasting=False)
        if self._timed_out:
            return Failure(f"it took longer than {time_limit_s:g} s to read", fatal=True)
        return Failure("it crashed the decoder", fatal=True)

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
            send(self._process.stdin, message)
            return receive(self._process.stdout)
        except (OSError, EOFError, ValueError):  # ValueError: its pipes are closed already
            return None
        finally:
            timer.cancel()
            timer.join()  # if it fired just now, this child is dead before the next file is given to it

    def _expire(self) -> None:
        self._timed_out = True
        self._was_waiting = not _is_running(self._process.pid)
        self.kill()


def _is_running(pid: int) -> bool:
    """Whether any of its threads wants a core: what does not waits for a disk. True where nobody can tell."""
    try:
        states = [stat.read_text().rpartition(")")[2].split()[0] for stat in Path(f"/proc/{pid}/task").glob("*/stat")]
    except OSError:  # it is just ending
        return True
    return not states or "R" in states
