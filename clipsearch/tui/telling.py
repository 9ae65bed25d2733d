"""Toasts: what happened, and what to do."""

from __future__ import annotations

import tempfile
import traceback
from typing import Any

from textual.app import App

from clipsearch.errors import ClipsearchError
from clipsearch.printable import printable

_SECONDS, _ERROR_SECONDS = 4, 10


def tell(app: App[Any], message: str, hint: str = "", *, is_error: bool = False) -> None:
    text = "\n".join(printable(line) for line in (*message.split("\n"), *([hint] if hint else [])))
    severity, seconds = ("error", _ERROR_SECONDS) if is_error else ("information", _SECONDS)
    app.notify(text, severity=severity, timeout=seconds, markup=False)  # type: ignore[arg-type]  # one of its literals


def tell_error(app: App[Any], error: Exception) -> None:
    """The toast of an error; one that nobody foresaw is written to a file first."""
    if isinstance(error, ClipsearchError):
        tell(app, error.message, error.hint, is_error=True)
        return
    with tempfile.NamedTemporaryFile("w", prefix="clipsearch-", suffix=".log", delete=False) as log:
        traceback.print_exception(error, file=log)
    what = (
        f"{type(error).__name__}: {error}. This is a mistake of clipsearch; your photos and the library are as before."
    )
    tell(app, what, f"Report it with {log.name}", is_error=True)
