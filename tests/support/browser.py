"""A real browser and real hands: Chromium driven by chromedriver, by the standard library alone (W3C WebDriver)."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
needs_driven_browser = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="no Chromium with chromedriver on this machine"
)
_WAIT_S = 40
KEYS = {"ArrowRight": "\ue014", "ArrowDown": "\ue015", "Enter": "\ue007", "Escape": "\ue00c"}  # W3C WebDriver, 17.4.2


class Browser:
    """One window with one page."""

    def __init__(self, session: str) -> None:
        self._session = session

    def open(self, page: Path) -> None:
        _ask(f"{self._session}/url", {"url": page.as_uri()})

    def run(self, script: str, *arguments: object) -> Any:
        """What `script`, the body of a function, returns."""
        return _ask(f"{self._session}/execute/sync", {"script": script, "args": list(arguments)})

    def until(self, script: str, *arguments: object) -> Any:
        """The first true value of an expression."""
        return until(lambda: self.run(f"return ({script})", *arguments), script)

    def press(self, *keys: str) -> None:
        downs = [{"type": kind, "value": KEYS.get(key, key)} for key in keys for kind in ("keyDown", "keyUp")]
        self._act({"type": "key", "id": "keys", "actions": downs})

    def move(self, x: float, y: float) -> None:
        """The mouse, to a place in the window."""
        self._act(self._pointer([{"type": "pointerMove", "x": round(x), "y": round(y), "duration": 0}]))

    def click(self, x: float, y: float) -> None:
        self.drag(x, y, x, y)

    def drag(self, x: float, y: float, to_x: float, to_y: float) -> None:
        places = [
            {"type": "pointerMove", "x": round(a), "y": round(b), "duration": 20} for a, b in ((x, y), (to_x, to_y))
        ]
        down, up = {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}
        self._act(self._pointer([places[0], down, places[1], up]))

    def wheel(self, x: float, y: float, by: int) -> None:
        scroll = {"type": "scroll", "x": round(x), "y": round(y), "deltaX": 0, "deltaY": by, "duration": 0}
        self._act({"type": "wheel", "id": "wheel", "actions": [scroll]})

    def resize(self, width: int, height: int) -> None:
        _ask(f"{self._session}/window/rect", {"width": width, "height": height})

    def screenshot(self) -> bytes:
        """PNG of the window."""
        return base64.b64decode(_ask(f"{self._session}/screenshot"))

    def windows(self) -> int:
        return len(_ask(f"{self._session}/window/handles"))

    def close_others(self) -> None:
        """Back to the first window; one behind another draws nothing."""
        first, *others = _ask(f"{self._session}/window/handles")
        for other in others:
            _ask(f"{self._session}/window", {"handle": other})
            _ask(f"{self._session}/window", method="DELETE")
        _ask(f"{self._session}/window", {"handle": first})

    def complaints(self) -> list[str]:
        """What the console said, violations of the page's own policy among it; but that a test looks at pixels."""
        return [entry["message"] for entry in self._log("browser") if "getImageData" not in entry["message"]]

    def requests(self) -> list[str]:
        """Addresses that were asked for, but data: and the browser's own first page."""
        events = [json.loads(entry["message"])["message"] for entry in self._log("performance")]
        asked = [one["params"]["request"]["url"] for one in events if one["method"] == "Network.requestWillBeSent"]
        return [url for url in asked if not url.startswith(("data:", "chrome:"))]

    def _log(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = _ask(f"{self._session}/se/log", {"type": kind})
        return found

    def _pointer(self, actions: list[dict[str, Any]]) -> dict[str, Any]:
        return {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": actions}

    def _act(self, *actions: dict[str, Any]) -> None:
        _ask(f"{self._session}/actions", {"actions": list(actions)})


@contextlib.contextmanager
def driven_browser(folder: Path, width: int = 1280, height: int = 800, *arguments: str) -> Iterator[Browser]:
    """A window of its own profile in `folder`."""
    assert CHROMIUM and DRIVER
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = [
        "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", f"--user-data-dir={folder / 'profile'}",
        f"--window-size={width},{height}", *arguments,
    ]  # fmt: skip
    wanted = {
        "browserName": "chrome",
        "goog:chromeOptions": {"binary": CHROMIUM, "args": options},
        "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
    }
    with subprocess.Popen([DRIVER, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as driver:
        try:
            base = f"http://127.0.0.1:{port}"
            until(lambda: _is_ready(base), "chromedriver")
            session = _ask(f"{base}/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
            try:
                yield Browser(f"{base}/session/{session}")
            finally:
                _ask(f"{base}/session/{session}", method="DELETE")
        finally:
            driver.terminate()


def until(condition: Callable[[], Any], what: str) -> Any:
    ends = time.monotonic() + _WAIT_S
    while not (found := condition()):
        assert time.monotonic() < ends, f"in vain: {what}"
        time.sleep(0.02)
    return found


def _is_ready(base: str) -> bool:
    try:
        return bool(_ask(f"{base}/status")["ready"])
    except urllib.error.URLError:
        return False


def _ask(url: str, body: dict[str, Any] | None = None, *, method: str | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{url}: {error.read().decode()[:600]}") from None
