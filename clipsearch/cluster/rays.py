"""Ray Data carries chunks from readers to actors and outcomes back. The only place that knows Ray.

An actor that dies is started again where there is room; what it held is lost, and reported so (driving.py hands it
out again). Nothing is tried again by Ray itself: its own retries wait for an actor that may never find room, and give
a picture that takes machines down to one after the other.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import queue
import secrets
import socket
import threading
import warnings
from collections.abc import Generator, Iterator, Sequence
from functools import partial
from typing import Any

import pyarrow as pa

from clipsearch.cluster.actor import CHUNKS, Actor, Orders
from clipsearch.cluster.layout import Layout, Machine
from clipsearch.cluster.parcels import Chunk, Fault, Outcome, Parcel
from clipsearch.cluster.reading import chunks
from clipsearch.errors import SystemFault, UsageError

os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"  # read on import: a thread that is late would start a cluster of its own

import ray
from ray.data import ActorPoolStrategy, DataContext
from ray.data.block import BlockMetadata
from ray.data.datasource import Datasource, ReadTask

_ANSWER_S = 5.0
_TICK_S = 0.5
_LEAVE_S = 30.0  # for the chunks in hand, of which the next one lets the thread go
_READERS = 4  # parcels that are read at once for each actor; reading is waiting
_WAITING = 2  # chunks that lie ready at an actor, beside those it works on
_TOKEN = "Copy ~/.ray/auth_token of its head to this machine, and set RAY_AUTH_MODE=token."
_START = "Start one with ray start --head, or leave --address out to use this machine alone."


@contextlib.contextmanager
def cluster(address: str | None, cores: int) -> Iterator[None]:
    """Joins the cluster at an address, or starts one of this machine. Raises SystemFault."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody unasked
    given: dict[str, Any]
    if address is None:
        given = {"num_cpus": cores, "include_dashboard": False}
        # Ray would leave a token in ~/.ray, and every head that is started here later would ask for it.
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    else:
        given = {"address": address}
    _hush()
    try:
        with _silent_stderr():
            ray.init(logging_level=logging.CRITICAL, log_to_driver=False, **given)
    except ray.exceptions.AuthenticationError as error:
        raise SystemFault(
            f"The Ray cluster at {address} asks for a token that this machine does not have.", _TOKEN
        ) from error
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise _unusable(address, error) from error
    try:
        yield
    finally:
        ray.shutdown()


def _unusable(address: str | None, error: Exception) -> SystemFault:
    """What Ray says of it names options that are none of ours, and not the token where that is what is missing."""
    if address is None:
        return SystemFault(f"Ray cannot be started on this machine: {str(error).splitlines()[0]}", "Read ray's logs.")
    if address == "auto" and isinstance(error, ConnectionError):
        return SystemFault("This machine belongs to no Ray cluster that runs.", _START)
    if isinstance(error, ConnectionError):
        return SystemFault(f"What listens at {address} is no Ray cluster, or asks for a token.", _TOKEN)
    return SystemFault(f"The Ray cluster at {address} cannot be used: {str(error).splitlines()[0]}", _START)


def _hush() -> None:
    """What Ray has to say of dead actors and machines is counted and said by driving.py; stdout is for NDJSON."""
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # as will be; it warns until that is said
    warnings.filterwarnings("ignore", category=ray.util.annotations.RayDeprecationWarning)
    warnings.filterwarnings("ignore", module=r"ray\.")
    ray._private.worker._worker_logs_enabled = False
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """While Ray starts it says at which level it logs, past Python."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def check_answers(address: str) -> None:
    """Whether somebody listens there; Ray itself would wait for two minutes. Raises UsageError and SystemFault."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise UsageError(f"{address} is no address of a cluster.", "Write HOST:PORT, as ray start --head shows it.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_S).close()
    except OSError as error:
        reason = "no answer" if isinstance(error, TimeoutError) else (error.strerror or str(error)).lower()
        raise SystemFault(f"No Ray cluster answers at {address} ({reason}).", _START) from error


def machines() -> list[Machine]:
    """Those that are alive."""
    return [
        Machine(node["Resources"].get("CPU", 0.0), node["Resources"].get("GPU", 0.0))
        for node in ray.nodes()  # type: ignore[no-untyped-call]  # Ray says no types here
        if node["Alive"]
    ]


def has_room(layout: Layout) -> bool:
    """Whether a machine is alive that could have an actor."""
    return any(one.cores >= layout.cores and one.gpus >= layout.gpus for one in machines())


def encoded(
    parcels: Sequence[Parcel], elsewhere: frozenset[bytes], orders: Orders, layout: Layout
) -> Generator[Outcome | Fault | None, None, None]:
    """Outcomes in the order in which they come, None now and then where none does. What was lost does not come.

    Closing it ends all work.
    """
    context = DataContext.get_current()
    context.max_errored_blocks = -1
    context.target_max_block_size = 1  # a block is one row, which is one chunk
    waiting: queue.SimpleQueue[Outcome | Fault | BaseException | None] = queue.SimpleQueue()
    stopped = threading.Event()
    executors: list[Any] = []
    thread = threading.Thread(
        target=_carry,
        args=(_Parcels(parcels, elsewhere), orders, layout, waiting, stopped, executors),
        name="ray",
        daemon=True,
    )
    thread.start()
    try:
        while True:
            try:
                one = waiting.get(timeout=_TICK_S)
            except queue.Empty:
                yield None
                continue
            if one is None:
                return
            if isinstance(one, BaseException):
                raise one
            yield one
    finally:
        stopped.set()
        for executor in executors:  # Ray ends the process where it is shut down while Ray Data still works
            executor.shutdown(force=True)
        if executors or has_room(layout):  # else nothing lets the thread go, which waits for its first outcome
            thread.join(_LEAVE_S)


def _carry(
    source: _Parcels,
    orders: Orders,
    layout: Layout,
    waiting: queue.SimpleQueue[Outcome | Fault | BaseException | None],
    stopped: threading.Event,
    executors: list[Any],
) -> None:
    """On a thread of its own: Ray blocks where nothing comes, and a person's Ctrl-C must not wait for it."""
    try:
        dataset = ray.data.read_datasource(
            source,
            override_num_blocks=len(source.parcels),
            concurrency=min(len(source.parcels), _READERS * layout.actors),
            num_cpus=0,
        ).map_batches(
            _Encode,
            fn_constructor_args=(orders,),
            batch_size=None,
            batch_format="pyarrow",
            compute=ActorPoolStrategy(
                size=layout.actors,
                max_tasks_in_flight_per_actor=CHUNKS + _WAITING,
                max_concurrent_calls_per_actor=CHUNKS,
                enable_true_multi_threading=True,
            ),
            num_cpus=layout.cores,
            num_gpus=layout.gpus or None,
            ray_remote_args_fn=_retries,
        )
        # What iter_internal_ref_bundles does; but that keeps to itself whom to tell that nothing more is wanted.
        bundles, _, executor = dataset._execute_to_iterator()
        executors.append(executor)
        for bundle in bundles:
            for block in bundle.block_refs:
                if stopped.is_set():
                    return
                for outcome in _outcomes(block):
                    waiting.put(outcome)
        waiting.put(None)
    except BaseException as error:
        if not stopped.is_set():
            waiting.put(error)


def _retries() -> dict[str, int]:
    return {"max_restarts": -1, "max_task_retries": 0}


def _outcomes(block: Any) -> list[Outcome | Fault]:
    try:
        table = ray.get(block)
    except ray.exceptions.RayError:  # it lay on a machine that has died: lost, as if its actor had
        return []
    return [pickle.loads(one) for one in table.column("pickled").to_pylist()]


class _Parcels(Datasource):
    """Ray's word for what is read: one task a parcel."""

    def __init__(self, parcels: Sequence[Parcel], elsewhere: frozenset[bytes]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # nor here
        self.parcels = parcels
        self._elsewhere = ray.put(elsewhere)  # once, however many tasks there are

    def estimate_inmemory_data_size(self) -> int | None:
        return None

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: DataContext | None = None
    ) -> list[ReadTask]:
        unknown = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
        return [ReadTask(partial(_read, parcel, self._elsewhere), unknown) for parcel in self.parcels]


def _read(parcel: Parcel, elsewhere: Any) -> Iterator[pa.Table]:
    return map(_row, chunks(parcel, ray.get(elsewhere)))


def _row(one: Chunk | Outcome | Fault) -> pa.Table:
    return pa.table({"pickled": pa.array([pickle.dumps(one)], pa.large_binary())})


class _Encode:
    """Ray's word for an actor."""

    def __init__(self, orders: Orders) -> None:
        self._actor = Actor(orders)

    def __call__(self, table: pa.Table) -> Iterator[pa.Table]:
        for pickled in table.column("pickled").to_pylist():
            chunk: Chunk = pickle.loads(pickled)
            yield _row(self._actor(chunk))
