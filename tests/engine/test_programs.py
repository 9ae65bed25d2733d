"""A .pt2 that would run code when it is opened is not opened."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clipsearch.engine.backends import Way, open_session
from clipsearch.errors import ModelError
from tests.support import programs

GRAPH = "models/model.json"
WEIGHTS = "data/weights/model_weights_config.json"
SAMPLES = "data/sample_inputs/model.pt"
Entries = dict[str, bytes]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Entries:
    folder = tmp_path_factory.mktemp("program")
    programs.exported(folder)
    with zipfile.ZipFile(folder / "image.pt2") as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def written(path: Path, entries: Entries) -> Path:
    """An archive as PyTorch's reader takes it: nothing is compressed."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(f"{path.stem}/{name}", content)
    return path


class Touches:
    """Unpickled, it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self._path,))


def pickled(path: Path) -> bytes:
    """As torch.save writes it, which torch.load reads."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(((Touches(path),), {}), protocol=2))
        archive.writestr("archive/version", "3\n")
    return buffer.getvalue()


def edited(entries: Entries, name: str, edit: Callable[[Any], None]) -> Entries:
    value = json.loads(entries[name])
    edit(value)
    return {**entries, name: json.dumps(value).encode()}


def replaced(entries: Entries, old: str, new: str) -> Entries:
    content = entries[GRAPH].decode()
    assert old in content
    return {**entries, GRAPH: content.replace(old, json.dumps(new)[1:-1]).encode()}


def pickled_weight(entries: Entries, path: Path) -> Entries:
    def mark(config: dict[str, Any]) -> None:
        next(iter(config["config"].values()))["use_pickle"] = True

    return {**edited(entries, WEIGHTS, mark), "data/weights/weight_0": pickled(path)}


ATTACKS: dict[str, Callable[[Entries, Path], Entries]] = {
    "a pickled weight": pickled_weight,
    "pickled sample inputs": lambda entries, path: {**entries, SAMPLES: pickled(path)},
    "weights of the older format": lambda entries, path: {**entries, "data/weights/model.pt": pickled(path)},
    "a size that is evaluated": lambda entries, path: replaced(
        entries, "Symbol('s", f"__import__('pathlib').Path('{path}').touch() or Symbol('s"
    ),
    "a size with a function's name": lambda entries, path: replaced(entries, "Symbol('s", "exec('s"),
    "a function that is no operator": lambda entries, path: replaced(
        entries, "torch.ops.aten.tanh.default", "torch.os.system"
    ),
    "a name that is source": lambda entries, path: replaced(
        entries, "pixel_values", f"x=__import__('pathlib').Path('{path}').touch()"
    ),
    "compiled code": lambda entries, path: {**entries, "data/aotinductor/model/model.so": b"\x7fELF"},
    "a container of its own": lambda entries, path: replaced(entries, "builtins.tuple", "collections.namedtuple"),
}


def test_a_program_that_is_plain_opens(good: Entries, tmp_path: Path) -> None:
    """Else what follows proves nothing."""
    session = open_session(written(tmp_path / "plain.pt2", good), Way("pytorch"))
    assert [port.name for port in session.inputs] == ["pixel_values"]


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_program_that_would_run_code_is_refused(attack: str, good: Entries, tmp_path: Path) -> None:
    """A model is data; one that was handed on must not be able to read a person's files."""
    ran = tmp_path / "ran"
    path = written(tmp_path / "program.pt2", ATTACKS[attack](good, ran))
    with pytest.raises(
        ModelError, match=r"PyTorch cannot open .*program\.pt2: (it |its |a size |weight_0 |\"|Weights)"
    ):
        open_session(path, Way("pytorch"))
    assert not ran.exists()
