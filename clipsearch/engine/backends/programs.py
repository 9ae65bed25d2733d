"""What a .pt2 file may hold before PyTorch is let read it. Judges an archive's entries; knows no torch.

torch.export's loader is no parser of data: it unpickles weights that are marked so, objects and sample inputs,
evaluates the expressions of its sizes, makes Python source of its names, calls any function of torch that a node
names, and opens compiled code that lies beside the graph (read in torch 2.13). So an archive is refused unless all it
holds is plain: tensors in raw bytes, sizes in arithmetic, names that are names, nodes that are aten's operators.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

SAMPLES = "data/sample_inputs/model.pt"  # a pickle; the caller loads it with weights only, which torch checks
_GRAPH = "models/model.json"
_CONFIGS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
_ENTRIES = re.compile(
    r"models/model\.json|data/(weights|constants)/model_\1_config\.json|data/weights/weight_\d+|"
    r"data/constants/tensor_\d+|data/sample_inputs/model\.pt|archive_format|archive_version|byteorder|\.data/\w+"
)
_TARGETS = re.compile(r"torch\.ops\.aten(\.\w+)+|torch\.sym_\w+|_operator\.\w+|math\.\w+")
_NAME = re.compile(r"[\w.]*")
_RELEASE = re.compile(r"[\w.+-]*")
_WORDS = re.compile(r"[A-Za-z_]\w*")
_EXPRESSION = re.compile(r"[\w\s()',=+*/<>-]*")
_ARITHMETIC = re.compile(
    "Symbol|Integer|Add|Mul|Pow|Max|Min|Mod|PythonMod|FloorDiv|CleanDiv|CeilDiv|Eq|Ne|Lt|Le|Gt|Ge|And|Or|Not|"
    r"positive|nonnegative|nonzero|integer|finite|real|True|False|[su]\d+"
)
_CONTAINERS = ("builtins.tuple", "builtins.list", "builtins.dict", None)
# Words that no code is made of: where a node comes from, and arguments of operators, which are quoted.
_UNREAD = ("metadata", "as_string", "as_strings")


def check_archive(names: Iterable[str], read: Callable[[str], bytes]) -> None:
    """Raises ValueError with what is not plain about the archive whose entries these are."""
    for name in names:
        if not _ENTRIES.fullmatch(name):
            raise ValueError(f"it holds {name}, which is no graph and no tensor")
    for config in _CONFIGS:
        for weight in json.loads(read(config))["config"].values():
            if weight["use_pickle"] is not False:
                raise ValueError(f"{weight['path_name']} is pickled")
    _check(json.loads(read(_GRAPH)), "")


def _check(value: Any, key: str) -> None:
    if isinstance(value, dict):
        for inner, one in value.items():
            _matches(_NAME, inner)
            if inner not in _UNREAD:
                _check(one, inner)
    elif isinstance(value, list):
        for one in value:
            _check(one, key)
    elif isinstance(value, str):
        _check_text(value, key)


def _check_text(text: str, key: str) -> None:
    if key == "expr_str":
        _matches(_EXPRESSION, text)
        if strange := {word for word in _WORDS.findall(text) if not _ARITHMETIC.fullmatch(word)}:
            raise ValueError(f"a size in it is computed with {', '.join(sorted(strange))}")
    elif key in ("in_spec", "out_spec"):
        _check_containers(json.loads(text))
    elif key == "target":
        _matches(_TARGETS, text)
    else:
        _matches(_RELEASE if key == "torch_version" else _NAME, text)


def _check_containers(spec: Any) -> None:
    """How arguments and results are packed: `[protocol, {type, context, children_spec}]`."""
    if isinstance(spec, list):
        for one in spec:
            _check_containers(one)
    elif isinstance(spec, dict):
        if spec["type"] not in _CONTAINERS:
            raise ValueError(f"its arguments come in a {spec['type']}")
        _check_containers(spec["children_spec"])


def _matches(pattern: re.Pattern[str], text: str) -> None:
    if not pattern.fullmatch(text):
        raise ValueError(f'"{text[:60]}" stands in it')
