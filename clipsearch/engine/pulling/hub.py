"""A model repository on a hub: what a commit holds, and its files. No other code of clipsearch reaches the network.

huggingface_hub speaks the protocol: endpoint (HF_ENDPOINT), token (HF_TOKEN), proxies, offline mode (HF_HUB_OFFLINE),
what an answer of the server means. Its own download of a file is not used: it begins again after every interruption
(since its version 2.4 each attempt writes a file of its own and deletes it) and compares sizes only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import httpx2
from huggingface_hub import HfApi, constants, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # public, and documented, but not re-exported by name
    build_hf_headers,
    get_session,
    hf_raise_for_status,
)

from clipsearch.engine.pulling.sources import CHUNK, Digest, SourceFile, Waiting, safe_path
from clipsearch.errors import ClipsearchError, ModelError, SystemFault

# The library would tell the server which frameworks and assistants are installed here, and ask the hub for a list of
# them; Xet, its second way of downloading, keeps a cache and logs in the home folder and cannot go on where it stopped.
constants.HF_HUB_DISABLE_TELEMETRY = True
constants.HF_HUB_DISABLE_XET = True
_SAID_OF_US = {"user-agent": "clipsearch"}  # not which Python, which versions

TRIES = 5  # without a byte of progress
_FIRST_WAIT_S = 1.0  # doubles each time
_LONGEST_WAIT_S = 60.0  # whatever the server wishes: nobody watches a line that stands for an hour
_PASSING = (408, 429, 500, 502, 503, 504)

T = TypeVar("T")


class HubRepository:
    """One commit of a repository; a branch is resolved to its commit once, so that all files are of one."""

    def __init__(self, name: str, revision: str | None) -> None:
        self._name = name
        api = HfApi(headers=_SAID_OF_US)
        try:
            info = _patiently(
                lambda: api.model_info(
                    name, revision=revision, files_metadata=True, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT
                )
            )
        except (httpx2.HTTPError, HFValidationError, OfflineModeIsEnabled) as error:
            raise _translated(error, name, revision) from error
        except (ValueError, LookupError, TypeError) as error:  # the page of a hotel's network, say
            raise _no_hub(name) from error
        if info.sha is None:
            raise _no_hub(name)
        self._commit = info.sha
        self.origin = f"{name}@{info.sha}"
        declared = info.card_data.get("license") if info.card_data else None
        self.licence = declared if isinstance(declared, str) else None
        self.files = tuple(
            SourceFile(
                safe_path(one.rfilename),
                one.size or 0,
                Digest("sha256", one.lfs.sha256) if one.lfs else Digest("git", one.blob_id) if one.blob_id else None,
            )
            for one in info.siblings or ()
        )

    def fetched(self, file: SourceFile, part: Path) -> Iterator[int | Waiting]:
        """Satisfies sources.Source. Raises SystemFault and ModelError; what has come stays in `part`."""
        part.touch()
        tries = 0
        cause: Exception | None = None
        while (before := part.stat().st_size) < file.size or (before == 0 and tries == 0):
            reason, wish = "the connection ended early", None
            try:
                yield from self._rest(file, part, before)
            except (httpx2.TransportError, HfHubHTTPError) as error:
                if not _is_passing(error):
                    raise _translated(error, self._name, self._commit) from error
                reason, wish, cause = _reason(error), _wished_wait(error), error
            if (now := part.stat().st_size) >= file.size:
                return
            tries = 1 if now > before else tries + 1
            if tries >= TRIES:
                raise SystemFault(
                    f"{self._name} does not come any further: {reason}, {TRIES} times in a row; "
                    f"{now:,} of {file.size:,} bytes of {file.path} are here and are kept.",
                    "Run the same command later; it goes on where it stopped.",
                ) from cause
            wait = min(wish or _FIRST_WAIT_S * 2 ** (tries - 1), _LONGEST_WAIT_S)
            yield Waiting(wait, reason)
            time.sleep(wait)

    def _rest(self, file: SourceFile, part: Path, have: int) -> Iterator[int]:
        headers = build_hf_headers(headers=_SAID_OF_US)
        # Compressed on the way, the bytes would be counted from another beginning.
        headers["accept-encoding"] = "identity"
        if have:
            headers["range"] = f"bytes={have}-"
        url = hf_hub_url(self._name, file.path, revision=self._commit)
        with get_session().stream("GET", url, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT) as response:
            if response.status_code >= 400:
                response.read()
            hf_raise_for_status(response)
            resumes = response.status_code == 206 and response.headers.get("content-range", "").startswith(
                f"bytes {have}-"
            )
            if have and not resumes:
                yield -have
            with part.open("ab" if resumes else "wb") as target:
                # As it comes from the socket: a chunk that waits to be full is lost when the line breaks, and on a line
                # that breaks often nothing would ever be kept.
                for arrived in response.iter_raw():
                    for start in range(0, len(arrived), CHUNK):
                        written = target.write(arrived[start : start + CHUNK])
                        target.flush()
                        yield written
                    if target.tell() > file.size:
                        return  # not what was promised: the digest will say so


def _patiently(ask: Callable[[], T]) -> T:
    for tried in range(1, TRIES):
        try:
            return ask()
        except (httpx2.TransportError, HfHubHTTPError) as error:
            if not _is_passing(error):
                raise
            wait = _wished_wait(error) or _FIRST_WAIT_S * 2 ** (tried - 1)
        time.sleep(min(wait, _LONGEST_WAIT_S))
    return ask()


def _is_passing(error: Exception) -> bool:
    """Whether the same request may succeed in a moment. Nobody who is not there will come within seconds."""
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in _PASSING
    return not isinstance(error, (httpx2.ConnectError, httpx2.ProxyError, httpx2.UnsupportedProtocol))


def _wished_wait(error: Exception) -> float | None:
    """The seconds of Retry-After (RFC 9110, 10.2.3), where the server names them."""
    if not isinstance(error, HfHubHTTPError):
        return None
    wish = error.response.headers.get("retry-after", "")
    return float(wish) if wish.isascii() and wish.isdigit() else None


def _reason(error: Exception) -> str:
    if isinstance(error, HfHubHTTPError):
        return f"the server answers {error.response.status_code}"
    if isinstance(error, httpx2.TimeoutException):
        return f"no answer in {constants.HF_HUB_DOWNLOAD_TIMEOUT} s"
    return "the connection broke"


def _translated(error: Exception, name: str, revision: str | None) -> ClipsearchError:
    by_hand = "Or copy the repository here by other means: clipsearch model pull FOLDER"
    if isinstance(error, OfflineModeIsEnabled):
        return SystemFault(
            f"HF_HUB_OFFLINE is set, so {name} is not asked for.",
            "Unset it, or pull from a folder: clipsearch model pull FOLDER",
        )
    if isinstance(error, GatedRepoError):
        return ModelError(
            f"{name} is given only to those who have accepted its terms.",
            f"Accept them at {constants.ENDPOINT}/{name}, and set HF_TOKEN to a token of yours.",
        )
    if isinstance(error, RevisionNotFoundError):
        return ModelError(f'{name} has no revision "{revision}".', "Leave out the @ and what follows.")
    if isinstance(error, RemoteEntryNotFoundError):
        return ModelError(f"{name} lists a file that it does not have: {error.response.url.path}.", by_hand)
    if isinstance(error, RepositoryNotFoundError):
        return ModelError(
            f"{constants.ENDPOINT} has no repository {name}, or does not show it without a token.",
            "See the known ones with clipsearch model list; for a private one set HF_TOKEN.",
        )
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        if status in (401, 403):
            return ModelError(
                f"{constants.ENDPOINT} refuses {name} ({status}).", "Set HF_TOKEN to a token that may read it."
            )
        return SystemFault(f"{constants.ENDPOINT} answers {status} for {name}.", f"Try it later. {by_hand}")
    if isinstance(error, HFValidationError):
        return ModelError(f'"{name}" is no name of a repository.', "Names are: owner/repository")
    return SystemFault(
        f"{constants.ENDPOINT} cannot be reached ({_first_line(error)}).",
        f"Check the network, or name another hub with HF_ENDPOINT. {by_hand}",
    )


def _no_hub(name: str) -> SystemFault:
    return SystemFault(
        f"What {constants.ENDPOINT} answers for {name} is not the answer of a model hub.",
        "A network with a login page does this: open a page in a browser, or name another hub with HF_ENDPOINT.",
    )


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
