"""How a path stands in JSON, alike in answers of the command line, of the service and of its tools.

Apart from wire.py because every command needs it, and few need the rest.
"""

from __future__ import annotations

import base64


def path_fields(path: bytes, name: str = "path") -> dict[str, str]:
    """`path`, and `path_b64` when the name is not UTF-8 and `path` alone could not be turned back."""
    try:
        return {name: path.decode("utf-8")}
    except UnicodeDecodeError:
        return {name: path.decode("utf-8", "backslashreplace"), f"{name}_b64": base64.b64encode(path).decode()}
