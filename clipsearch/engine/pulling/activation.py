"""Which activation a text tower was exported with. The wrong one loads without an error and finds worse.

OpenAI's, DFN's and MetaCLIP's weights need QuickGELU, x * sigmoid(1.702 x); most others GELU. Exports of OpenAI's with
the wrong one are about (open_clip#771; MODELS 1a), so the graph is looked at, and not its name.
"""

from __future__ import annotations

import mmap
import re
from pathlib import Path

# NodeProto.op_type is field 4, a string: tag 0x22, its length, its letters (onnx.proto). Six to nine bytes in a row
# that must appear once a layer; the weights between them are not read as protocol buffers, only passed over.
_QUICK = re.compile(rb'"(?:\x07Sigmoid|\x09QuickGelu)')
_PLAIN = re.compile(rb'"(?:\x03Erf|\x04Gelu)')
_FEWEST = 3  # layers of the smallest tower; fewer matches are chance


def activation_of(graph: Path) -> str | None:
    """ "quickgelu" or "gelu", or None for a graph that says neither."""
    if graph.stat().st_size == 0:  # which cannot be mapped, and no runtime will open
        return None
    with graph.open("rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as content:
        quick, plain = (len(pattern.findall(content)) for pattern in (_QUICK, _PLAIN))
    if max(quick, plain) < _FEWEST:
        return None
    return "quickgelu" if quick > plain else "gelu"
