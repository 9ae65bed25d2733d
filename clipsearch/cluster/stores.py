"""File systems by URI, through pyarrow: local disks, S3, Google's and Azure's stores, HDFS.

What a store says when it refuses becomes one sentence here. Knows nothing of photos.
"""

from __future__ import annotations

import importlib.util
import os
import re
from functools import lru_cache

from clipsearch.cluster.parcels import Store
from clipsearch.errors import SystemFault, UsageError

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_AWS = re.compile(r"AWS Error ([A-Z_]+)")
_MEANINGS = {  # of the words of AWS, whose language other stores speak too
    "ACCESS_DENIED": "access denied",
    "INVALID_ACCESS_KEY_ID": "it does not know this access key",
    "SIGNATURE_DOES_NOT_MATCH": "it does not accept this secret key",
    "NETWORK_CONNECTION": "nobody answers",
    "NO_SUCH_BUCKET": "there is no such bucket",
    "NO_SUCH_KEY": "no such file or directory",
    "RESOURCE_NOT_FOUND": "no such file or directory",
    "SLOW_DOWN": "it asks for fewer requests",
}


def check_installed() -> None:
    """Raises UsageError without the extra [cluster]."""
    if any(importlib.util.find_spec(name) is None for name in ("ray", "pyarrow", "pandas")):
        raise UsageError(
            "Encoding on a cluster needs Ray, which is not installed.", 'pip install "clipsearch[cluster]"'
        )


def is_uri(text: str) -> bool:
    return _SCHEME.match(text) is not None


def store_of(uri: str) -> tuple[Store, str]:
    """The store that a URI or a local path names, and the path there. Raises UsageError and SystemFault."""
    from pyarrow import ArrowInvalid, ArrowNotImplementedError
    from pyarrow.fs import FileSystem, LocalFileSystem

    if not is_uri(uri):
        return Store("", LocalFileSystem()), os.path.abspath(uri)
    try:
        system, path = FileSystem.from_uri(uri)
    except (ArrowInvalid, ArrowNotImplementedError) as error:
        said_of = _first_line(error).replace(uri, plain(uri))  # a key may stand in it
        reason = "there is no store of this kind." if "Unrecognized" in said_of else said_of
        raise UsageError(
            f"{plain(uri)} cannot be read from: {reason}", "Use a local path, s3://, gs://, abfs:// or hdfs://."
        ) from error
    except OSError as error:
        raise refused(uri, error) from error
    if isinstance(system, LocalFileSystem):
        return Store("", system), path
    return Store(uri.partition("://")[0].lower() + "://", system), path.rstrip("/")


def store_beside(store: Store, bucket: str) -> Store:
    """The store of another URI, `bucket` being its scheme and host: `store` itself where it is of one kind, for it
    holds what was said of addresses and keys. Raises as `store_of`."""
    scheme = bucket.partition("://")[0].lower() + "://"
    return store if scheme == store.prefix and scheme in ("s3://", "gs://") else _bucket(bucket)


@lru_cache(maxsize=64)
def _bucket(bucket: str) -> Store:
    return store_of(bucket + "/")[0]


def plain(uri: str) -> str:
    """Without the options behind it, which may hold a key."""
    return re.sub(r"://[^/@]*@", "://", uri.partition("?")[0]) if is_uri(uri) else uri


def refused(uri: str, error: OSError) -> SystemFault:
    where = "the store's address and your keys" if is_uri(uri) else "the disk and its permissions"
    return SystemFault(f"{plain(uri)} cannot be read ({said(error)}).", f"Check the name, {where}.")


def said(error: Exception) -> str:
    """A disk's or a store's reason, in a few words."""
    text = _first_line(error)
    if found := _AWS.search(text):
        return _MEANINGS.get(found[1], found[1].replace("_", " ").lower())
    if isinstance(error, OSError) and error.errno:  # pyarrow writes a sentence of its own around it
        return os.strerror(error.errno).lower()
    return text[:200]


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
