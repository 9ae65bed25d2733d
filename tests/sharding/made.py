"""A share of some folders into a bundle, with a fake model. Imports little: children of tests start with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from clipsearch.bundles.folder import create_folder
from clipsearch.bundles.rows import Header
from clipsearch.bundles.shard import ALL, Shard
from clipsearch.events import Event
from clipsearch.index.catalog import DESCRIPTION
from clipsearch.index.roots import roots_of_no_library
from clipsearch.sharding.encode import encoded_share, folders_of
from tests.support.encoder import HashEncoder, InlineDecoder


def share(
    folder: Path,
    *named: Path,
    shard: Shard = ALL,
    encoder: HashEncoder | None = None,
    exclude: Sequence[str] = (),
    stop: Callable[[], bool] = lambda: False,
) -> list[Event]:
    """What `clipsearch index --bundle` does, with a fake model."""
    encoder = encoder or HashEncoder()
    create_folder(folder)
    roots = roots_of_no_library([os.fsencode(one) for one in named], exclude)
    header = Header(encoder.space, DESCRIPTION, "1.0", shard, folders_of(roots))
    return list(encoded_share(folder, header, roots, encoder, InlineDecoder(encoder.prepare), stop=stop))
