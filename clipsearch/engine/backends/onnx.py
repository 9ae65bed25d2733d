"""ONNX Runtime and its execution providers. Wraps the runtime and translates its errors; knows no model.

Never falls back: its own second tries are switched off, and a provider that took no node of the graph is refused,
for "listed" is not "runs". What each provider is told stands in providers.py.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import io
import logging
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from clipsearch.engine.backends import ANOTHER, Port, Session, Way
from clipsearch.engine.backends.bare import BareGraph, bare_graph
from clipsearch.engine.backends.providers import RECIPES, Graph, Recipe
from clipsearch.errors import ModelError
from clipsearch.ways import DEVICES

logger = logging.getLogger(__name__)

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(uint8)": "uint8",
}


def ways() -> list[Way]:
    """One for each provider that this build or a plug-in lists; whether it works is found out by running it."""
    return [
        Way("onnxruntime", device, arithmetic)
        for device, recipe in RECIPES.items()
        if not recipe.takes_minutes and _is_listed(recipe)
        for arithmetic in DEVICES["onnxruntime"][device]
    ]


def open_session(path: Path, way: Way) -> Session:
    recipe = RECIPES[way.device]
    _check_listed(recipe, way)
    missed = _load_cuda() if "cuda" in (way.device, *recipe.behind) else ""
    try:
        bare = bare_graph(path) if recipe.bare else None
        graph = _looked_at(path, recipe)
        session = _opened(bare.model if bare else str(path), way, recipe, graph, path.name)
    except ModelError:
        raise
    except Exception as error:  # the runtime raises its own classes straight from Exception
        hint = "Fetch the model again." if way.device == "cpu" else ANOTHER
        raise ModelError(f"ONNX Runtime cannot open {path} on {way.device}: {error}{missed}", hint) from error
    return _OnnxSession(session, way, path, bare)


def _opened(source: str | bytes, way: Way, recipe: Recipe, graph: Graph, name: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = way.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # nothing on stderr: warnings are not for the user, errors come as exceptions
    options.enable_cpu_mem_arena = False  # memory grows with every new shape otherwise (onnxruntime#9313)
    if recipe.in_order:
        options.enable_mem_pattern = False
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    if way.device != "cpu":
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    providers: list[tuple[str, dict[str, str]]] | None = None
    if recipe.plugin is None:
        chain = (way.device, *recipe.behind, *(["cpu"] if way.device != "cpu" else []))
        providers = [(RECIPES[one].provider, RECIPES[one].options(way, graph)) for one in chain]
    else:
        options.add_provider_for_devices(_devices(recipe)[:1], recipe.options(way, graph))
    if recipe.takes_minutes and not (graph.kept and any(graph.kept.iterdir())):
        often = "once" if graph.kept else "each time, for the model's folder cannot be written"
        logger.info("Building the %s engine of %s for this GPU: minutes, %s.", way.device, name, often)
    # Without the last word a provider that fails is replaced by the CPU, and a line on stdout is all that tells.
    return onnxruntime.InferenceSession(source, options, providers=providers, enable_fallback=0)


def _load_cuda() -> str:
    """Loads the libraries that pip installed, where no loader looks for them; what it prints of those it misses."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        onnxruntime.preload_dlls(directory="")
    return said.getvalue() and f" ({' '.join(said.getvalue().split())})"


def _looked_at(path: Path, recipe: Recipe) -> Graph:
    """What a provider that compiles must know; the graph is opened on the CPU for it, unoptimised."""
    if not recipe.compiles:
        return Graph((), None)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return Graph(tuple(map(_port, session.get_inputs())), _kept(path))


def _kept(path: Path) -> Path | None:
    """A folder beside the model for what is compiled from it. Its name holds the graph's digest: providers tell a
    graph by its nodes' names, and would take another model's engine for this one's."""
    if not os.access(path.parent, os.W_OK):
        return None
    with path.open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    folder = path.parent / "compiled" / f"{path.stem}-{digest[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


# -- what is there --------------------------------------------------------------------------------


def _is_listed(recipe: Recipe) -> bool:
    if recipe.plugin is None:
        return recipe.provider in onnxruntime.get_available_providers()
    return importlib.util.find_spec(recipe.plugin) is not None and bool(_devices(recipe))


def _check_listed(recipe: Recipe, way: Way) -> None:
    if recipe.plugin is not None and importlib.util.find_spec(recipe.plugin) is None:
        raise ModelError(f"{way.name}: its plug-in is not installed.", recipe.install)
    if not _is_listed(recipe):
        if recipe.plugin is None:
            raise ModelError(f"{way.name}: this build of ONNX Runtime has no {recipe.provider}.", recipe.install)
        raise ModelError(
            f"{way.name}: its plug-in finds no device here.", "Install the device's driver, or use --backend auto"
        )


def _devices(recipe: Recipe) -> list[Any]:
    """The plug-in's devices of the recipe's kind. Raises ModelError where the plug-in cannot be loaded."""
    assert recipe.plugin is not None
    _register(recipe.plugin, recipe.provider)
    return [
        one
        for one in onnxruntime.get_ep_devices()
        if one.ep_name == recipe.provider and recipe.hardware in (None, one.device.type.name)
    ]


@cache
def _register(plugin: str, provider: str) -> None:
    """Loads the plug-in's library into the runtime, once in a process."""
    onnxruntime.set_default_logger_severity(4)  # it warns on stderr before there is a session to ask
    os.environ.setdefault("ORT_GGML_LOG", "off")  # that one's own lines
    try:
        module = importlib.import_module(plugin)
        # The name of this function differs among them; some take the name they are registered by for their own.
        library = module.get_library_path() if hasattr(module, "get_library_path") else module.library_path()
        onnxruntime.register_execution_provider_library(provider, library)
    except Exception as error:  # as the runtime raises them
        raise ModelError(f"The plug-in {plugin} cannot be loaded: {error}", ANOTHER) from error


# -- an open graph --------------------------------------------------------------------------------


class _OnnxSession:
    def __init__(self, session: onnxruntime.InferenceSession, way: Way, path: Path, bare: BareGraph | None) -> None:
        self._session = session
        self._bare = bare
        self.inputs = tuple(map(_port, session.get_inputs()))
        if bare is not None:
            self.inputs = (replace(self.inputs[0], shape=bare.picture), *self.inputs[1:])
        self.outputs = tuple(map(_port, session.get_outputs()))
        self.placed = _placed(session)  # provider -> nodes of the graph that it runs; empty on the CPU alone
        provider = RECIPES[way.device].provider
        if not (self.placed[provider] if self.placed else provider == session.get_providers()[0]):
            nodes = f"none of its {self.placed.total()} nodes" if self.placed else "nothing of it"
            raise ModelError(
                f"{way.name} was asked for, and ONNX Runtime runs {path.name} on the CPU: {provider} took {nodes}.",
                ANOTHER,
            )
        self.device = way.name
        if self.placed:
            logger.debug("%s on %s: %d of %d nodes", path.name, way.name, self.placed[provider], self.placed.total())

    def run(self, feeds: Mapping[str, NDArray[np.generic]], output: str) -> NDArray[np.float32]:
        try:
            (result,) = self._session.run([output], dict(feeds) if self._bare is None else self._bare.fed(feeds))
        except Exception as error:  # as above
            raise ModelError(f"ONNX Runtime failed: {error}", "Try another one: --backend openvino") from error
        return np.asarray(result, np.float32)


def _placed(session: onnxruntime.InferenceSession) -> Counter[str]:
    """How many nodes of the graph each provider runs, where the session was asked to record it."""
    if session.get_providers() == ["CPUExecutionProvider"] or not hasattr(
        session, "get_provider_graph_assignment_info"
    ):
        return Counter()  # the latter: a runtime before 1.24
    counts: Counter[str] = Counter()
    for part in session.get_provider_graph_assignment_info():
        counts[part.ep_name] += len(part.get_nodes())
    return counts


def _port(node: onnxruntime.NodeArg) -> Port:
    shape = tuple(size if isinstance(size, int) else None for size in node.shape)
    return Port(node.name, _DTYPES.get(node.type, node.type), shape)
