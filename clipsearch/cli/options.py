"""Options that several verbs share, and the library that they open."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import click

from clipsearch.cli.arguments import Named, Source, filled
from clipsearch.cli.suggest import model_names
from clipsearch.config import Paths, Settings, resolved_paths
from clipsearch.errors import UsageError
from clipsearch.service.record import read_record
from clipsearch.types import LibraryAPI
from clipsearch.ways import AUTO, names, way_named

if TYPE_CHECKING:  # numpy and SQLite come with it, and a command that the service answers needs neither
    from clipsearch.encoding import Engine
    from clipsearch.library import Library

Function = TypeVar("Function", bound=Callable[..., Any])
_THREADS = f"{__name__}.threads"  # in click's own notes of a call: every verb would only hand it on


def library_option(function: Function) -> Function:
    """`--library` after the verb too: it wins over the one before."""
    return click.option(
        "--library",
        metavar="DIR",
        callback=filled,
        help="The library to use, or lance:URI for a shared one; also CLIPSEARCH_LIBRARY.",
    )(function)


def under_option(function: Function) -> Function:
    return click.option("--under", type=Named(), metavar="DIR", help="Only photos in this folder or below it.")(
        function
    )


def _known_backend(context: click.Context, parameter: click.Parameter, value: str) -> str:
    # Not click.Choice: an unknown backend ends with the exit code of models, not of usage.
    if value != AUTO:
        way_named(value)
    return value


def _remembered_threads(context: click.Context, parameter: click.Parameter, value: int) -> None:
    context.meta[_THREADS] = value


def utf8(text: str, what: str) -> str:
    """The text of an argument. Raises UsageError for bytes that are not UTF-8: no model can read them."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{what} is not UTF-8.", "Type it in a terminal whose encoding is UTF-8.") from error
    return text


def backend_option(function: Function) -> Function:
    """How the model is run: `--backend`, and `--threads`, which `threads_of` hands out."""
    function = click.option(
        "--threads",
        type=click.IntRange(0),
        metavar="N",
        default=0,
        callback=_remembered_threads,
        expose_value=False,
        help="Threads for the model; by default one for each core.",
    )(function)
    return click.option(
        "--backend",
        shell_complete=lambda context, parameter, typed: [one for one in names() if one.startswith(typed)],
        metavar="NAME",
        callback=_known_backend,
        default=AUTO,
        show_default=True,
        help="How to run the model: onnxruntime, openvino, or a device, as openvino-gpu. A named one is a demand: it "
        "never falls back.",
    )(function)


def model_option(function: Function) -> Function:
    """Of verbs that ask a model by itself, without a library."""
    return click.option(
        "--model",
        metavar="NAME",
        default="starter",
        show_default=True,
        shell_complete=model_names,
        help="The model to ask.",
    )(function)


def _set_names(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    from clipsearch.evaluation.known_sets import KNOWN_SETS

    return [one.name for one in KNOWN_SETS if one.name.startswith(typed)]


def set_option(function: Function) -> Function:
    """Of verbs that read labelled photos: `--set`, as `set_name`."""
    return click.option(
        "--set",
        "set_name",
        metavar="NAME",
        shell_complete=_set_names,
        help="Which published set it is: cifar10, cifar100, fashion-mnist, food101, imagenet or mnist. All its classes "
        "are asked.",
    )(function)


def per_class_option(function: Function) -> Function:
    """Of verbs that read labelled photos: `--per-class`, as `per_class`."""
    return click.option(
        "--per-class",
        type=click.IntRange(1),
        metavar="N",
        help="N photos of each class, drawn by chance, the same ones each time.",
    )(function)


def threads_of(context: click.Context) -> int:
    """What `--threads` says; 0 for one for each core."""
    threads: int = context.meta.get(_THREADS, 0)
    return threads


def files0_option(function: Function) -> Function:
    return click.option(
        "--files0-from",
        "listed",
        metavar="FILE",
        type=Source(),
        callback=_listed,
        help="Take paths from FILE, each ended by a NUL byte; - reads stdin.",
    )(function)


def _listed(context: click.Context, parameter: click.Parameter, file: IO[bytes] | None) -> tuple[Path, ...] | None:
    if file is None:
        return None
    return tuple(Path(os.fsdecode(name)) for name in file.read().split(b"\0") if name)


def count_option(function: Function) -> Function:
    return click.option(
        "-k",
        "count",
        type=click.IntRange(0),
        metavar="N",
        default=20,
        show_default=True,
        help="How many photos; 0 for all.",
    )(function)


def null_option(function: Function) -> Function:
    return click.option("-0", "--null", is_flag=True, help="Paths, each ended by a NUL byte, for xargs -0.")(function)


def json_options(function: Function) -> Function:
    function = click.option("--ndjson", is_flag=True, help="One JSON object a line.")(function)
    return click.option("--json", "as_json", is_flag=True, help="One JSON array, exact and complete.")(function)


def chosen_paths(context: click.Context, library: str | None) -> Paths:
    """Where things lie; `library` is the flag behind the verb, which wins over all else."""
    settings: Settings = context.obj
    return resolved_paths(library) if library else settings.paths


def opened(context: click.Context, library: str | None, backend: str = "auto") -> Library:
    """The library, opened by this process."""
    from clipsearch.cli.notices import noticed
    from clipsearch.library import Library

    context.with_resource(noticed())
    return Library(chosen_paths(context, library), backend=backend, threads=threads_of(context))


def opened_engine(context: click.Context, model: str, backend: str) -> Engine:
    """The model by itself, run as `backend_option` says."""
    from clipsearch.cli.notices import noticed
    from clipsearch.encoding import Engine

    context.with_resource(noticed())
    paths = chosen_paths(context, None)
    return Engine(
        model, backend=backend, threads=threads_of(context), models_folder=paths.models, cache_folder=paths.cache
    )


def answering(context: click.Context, library: str | None, backend: str = "auto") -> AbstractContextManager[LibraryAPI]:
    """Whoever answers soonest, and the same: the service of this library if one runs, else the library, opened here.

    A named backend is a demand that the service was not started with.
    """
    paths = chosen_paths(context, library)
    if backend == "auto" and read_record(paths.library) is not None:
        from clipsearch.service.client import running

        if (service := running(paths)) is not None:
            return service
    return opened(context, library, backend)
