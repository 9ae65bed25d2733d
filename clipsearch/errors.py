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
    """Exit codes of the program; README and docs quote this table."""

    DONE = 0
    NOTHING_FOUND = 1
    USAGE = 2
    LIBRARY = 3
    MODEL = 4
    SYSTEM = 5
    INTERRUPTED = 130


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


class ModelError(ClipsearchError):
    exit_code = Exit.MODEL


class SystemFault(ClipsearchError):
    exit_code = Exit.SYSTEM
