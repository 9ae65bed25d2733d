"""clipsearch: grep for photos, by meaning, on your own machine.

    Library      index, search, similar, classify: what the command line does
    Engine       texts and images to vectors, cosines and labels, without a library

Both are documented in docs/api.md; what they answer with is in `clipsearch.types`, and what happens in a run in
`clipsearch.events`. Names resolve when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

# ONNX Runtime would write an identity of the machine to the user's cache and send events about each run to its maker.
# It looks when it is loaded, which more than one module does; this one comes before all of them.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"
__all__ = [
    "ClipsearchError",
    "EncodedImages",
    "Engine",
    "Library",
    "LibraryError",
    "ModelError",
    "SystemFault",
    "UsageError",
    "__version__",
]

_HOMES = {
    "Library": "clipsearch.library",
    "Engine": "clipsearch.encoding",
    "EncodedImages": "clipsearch.encoding",
    "ClipsearchError": "clipsearch.errors",
    "UsageError": "clipsearch.errors",
    "LibraryError": "clipsearch.errors",
    "ModelError": "clipsearch.errors",
    "SystemFault": "clipsearch.errors",
}

if TYPE_CHECKING:
    from clipsearch.encoding import EncodedImages, Engine
    from clipsearch.errors import ClipsearchError, LibraryError, ModelError, SystemFault, UsageError
    from clipsearch.library import Library
else:  # or a type checker would believe that any name exists

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(_HOMES[name]), name)

    def __dir__() -> list[str]:
        return sorted(globals() | _HOMES)
