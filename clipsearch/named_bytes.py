"""Bytes in JSON, as paths stand everywhere in it: a text, and base64 beside it where they are not UTF-8. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any


def named_bytes(name: str, value: bytes) -> dict[str, str]:
    """`name`, and `name_b64` where the bytes are not UTF-8 and the text alone could not be turned back."""
    try:
        return {name: value.decode()}
    except UnicodeDecodeError:
        return {name: value.decode("utf-8", "backslashreplace"), f"{name}_b64": base64.b64encode(value).decode()}


def bytes_named(name: str, fields: Mapping[str, Any]) -> bytes:
    """The bytes that `named_bytes` has named. Raises ValueError, KeyError, TypeError or AttributeError for others."""
    coded = fields.get(f"{name}_b64")
    return bytes(fields[name].encode()) if coded is None else base64.b64decode(coded, validate=True)
