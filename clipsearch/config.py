"""Where everything lies: the library, the cache, the models. Flag > environment > platform default.

Nothing below `library.py` reads the environment; nothing here opens a file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LIBRARY_VARIABLE = "CLIPSEARCH_LIBRARY"
CACHE_VARIABLE = "CLIPSEARCH_CACHE"
MODELS_VARIABLE = "CLIPSEARCH_MODELS"


@dataclass(frozen=True, slots=True)
class Paths:
    """Every place on disk that clipsearch writes to or looks in by itself."""

    library: Path  # catalog.db, vectors/, writer.lock
    cache: Path  # cache.db: may be deleted at any time
    models: Path  # one folder a model


def platform_folder(kind: str) -> Path:
    """The platform's own folder for clipsearch. `kind` is "data", "cache" or, for sockets, "runtime"."""
    import platformdirs  # here, so that a test which forbids it shows who asked for a home directory

    if kind == "cache":
        return Path(platformdirs.user_cache_dir("clipsearch", appauthor=False))
    if kind == "runtime":
        return Path(platformdirs.user_runtime_dir("clipsearch", appauthor=False))
    return Path(platformdirs.user_data_dir("clipsearch", appauthor=False))


def resolved_paths(library: str | None, environment: Mapping[str, str] | None = None) -> Paths:
    """Paths from the `--library` flag, the environment and the platform, in this order."""
    variables = os.environ if environment is None else environment
    library = library or variables.get(LIBRARY_VARIABLE)
    cache = variables.get(CACHE_VARIABLE)
    models = variables.get(MODELS_VARIABLE)
    return Paths(
        library=_absolute(library) if library else platform_folder("data") / "default",
        cache=_absolute(cache) if cache else platform_folder("cache"),
        models=_absolute(models) if models else platform_folder("data") / "models",
    )


def _absolute(text: str) -> Path:
    # Not Path.expanduser, which raises RuntimeError for ~nobody-of-this-name.
    return Path(os.path.expanduser(text)).absolute()
