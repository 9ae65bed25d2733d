"""The commands of docs/service.md, run as they stand there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from clipsearch.service.handler import MAX_BODY_BYTES, READ_S, ROUTES
from tests.conftest import REPOSITORY
from tests.service.served import Served

TEXT = (REPOSITORY / "docs" / "service.md").read_text()
COMMANDS = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.splitlines()[-1][:60])
def test_a_command_of_the_page_works(served: Served, at_port: Served, photos: Path, command: str) -> None:
    """The first thing that the author of a plugin tries must not fail."""
    if shutil.which("curl") is None or shutil.which("bash") is None:
        pytest.skip("curl or bash is not installed here")
    environment = {**served.program.environment, "LIBRARY": str(at_port.program.library)}
    environment["SOCKET"] = str(served.program.library / "service.sock")
    done = subprocess.run(
        ["bash", "-euc", command.replace("curl", "curl --silent --show-error --noproxy '*'")],
        cwd=photos,
        env=environment,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert answers and not [answer for answer in answers if "error" in answer], answers


def test_the_page_names_every_request_and_the_limits() -> None:
    """What is not written down is not found."""
    assert len(COMMANDS) >= 6
    for path, (method, _) in ROUTES.items():
        assert f"`{method} {path}`" in TEXT
    assert f"{MAX_BODY_BYTES >> 20} MiB" in TEXT and f"{READ_S:.0f} seconds" in TEXT
