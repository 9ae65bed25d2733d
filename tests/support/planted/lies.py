"""A runtime that computes something else, and one whose answer depends on the batch."""

import numpy as np

from clipsearch.engine.backends import Way, onnx


def ways() -> list[Way]:
    return [Way("lies")]


class _Session:
    def __init__(self, session) -> None:
        self._session = session
        self.inputs, self.outputs, self.device = session.inputs, session.outputs, "lies-cpu"

    def run(self, feeds, output):
        return np.roll(self._session.run(feeds, output), 1, axis=1)


def open_session(path, way):
    return _Session(onnx.open_session(path, Way("onnxruntime", threads=way.threads)))
