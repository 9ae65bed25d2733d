"""A driver that ends its process."""

import os
import signal


def ways() -> list:
    os.kill(os.getpid(), signal.SIGSEGV)
    raise AssertionError("still here")


def open_session(path, way):
    return ways()
