"""ONNX Runtime as its Python module shows itself, with execution providers that this machine has not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

IMAGE = SimpleNamespace(name="pixel_values", type="tensor(float)", shape=["batch", 3, 224, 224])
TEXT = SimpleNamespace(name="input_ids", type="tensor(int64)", shape=["batch", "tokens"])
MASK = SimpleNamespace(name="attention_mask", type="tensor(int64)", shape=["batch", "tokens"])
OUTPUT = SimpleNamespace(name="embeds", type="tensor(float)", shape=["batch", 4])


@dataclass
class FakeRuntime:
    """Takes the place of the module; what a test gives it is what it lists, and how it behaves."""

    listed: tuple[str, ...] = ("CPUExecutionProvider",)
    found: tuple[tuple[str, str], ...] = ()  # (provider, kind of hardware) that plug-ins find once they are registered
    inputs: tuple[Any, ...] = (IMAGE,)
    fails: Callable[[list[str]], str | None] = lambda providers: None  # why it does not open
    runs: Callable[[], Any] = lambda: [np.ones((1, 4), np.float32)]
    takes: int = 100  # nodes of 128 that the first provider takes
    sessions: list[Any] = field(default_factory=list)  # in the order they were opened
    registered: list[tuple[str, str]] = field(default_factory=list)
    prints: str = ""  # by preload_dlls

    ExecutionMode = SimpleNamespace(ORT_SEQUENTIAL="sequential")
    GraphOptimizationLevel = SimpleNamespace(ORT_DISABLE_ALL="none")

    def get_available_providers(self) -> list[str]:
        return list(self.listed)

    def get_ep_devices(self) -> list[Any]:
        known = {name for name, _ in self.registered}
        return [
            SimpleNamespace(ep_name=name, device=SimpleNamespace(type=SimpleNamespace(name=kind)))
            for name, kind in self.found
            if name in known
        ]

    def register_execution_provider_library(self, name: str, path: str) -> None:
        assert name not in dict(self.registered), "the runtime refuses a second registration"
        self.registered.append((name, path))

    def set_default_logger_severity(self, level: int) -> None: ...

    def preload_dlls(self, directory: str) -> None:
        if self.prints:
            print(self.prints)

    def SessionOptions(self) -> Any:
        options = SimpleNamespace(entries={}, devices=[], enable_mem_pattern=True, execution_mode=None)
        options.add_session_config_entry = options.entries.__setitem__
        options.add_provider_for_devices = lambda devices, told: options.devices.append((devices, told))
        return options

    def InferenceSession(self, source: Any, options: Any, providers: Any = None, enable_fallback: int = 1) -> Any:
        session = _Session(self, options, providers)
        self.sessions.append(session)
        if (words := self.fails(session.names)) is not None:
            if not enable_fallback:
                raise RuntimeError(words)
            print("EP Error, falling back")  # as the runtime does
            session.names = ["CPUExecutionProvider"]
        return session

    @property
    def last(self) -> _Session:
        session: _Session = self.sessions[-1]
        return session


class _Session:
    def __init__(self, runtime: FakeRuntime, options: Any, providers: Any) -> None:
        self._runtime = runtime
        self.options = options
        if options.devices:
            ((devices, told),) = options.devices
            self.told = {devices[0].ep_name: told}
            self.devices = devices
        else:
            self.told = dict(one if isinstance(one, tuple) else (one, {}) for one in providers)
        self.names = [*self.told, *(["CPUExecutionProvider"] if options.devices else [])]

    def get_inputs(self) -> list[Any]:
        return list(self._runtime.inputs)

    def get_outputs(self) -> list[Any]:
        return [OUTPUT]

    def get_providers(self) -> list[str]:
        return self.names

    def get_provider_graph_assignment_info(self) -> list[Any]:
        assert self.options.entries["session.record_ep_graph_assignment_info"] == "1"
        parts = {self.names[0]: self._runtime.takes, "CPUExecutionProvider": 128 - self._runtime.takes}
        return [
            SimpleNamespace(ep_name=name, get_nodes=lambda count=count: [None] * count)
            for name, count in parts.items()
            if count
        ]

    def run(self, outputs: list[str], feeds: dict[str, Any]) -> Any:
        self.feeds = feeds
        return self._runtime.runs()
