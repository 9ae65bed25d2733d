"""A runtime whose vectors move with their batch mates, as those of a graph that is quantised as it runs."""

from clipsearch.engine.backends import Way, onnx


def ways() -> list[Way]:
    return [Way("mingles")]


class _Session:
    def __init__(self, session) -> None:
        self._session = session
        self.inputs, self.outputs, self.device = session.inputs, session.outputs, "mingles-cpu"

    def run(self, feeds, output):
        found = self._session.run(feeds, output)
        return found + 0.3 * (found.mean(axis=0) - found) if len(found) > 1 and "pixel" in str(feeds.keys()) else found


def open_session(path, way):
    return _Session(onnx.open_session(path, Way("onnxruntime", threads=way.threads)))
