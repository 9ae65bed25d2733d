"""A runtime that never answers."""

import threading

from clipsearch.engine.backends import Way


def ways() -> list[Way]:
    return [Way("hangs")]


def open_session(path, way):
    threading.Event().wait()
