"""TorchScript archives: every tensor comes out as it went in, and nothing that is archived runs."""

from __future__ import annotations

import pickle
import resource
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from clipsearch.engine.export.openai_archive import is_torchscript, read_archive
from clipsearch.errors import ModelError
from tests.support.weights import Touch, archive, save_torchscript

CODE = {"code/__torch__.py": b"def forward(self): return torch.sigmoid(self.x)"}


class Mixed(nn.Module):
    """One of each kind of what an archive may hold."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(2, 3), nn.GELU())
        self.halved = nn.Parameter(torch.randn(3, 2).half())
        self.doubled = nn.Parameter(torch.randn(2, 2).double())
        self.brain = nn.Parameter(torch.randn(2, 3).bfloat16())
        self.turned = nn.Parameter(torch.randn(4, 5).T)
        self.register_buffer("count", torch.tensor(7))
        self.register_buffer("flags", torch.tensor([True, False]))

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        parts = (self.halved, self.doubled, self.brain, self.turned, self.flags)
        return self.inner(given) * sum(part.float().sum() for part in parts) * self.count


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Mixed, Path]:
    torch.manual_seed(0)
    model, path = Mixed(), tmp_path_factory.mktemp("archive") / "mixed.pt"
    return model, save_torchscript(model, path, torch.ones(1, 2))


def test_every_tensor_is_the_one_that_was_saved(mixed: tuple[Mixed, Path]) -> None:
    """A stride or a type that is misread gives a model that loads and finds nothing."""
    model, path = mixed
    assert is_torchscript(path)
    found = read_archive(path).tensors
    assert found.keys() == model.state_dict().keys()
    for name, expected in model.state_dict().items():
        wanted = expected.float().numpy() if expected.dtype == torch.bfloat16 else expected.numpy()
        assert found[name].dtype == wanted.dtype, name
        np.testing.assert_array_equal(found[name], wanted, name)


def test_the_code_is_read_for_its_activation_as_text(mixed: tuple[Mixed, Path], tmp_path: Path) -> None:
    """OpenAI's are QuickGELU; an archive that somebody traced of a GELU model would load under it and find worse."""
    assert read_archive(mixed[1]).activation == "gelu"
    assert read_archive(archive(tmp_path / "a.pt", {"data.pkl": pickle_of({}), **CODE})).activation == "quickgelu"


def test_what_torch_save_writes_is_no_such_archive(tmp_path: Path) -> None:
    """The other reader of .pt files is torch's own, in its safe mode."""
    torch.save({"x": torch.ones(2)}, tmp_path / "plain.pt")
    assert not is_torchscript(tmp_path / "plain.pt")
    (tmp_path / "text.pt").write_text("nothing")
    assert not is_torchscript(tmp_path / "text.pt")


# -- hostile ---------------------------------------------------------------------------------------


def number(value: int) -> bytes:
    size = value.bit_length() // 8 + 1
    return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def group(*parts: bytes) -> bytes:
    return b"(" + b"".join(parts) + b"t"


def tensor(
    shape: tuple[int, ...], stride: tuple[int, ...], *, items: int = 4, key: str = "0", offset: int = 0,
    kind: str = "HalfStorage", call: bytes = b"ctorch._utils\n_rebuild_tensor_v2\n",
) -> bytes:  # fmt: skip
    storage = group(text("storage"), f"ctorch\n{kind}\n".encode(), text(key), text("cpu"), number(items)) + b"Q"
    sizes = (group(*map(number, shape)), group(*map(number, stride)))
    return call + group(storage, number(offset), *sizes, b"\x89", b"ccollections\nOrderedDict\n)R") + b"R"


def module(attributes: dict[str, bytes], kind: bytes = b"c__torch__\nM\n") -> bytes:
    return kind + b")\x81}(" + b"".join(text(name) + value for name, value in attributes.items()) + b"ub"


def pickle_of(attributes: dict[str, bytes]) -> bytes:
    return b"\x80\x02" + module(attributes) + b"."


def test_parts_of_one_storage_are_cut_where_they_lie(tmp_path: Path) -> None:
    """Weights that were made as one, as those of an attention are, share a storage."""
    parts = {"x": tensor((2,), (1,)), "y": tensor((1, 2), (2, 1), offset=2)}
    found = read_archive(archive(tmp_path / "model.pt", {"data.pkl": pickle_of(parts), **DATA, **CODE})).tensors
    assert found["x"].tolist() == [0, 1] and found["y"].tolist() == [[2, 3]]


def nested(depth: int, leaf: bytes) -> bytes:
    return leaf if depth == 0 else module({"m": nested(depth - 1, leaf)})


def doubled(times: int) -> bytes:
    """A module that holds one module twice, which holds one twice, …: 2^times names in a few bytes."""
    inner = module({"x": tensor((4,), (1,))})
    for level in range(times):
        inner = module({"a": inner + b"q" + bytes([level]), "b": b"h" + bytes([level])})
    return b"\x80\x02" + inner + b"."


DATA = {"data/0": np.arange(4, dtype=np.float16).tobytes()}
HOSTILE = {
    "a call that touches a file": None,  # made in the test, for it needs a path
    "the same under our module": module({"x": b"cos\nsystem\n(" + text("touch x") + b"tR"}),
    "an object of a class that is not archived": module({}, kind=b"csubprocess\nPopen\n"),
    "no storage": module({"x": tensor((4,), (1,), key="7")}),
    "a storage outside of the archive": module({"x": tensor((4,), (1,), key="../../x")}),
    "a storage that is shorter than it says": module({"x": tensor((400,), (1,), items=400)}),
    "a storage that is larger than the file": module({"x": tensor((1,), (1,), items=1 << 40)}),
    "a tensor that reaches beyond its storage": module({"x": tensor((2, 4), (4, 1))}),
    "a tensor that begins beyond its storage": module({"x": tensor((2,), (1,), offset=3)}),
    "a tensor that begins before its storage": module({"x": tensor((2,), (1,), offset=-4)}),
    "a tensor of terabytes in one number": module({"x": tensor((1 << 20, 1 << 20), (0, 0))}),
    "a tensor that runs backwards": module({"x": tensor((2,), (-1,), offset=3)}),
    "a tensor of negative size": module({"x": tensor((-2,), (1,))}),
    "a shape without strides": module({"x": tensor((2, 2), (1,))}),
    "tensors that overlap": module({name: tensor((4,), (1,)) for name in "xyz"}),
    "two opinions on one storage": module({"x": tensor((2,), (1,)), "y": tensor((1,), (1,), kind="FloatStorage")}),
    "numbers of an unknown kind": module({"x": tensor((4,), (1,), kind="ComplexFloatStorage")}),
    "another call to make a tensor": module({"x": tensor((4,), (1,), call=b"ctorch._utils\n_rebuild_sparse_tensor\n")}),
    "modules without an end": nested(100, module({"x": tensor((4,), (1,))})),
    "a module in itself": b"c__torch__\nM\n)\x81q\x00}(" + text("m") + b"h\x00ub",
    "a name that is no text": b"c__torch__\nM\n)\x81}(" + number(1) + number(2) + b"ub",
    "a place in the memo that there is not": b"h\x05",
    "an opcode of another protocol": b"\x95\x10\x00\x00\x00\x00\x00\x00\x00",
    "nothing": b"",
    "no module": number(3),
    "tuples within tuples": b"(" * 100_000 + b"t" * 100_000,
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_archive_is_one_error_and_runs_nothing(tmp_path: Path, what: str) -> None:
    """A model from a stranger must not become his program on this machine, nor take its memory."""
    planted = tmp_path / "planted"
    stream = HOSTILE[what]
    content = pickle.dumps(Touch(planted), 2) if stream is None else b"\x80\x02" + stream + b"."
    path = archive(tmp_path / "model.pt", {"data.pkl": content, **DATA, **CODE})
    with pytest.raises(ModelError) as raised:
        read_archive(path)
    assert "nothing of it was run" in raised.value.message and raised.value.hint
    assert not planted.exists()


def test_modules_that_double_themselves_end(tmp_path: Path) -> None:
    """Sixty levels of two are 10^18 names in a kilobyte."""
    path = archive(tmp_path / "model.pt", {"data.pkl": doubled(14), **DATA, **CODE})
    with pytest.raises(ModelError, match="more than 10,000 tensors"):
        read_archive(path)


def test_an_archive_that_grows_is_refused(tmp_path: Path) -> None:
    """Zeros are packed a thousandfold: ten megabytes could ask for all the memory there is."""
    zeros = bytes(64 << 20)
    for members in ({"data.pkl": zeros}, {"data.pkl": pickle_of({"x": tensor((32 << 20,), (1,), items=32 << 20)}),
        "data/0": zeros}):  # fmt: skip
        path = archive(tmp_path / "model.pt", {**members, **CODE}, compressed=True)
        assert path.stat().st_size < 1 << 20
        with pytest.raises(ModelError):
            read_archive(path)


_FUZZ = """
import random, sys
from pathlib import Path
from clipsearch.engine.export.openai_archive import read_archive
from clipsearch.errors import ModelError
whole, broken = Path(sys.argv[1]).read_bytes(), Path(sys.argv[2])
refused = 0
for seed in range(int(sys.argv[3])):
    chance = random.Random(seed)
    content = bytearray(whole)
    for _ in range(chance.randint(1, 4)):
        content[chance.randrange(len(content))] = chance.randrange(256)
    broken.write_bytes(content[: chance.randint(1, len(content))] if seed % 3 == 0 else content)
    try:
        read_archive(broken)
    except ModelError:
        refused += 1
assert refused > seed // 3, refused
"""


def test_damaged_archives_are_errors_in_a_gigabyte(mixed: tuple[Mixed, Path], tmp_path: Path) -> None:
    """A download that broke off, a disk that rots: never a traceback, a hang or all the memory."""
    limit = 1 << 30
    subprocess.run(
        [sys.executable, "-c", _FUZZ, str(mixed[1]), str(tmp_path / "broken.pt"), "300"],
        check=True,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
