"""When something was, as a person says it: "2 minutes ago", "on Tuesday", "on 3 November"."""

from __future__ import annotations

from datetime import datetime

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def ago(at: str, now: datetime | None = None) -> str:
    """From an ISO time with its zone; days are those of this machine's zone."""
    then = datetime.fromisoformat(at).astimezone()
    now = (now or datetime.now()).astimezone()
    seconds = (now - then).total_seconds()
    if seconds < _MINUTE:  # also a clock that was set back
        return "just now"
    if seconds < _HOUR:
        return _several(int(seconds // _MINUTE), "minute")
    days = (now.date() - then.date()).days
    if days == 0 or seconds < 6 * _HOUR:
        return _several(int(seconds // _HOUR), "hour")
    if days == 1:
        return "yesterday"
    if days < 7:
        return f"on {then:%A}"
    return f"on {then.day} {then:%B}" + (f" {then.year}" if then.year != now.year else "")


def lasting(at: str, now: datetime | None = None) -> str:
    """How long something has been so: "for 2 minutes", "since Tuesday"."""
    words = ago(at, now)
    if words == "just now":
        return "since a moment ago"
    return f"for {words.removesuffix(' ago')}" if words.endswith(" ago") else f"since {words.removeprefix('on ')}"


def _several(count: int, unit: str) -> str:
    return f"{count} {unit}{'' if count == 1 else 's'} ago"
