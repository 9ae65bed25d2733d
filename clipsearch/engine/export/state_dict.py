"""Plain checkpoints -> their tensors: what torch.save wrote, with its safe reader only, and safetensors.

A training checkpoint of OpenCLIP keeps the model under `state_dict`, and each name behind `module.`. Knows no model.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch

from clipsearch.errors import ModelError

_HINT = "Fetch it again, or take a copy as .safetensors."


def is_safetensors(path: Path, head: bytes) -> bool:
    """By its first bytes: the length of a JSON object, and its beginning."""
    return len(head) >= 9 and head[8:9] == b"{" and struct.unpack("<Q", head[:8])[0] <= path.stat().st_size - 8


def read_state_dict(path: Path, *, is_safe: bool) -> dict[str, torch.Tensor]:
    """The tensors by name; `is_safe` is a safetensors file. Raises ModelError."""
    found = _safetensors(path) if is_safe else _pickled(path)
    if isinstance(found, Mapping) and isinstance(found.get("state_dict"), Mapping):
        found = found["state_dict"]
    tensors = {
        str(name).removeprefix("module."): value
        for name, value in (found.items() if isinstance(found, Mapping) else ())
        if isinstance(value, torch.Tensor)
    }
    if not tensors:
        raise ModelError(f"{path} holds no state dict: nothing in it is a tensor with a name.", _HINT)
    # Tensors may show the same bytes many times over, and a pickle may ask for more memory than it has numbers.
    if sum(tensor.nbytes for tensor in tensors.values()) > path.stat().st_size:
        raise ModelError(f"{path} promises more numbers than it holds; it was not used.", _HINT)
    return tensors


def _safetensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path} is no safetensors file: {error}", _HINT) from error


def _pickled(path: Path) -> object:
    is_zip = zipfile.is_zipfile(path)
    if is_zip:
        _check_zip(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except Exception as error:  # torch raises what pickle, zip and its own readers raise
        first = str(error).strip().partition("\n")[0]
        raise ModelError(f"{path} is no state dict that can be read without running it: {first}", _HINT) from error


def _check_zip(path: Path) -> None:
    """torch.save compresses nothing: a member that grows is there to fill the memory."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise ModelError(f"{path} is damaged ({error}).", _HINT) from error
    if size > path.stat().st_size:
        raise ModelError(f"{path} would unpack to {size:,} bytes, more than it has; it was not read.", _HINT)
