"""Which way of showing pictures a terminal has: forced by name, or told by its environment.

Environment only: a terminal that is asked answers on stdin, which may be a file, a pipe or somebody's typing.
Where the environment does not tell, the answer is half blocks, which work everywhere.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Literal, get_args

from clipsearch.errors import UsageError

Protocol = Literal["kitty", "sixel", "iterm2", "blocks", "none"]
Wanted = Literal["auto", "kitty", "sixel", "iterm2", "blocks", "none"]

WANTED: tuple[Wanted, ...] = get_args(Wanted)
EXTRA = "textual_image"  # what pip installs for clipsearch[graphics]

_KONSOLE = 220_400  # Konsole 22.04 learnt iTerm2's protocol
_ITERM2_PROGRAMS = ("iTerm.app", "WezTerm", "mintty")
_KITTY_PROGRAMS = ("ghostty",)
_SIXEL_TERMS = ("foot", "mlterm", "contour", "yaft")


def detected(environ: Mapping[str, str], *, is_terminal: bool) -> Protocol:
    """What the terminal of this environment shows; "none" where there is no terminal."""
    if not is_terminal:
        return "none"
    term, program = environ.get("TERM", ""), environ.get("TERM_PROGRAM", "")
    # Multiplexers inherit the variables of the terminal around them, and keep its protocols away from us.
    if "TMUX" in environ or "STY" in environ or term.startswith(("tmux", "screen")):
        return "blocks"
    if "KITTY_WINDOW_ID" in environ or term in ("xterm-kitty", "xterm-ghostty") or program in _KITTY_PROGRAMS:
        return "kitty"
    # LC_TERMINAL is what iTerm2 sets because ssh passes LC_* on.
    if program in _ITERM2_PROGRAMS or environ.get("LC_TERMINAL") == "iTerm2":
        return "iterm2"
    if _number(environ.get("KONSOLE_VERSION", "")) >= _KONSOLE:
        return "iterm2"
    if term.startswith(_SIXEL_TERMS):
        return "sixel"
    return "blocks"


def is_installed() -> bool:
    """Whether the extra [graphics] is there. Looks, but does not import: importing it asks the terminal."""
    return importlib.util.find_spec(EXTRA) is not None


def chosen(
    wanted: Wanted,
    environ: Mapping[str, str],
    *,
    is_terminal: bool,
    through_extra: frozenset[Protocol] = frozenset({"sixel"}),
) -> Protocol:
    """The protocol to use: the wanted one is a demand, "auto" takes half blocks where the extra is not installed.

    `through_extra` names the protocols that the caller speaks through the extra [graphics].
    Raises UsageError for a demand that needs it.
    """
    protocol = detected(environ, is_terminal=is_terminal) if wanted == "auto" else wanted
    if protocol not in through_extra or is_installed():
        return protocol
    if wanted == "auto":
        return "blocks"
    raise UsageError(
        f"Pictures by {wanted} need the extra [graphics].",
        "Install it: pip install 'clipsearch[graphics]' · or show them as half blocks: --pictures blocks",
    )


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
