"""Settings, each declared once, and every path on disk. Flag > environment > settings file > default.

Resolved in two steps: `given` collects what flags, environment and file say and checks each where it stands;
`resolved` fills in the defaults. Nothing below `library.py` reads the environment; the settings file is the
only file that is opened here.
"""

from __future__ import annotations

import difflib
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from clipsearch.errors import SystemFault, UsageError
from clipsearch.ways import AUTO, names

LIBRARY_VARIABLE = "CLIPSEARCH_LIBRARY"
CACHE_VARIABLE = "CLIPSEARCH_CACHE"
MODELS_VARIABLE = "CLIPSEARCH_MODELS"
CONFIG_VARIABLE = "CLIPSEARCH_CONFIG"

BACKENDS = names()
COLORS = ("auto", "always", "never")
SHARED_PREFIX = "lance:"
SHARED_TABLE = "photos.lance"  # in a shared library; a folder that has it is one

Value = TypeVar("Value")


class _Unfit(Exception):
    """Holds what the setting takes instead."""


@dataclass(frozen=True, slots=True)
class Setting(Generic[Value]):
    """One row of the table that the program, `config show` and the docs are made from."""

    name: str  # its key in the settings file
    doc: str
    shown_default: str
    default: Callable[[], Value]
    read: Callable[[object, Path], Value]  # (what is said, where relative paths begin); raises _Unfit
    variable: str | None = None
    flag: str | None = None
    from_text: Callable[[str], object] = str  # what the variable's text stands for, as TOML would say it


@dataclass(frozen=True, slots=True)
class Given:
    """What somebody has set, and where."""

    value: Any  # of the type of the Setting
    origin: str


@dataclass(frozen=True, slots=True)
class SharedLibrary:
    """A library that others read too; `--library lance:URI` names it."""

    uri: str  # of an object store, or an absolute path

    @classmethod
    def named(cls, text: str, base: Path = Path()) -> SharedLibrary:
        """By a URI, or a path relative to `base`; with the prefix of --library or without. Raises UsageError."""
        text = text.removeprefix(SHARED_PREFIX)
        if not text:
            raise UsageError(
                f"A shared library without a name: nothing follows {SHARED_PREFIX}",
                f"Name a folder or a URI: {SHARED_PREFIX}/mnt/share/archive",
            )
        return cls((text if "://" in text else str(_absolute(text, base))).rstrip("/"))

    def __str__(self) -> str:
        return SHARED_PREFIX + self.uri


@dataclass(frozen=True, slots=True)
class Paths:
    """Every place on disk that clipsearch writes to or looks in by itself."""

    library: Path  # catalog.db, vectors/, writer.lock; of a shared library what is kept of it here
    cache: Path  # cache.db: may be deleted at any time
    models: Path  # one folder a model
    shared: SharedLibrary | None = None  # where the library is, if it is none of one's own

    @property
    def named(self) -> str:
        """The library as --library takes it."""
        return str(self.shared or self.library)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, as they hold. `origins` says where each comes from."""

    library: Path | SharedLibrary
    cache: Path
    models: Path
    backend: str
    threads: int
    count: int
    color: str
    keys: Mapping[str, str]  # action of the terminal interface -> key
    origins: Mapping[str, str]

    @property
    def paths(self) -> Paths:
        if isinstance(self.library, SharedLibrary):
            return Paths(_kept_of(self.library, self.cache), self.cache, self.models, self.library)
        return Paths(self.library, self.cache, self.models)


def platform_folder(kind: str) -> Path:
    """The platform's own folder for clipsearch. `kind` is "data", "cache", "config" or, for sockets, "runtime"."""
    import platformdirs  # here, so that a test which forbids it shows who asked for a home directory

    if kind == "cache":
        return Path(platformdirs.user_cache_dir("clipsearch", appauthor=False))
    if kind == "config":
        return Path(platformdirs.user_config_dir("clipsearch", appauthor=False))
    if kind == "runtime":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that XDG_RUNTIME_DIR is not set, as in a container: /tmp is as good
            return Path(platformdirs.user_runtime_dir("clipsearch", appauthor=False))
    return Path(platformdirs.user_data_dir("clipsearch", appauthor=False))


def settings_file(environment: Mapping[str, str] | None = None) -> Path:
    """Where the settings file is looked for; it need not be there."""
    named = (os.environ if environment is None else environment).get(CONFIG_VARIABLE)
    return _absolute(named, Path()) if named else platform_folder("config") / "config.toml"


def resolved_settings(
    flags: Mapping[str, object] | None = None, environment: Mapping[str, str] | None = None
) -> Settings:
    """Both steps at once; `flags` that are None were not given. Raises UsageError and SystemFault."""
    return resolved(given(flags or {}, os.environ if environment is None else environment))


def resolved_paths(library: str | None, environment: Mapping[str, str] | None = None) -> Paths:
    return resolved_settings({"library": library}, environment).paths


def given(flags: Mapping[str, object], environment: Mapping[str, str]) -> dict[str, Given]:
    """Step one: what is set, by whoever comes first, checked where it is said.

    Raises UsageError for an unknown setting or a value that does not fit, SystemFault for a file that cannot be read.
    """
    file = settings_file(environment)
    here = Path()
    found = _read_file(file, is_named=bool(environment.get(CONFIG_VARIABLE)))
    for setting in SETTINGS:
        if setting.variable and environment.get(setting.variable):
            said = setting.from_text(environment[setting.variable])
            value = _checked(setting, said, here, setting.variable)
            found[setting.name] = Given(value, f"environment {setting.variable}")
        flag = flags.get(setting.name)
        if flag is not None and flag != "":
            value = _checked(setting, flag, here, str(setting.flag))
            found[setting.name] = Given(value, f"flag {setting.flag}")
    return found


def resolved(found: Mapping[str, Given]) -> Settings:
    """Step two: the defaults for what nobody has set."""

    def value(setting: Setting[Value]) -> Value:
        known = found.get(setting.name)
        chosen: Value = setting.default() if known is None else known.value
        return chosen

    keys: dict[str, str] = value(KEYS)
    return Settings(
        library=value(LIBRARY),
        cache=value(CACHE),
        models=value(MODELS),
        backend=value(BACKEND),
        threads=value(THREADS),
        count=value(COUNT),
        color=value(COLOR),
        keys=MappingProxyType(keys),
        origins=MappingProxyType(
            {one.name: found[one.name].origin if one.name in found else "default" for one in SETTINGS}
        ),
    )


def _read_file(file: Path, *, is_named: bool) -> dict[str, Given]:
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        if is_named:
            raise UsageError(
                f"The settings file {file} is not there.", f"Write it, or unset {CONFIG_VARIABLE}."
            ) from None
        return {}
    except OSError as error:
        raise SystemFault(
            f"The settings file {file} cannot be read ({error.strerror}).",
            f"Change its permissions, or name another one with {CONFIG_VARIABLE}.",
        ) from error
    if not content.strip():
        return {}
    import tomllib  # here: most people have no settings file, and pay nothing for it

    try:
        said = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"The settings file {file} is not TOML: {error}.", "Each line is: name = value") from error
    known = {setting.name: setting for setting in SETTINGS}
    for name in said:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            did = f'Did you mean "{near[0]}"? ' if near else ""
            raise UsageError(f'{file}: there is no setting "{name}".', f"{did}The settings are {', '.join(known)}.")
    return {
        name: Given(_checked(known[name], value, file.parent, f"{file}: {name}"), str(file))
        for name, value in said.items()
    }


def _checked(setting: Setting[Value], said: object, base: Path, where: str) -> Value:
    try:
        return setting.read(said, base)
    except _Unfit as takes:
        shown = f'"{said}"' if isinstance(said, str) else str(said)
        raise UsageError(f"{where} is {shown}, which does not fit.", f"It takes {takes}.") from None


def _folder(said: object, base: Path) -> Path:
    if not isinstance(said, str) or not said:
        raise _Unfit("the path of a folder, in quotes")
    return _absolute(said, base)


def _library(said: object, base: Path) -> Path | SharedLibrary:
    is_shared = isinstance(said, str) and said.startswith(SHARED_PREFIX)
    # A URI without the prefix would be a folder s3: here, and `index` would make it.
    if not isinstance(said, str) or said in ("", SHARED_PREFIX) or ("://" in said and not is_shared):
        raise _Unfit(f"the path of a folder, or {SHARED_PREFIX}URI, in quotes")
    return SharedLibrary.named(said, base) if is_shared else _absolute(said, base)


def _kept_of(shared: SharedLibrary, cache: Path) -> Path:
    """The folder for what is kept here of a shared library; a URI is no name of a folder."""
    import hashlib

    return cache / "shared" / hashlib.sha256(os.fsencode(shared.uri)).hexdigest()[:16]


def _absolute(text: str, base: Path) -> Path:
    # Not Path.expanduser, which raises RuntimeError for ~nobody-of-this-name.
    return (base / os.path.expanduser(text)).absolute()


def _one_of(*allowed: str) -> Callable[[object, Path], str]:
    def read(said: object, base: Path) -> str:
        if not isinstance(said, str) or said not in allowed:
            raise _Unfit(f"one of {', '.join(allowed)}")
        return said

    return read


def _whole_number(said: object, base: Path) -> int:
    if not isinstance(said, int) or isinstance(said, bool) or said < 0:
        raise _Unfit("a whole number from 0 on, without quotes")
    return said


def _number_from(text: str) -> object:
    return int(text) if text.isascii() and text.isdigit() else text


def _key_table(said: object, base: Path) -> dict[str, str]:
    if not isinstance(said, dict) or not all(isinstance(key, str) and key for key in said.values()):
        raise _Unfit('a table of actions and their keys: [keys] and below it "photo.open" = "ctrl+o"')
    return dict(said)


LIBRARY: Setting[Path | SharedLibrary] = Setting(
    "library",
    "The folder of the library: what is known of the photos. Keep it on a local disk. "
    "Or lance:URI, a shared library of clipsearch export.",
    "default/ in the platform's data folder",
    lambda: platform_folder("data") / "default",
    _library,
    LIBRARY_VARIABLE,
    "--library",
)
CACHE = Setting(
    "cache",
    "The folder of what may be deleted at any time: vectors of texts, thumbnails.",
    "the platform's cache folder",
    lambda: platform_folder("cache"),
    _folder,
    CACHE_VARIABLE,
)
MODELS = Setting(
    "models",
    "The folder of the models, one folder each.",
    "models/ in the platform's data folder",
    lambda: platform_folder("data") / "models",
    _folder,
    MODELS_VARIABLE,
)
BACKEND = Setting(
    "backend",
    "How to run the model: auto, a runtime (onnxruntime, openvino, pytorch), or one of its devices: "
    "docs/backends.md lists them. A named one is a demand: it never falls back.",
    AUTO,
    lambda: AUTO,
    _one_of(*BACKENDS),
    "CLIPSEARCH_BACKEND",
    "--backend",
)
THREADS = Setting(
    "threads",
    "How many threads run the model; 0 for as many as there are usable cores.",
    "0",
    lambda: 0,
    _whole_number,
    "CLIPSEARCH_THREADS",
    "--threads",
    _number_from,
)
COUNT = Setting(
    "count",
    "How many photos a search finds; 0 for all.",
    "20",
    lambda: 20,
    _whole_number,
    "CLIPSEARCH_COUNT",
    "-k",
    _number_from,
)
COLOR = Setting(
    "color",
    "When to use colours: auto (on a terminal, unless NO_COLOR is set), always, never.",
    "auto",
    lambda: "auto",
    _one_of(*COLORS),
    "CLIPSEARCH_COLOR",
    "--color",
)
KEYS: Setting[dict[str, str]] = Setting(
    "keys",
    "A table of actions of the terminal interface and the keys you want for them; its help (?) names them all.",
    "none: the keys that its help shows",
    dict,
    _key_table,
)

# The order is that of `config show` and docs.
SETTINGS: tuple[Setting[Any], ...] = (LIBRARY, CACHE, MODELS, BACKEND, THREADS, COUNT, COLOR, KEYS)
