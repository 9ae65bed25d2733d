"""The tree of errors a caller may meet, each with a hint and an exit code.

    ClipsearchError
    ├── UsageError    2   an option, a query's syntax, a label set
    ├── LibraryError  3   the library: locked, newer, damaged beyond repair, not there
    ├── ModelError    4   the model or a backend: unknown, not installed, failed its verification
    └── SystemFault   5   no space, no permission, a source that cannot be read

Leaves are by what the user can do, not by where the error was raised. A photo that cannot be read
is not here: it is data (`types.Failure`).
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of the program; docs and the man page are made from this table."""

    meaning: str

    def __new__(cls, code: int, meaning: str) -> Exit:
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    DONE = 0, "done; for a query: something was found"
    NOTHING_FOUND = 1, "a query found nothing; with `index --strict`: a file could not be read"
    USAGE = 2, "usage: an option, a setting, a query's syntax, a label set"
    LIBRARY = 3, "the library: locked, newer, damaged, not there"
    MODEL = 4, "the model or a backend: unknown, not installed, failed its check"
    SYSTEM = 5, "the system: no space, no permission, a source that cannot be read, a command of `--exec` that failed"
    INTERRUPTED = 130, "interrupted, with everything so far kept"


class ClipsearchError(Exception):
    """Says what is wrong, with the name of the thing, and what to do next."""

    exit_code = Exit.SYSTEM

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(ClipsearchError):
    exit_code = Exit.USAGE


class LibraryError(ClipsearchError):
    exit_code = Exit.LIBRARY


class LibraryBusy(LibraryError):
    """Another process writes to it. `holder` is that process and its purpose."""

    def __init__(self, message: str, hint: str, holder: str) -> None:
        super().__init__(message, hint)
        self.holder = holder


class ModelError(ClipsearchError):
    exit_code = Exit.MODEL


class SystemFault(ClipsearchError):
    exit_code = Exit.SYSTEM
