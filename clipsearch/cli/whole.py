"""What a bundle that is whole holds, as the commands that write bundles say it. Knows neither of them."""

from __future__ import annotations

from pathlib import Path

from clipsearch.cli import output


def tell_whole(bundle: Path) -> None:
    from clipsearch.bundles.folder import read_manifest

    whole = read_manifest(bundle)
    held = [f"{whole.photos:,} photos"]
    held += [f"{whole.copies:,} copies"] if whole.copies else []
    held += [f"{whole.unread:,} not readable"] if whole.unread else []
    output.narrate(f"{bundle} is whole: {', '.join(held)}. Into a library: clipsearch merge {bundle}")
