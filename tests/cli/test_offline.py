"""Nothing leaves the machine, and nothing is written where nobody looks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.program import Program, make_photos


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_the_runtimes_leave_no_identity_of_the_machine(program: Program, backend: str) -> None:
    """Both runtimes send statistics to their makers by default, with an identity that they keep in the home folder."""
    pytest.importorskip(backend)
    make_photos(program.folder / "in", 2)
    home = Path(program.environment["HOME"])
    assert program("index", program.folder / "in", "--backend", backend).code == 0
    assert program("search", "a red square", "--all", "--backend", backend).code == 0
    assert program("status").code == 0
    assert [str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()] == []
