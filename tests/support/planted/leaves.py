"""A driver that ends its process, content with itself and without a word."""

import os


def ways() -> list:
    os._exit(0)


def open_session(path, way):
    return ways()
