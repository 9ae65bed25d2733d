"""PyTorch weights -> graphs that every backend opens, proven against PyTorch. Needs the extra `export`.

A checkpoint is read by the file named after its kind, which hands over a `LoadedModel`; from there on nobody knows
where it came from. Nothing outside of this package imports torch but its backend, and nothing here is imported before
somebody exports.
"""

from __future__ import annotations

import importlib.util

from clipsearch.errors import ModelError

_NEEDED = ("torch", "transformers", "onnx", "onnxscript", "safetensors", "gguf")


def check_installed() -> None:
    """Raises ModelError where the extra is not installed; loads nothing."""
    if missing := [name for name in _NEEDED if importlib.util.find_spec(name) is None]:
        raise ModelError(
            f"Exporting a model needs packages that are not installed: {', '.join(missing)}.",
            "pip install 'clipsearch[export]'",
        )
