"""Files come from a hub whole, whatever the line and the server do. The hub is a real server on this machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from clipsearch.engine.pulling import hub as module
from clipsearch.engine.pulling import sources
from clipsearch.engine.pulling.hub import HubRepository
from clipsearch.engine.pulling.sources import SourceFile, Waiting
from clipsearch.errors import ClipsearchError, ModelError, SystemFault
from tests.support.hub import COMMIT, Hub, running

CHUNK = 1024
CONTENT = bytes(range(256)) * 40 + b"end"  # ten chunks and a bit


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with running() as hub:
        (tmp_path / "repository/onnx").mkdir(parents=True)
        (tmp_path / "repository/onnx/model.onnx").write_bytes(CONTENT)
        (tmp_path / "repository/config.json").write_text("{}")
        (tmp_path / "repository/empty").write_bytes(b"")
        hub.repositories["acme/tiny"] = tmp_path / "repository"
        use_hub(monkeypatch, hub)
        yield hub


def use_hub(monkeypatch: pytest.MonkeyPatch, hub: Hub) -> None:
    """As HF_ENDPOINT does, which huggingface_hub reads when it is imported; and nothing waits."""
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)
    for place in (module, sources):
        monkeypatch.setattr(place, "CHUNK", CHUNK)


def model_file(repository: HubRepository, name: str = "onnx/model.onnx") -> SourceFile:
    return next(file for file in repository.files if file.path == name)


def ranges(hub: Hub) -> list[str | None]:
    return [headers.get("range") for _, path, headers in hub.asked if "/resolve/" in path]


# -- the list --------------------------------------------------------------------------------------


def test_a_branch_is_its_commit_from_the_first_moment(hub: Hub) -> None:
    """Files are replaced in place: half of one commit and half of the next is no model."""
    repository = HubRepository("acme/tiny", None)
    assert repository.origin == f"acme/tiny@{COMMIT}"
    assert {file.path: file.size for file in repository.files} == {
        "onnx/model.onnx": len(CONTENT), "config.json": 2, "empty": 0,
    }  # fmt: skip
    assert repository.licence == "mit"


def test_every_file_has_a_digest_that_can_be_checked(hub: Hub) -> None:
    """The hub says sha256 of large files only; of small ones it says what git calls them."""
    repository = HubRepository("acme/tiny", COMMIT)
    folder = hub.repositories["acme/tiny"]
    large, small = model_file(repository), model_file(repository, "config.json")
    assert large.digest and small.digest
    assert large.digest == sources.Digest("sha256", hashlib.sha256(CONTENT).hexdigest())
    assert small.digest.kind == "git" and small.digest.matches(folder / "config.json")
    assert not small.digest.matches(folder / "empty")


def test_a_path_that_leaves_the_folder_is_refused(hub: Hub) -> None:
    """A repository could write into the home folder of whoever pulls it."""
    for path in ("../../.bashrc", "/etc/passwd", "a\\..\\b", "C:evil"):
        hub.paths["config.json"] = path
        with pytest.raises(ModelError, match="outside"):
            HubRepository("acme/tiny", None)


# -- the files -------------------------------------------------------------------------------------


def test_a_pull_that_ends_at_any_chunk_goes_on_there(hub: Hub, tmp_path: Path) -> None:
    """A gigabyte that begins again with every interruption never comes over a bad line."""
    repository = HubRepository("acme/tiny", None)
    file, part = model_file(repository), tmp_path / "part"
    sizes = []
    while not sizes or sizes[-1] < len(CONTENT):
        steps = repository.fetched(file, part)
        next(steps)
        steps.close()  # as the end of the process does, at a boundary
        sizes.append(part.stat().st_size)
    assert part.read_bytes() == CONTENT
    assert sizes == sorted(set(sizes)) and len(sizes) > 10
    assert ranges(hub) == [None, *(f"bytes={size}-" for size in sizes[:-1])]


@pytest.mark.parametrize("at", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK, len(CONTENT) - 1])
def test_a_line_that_breaks_is_taken_up_where_it_broke(hub: Hub, tmp_path: Path, at: int) -> None:
    """Bytes doubled or left out at the seam make a model of another kind."""
    hub.cut_after = [at, CHUNK]
    repository = HubRepository("acme/tiny", None)
    steps = list(repository.fetched(model_file(repository), tmp_path / "part"))
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert sum(step for step in steps if isinstance(step, int)) == len(CONTENT)
    assert Waiting(1.0, "the connection broke") in steps


def test_what_comes_before_a_line_breaks_is_kept_however_little(hub: Hub, tmp_path: Path) -> None:
    """A line that breaks before a chunk is full would never bring a byte further."""
    hub.cut_after = [10] * 3
    repository = HubRepository("acme/tiny", None)
    list(repository.fetched(model_file(repository), tmp_path / "part"))
    assert ranges(hub) == [None, "bytes=10-", "bytes=20-", "bytes=30-"]


def test_a_line_that_gives_nothing_is_given_up_with_what_came_kept(hub: Hub, tmp_path: Path) -> None:
    """A program that tries for ever looks frozen; one that throws half a gigabyte away is not run again."""
    hub.cut_after = [3 * CHUNK, *[0] * 50]
    repository = HubRepository("acme/tiny", None)
    with pytest.raises(SystemFault, match=r"5 times in a row; 3,072 of 10,243 bytes"):
        list(repository.fetched(model_file(repository), tmp_path / "part"))
    assert (tmp_path / "part").read_bytes() == CONTENT[: 3 * CHUNK]
    assert len(ranges(hub)) == module.TRIES


def test_a_server_without_ranges_is_read_from_the_beginning(hub: Hub, tmp_path: Path) -> None:
    """Its whole answer appended to the half that is there would be half as long again."""
    hub.ignores_range = True
    (tmp_path / "part").write_bytes(CONTENT[:5000])
    repository = HubRepository("acme/tiny", None)
    steps = list(repository.fetched(model_file(repository), tmp_path / "part"))
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert steps[0] == -5000 and 5000 + sum(step for step in steps if isinstance(step, int)) == len(CONTENT)


def test_an_empty_file_comes_too(hub: Hub, tmp_path: Path) -> None:
    repository = HubRepository("acme/tiny", None)
    assert list(repository.fetched(model_file(repository, "empty"), tmp_path / "part")) == []
    assert (tmp_path / "part").read_bytes() == b""


def test_a_redirect_is_followed_and_the_token_stays_at_home(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large files lie with somebody else, whom the token is none of the business of."""
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with running() as elsewhere:
        elsewhere.repositories = hub.repositories
        # Another host, not another port only.
        hub.elsewhere = elsewhere.url.replace("127.0.0.1", "localhost")
        (tmp_path / "part").write_bytes(CONTENT[:100])
        repository = HubRepository("acme/tiny", None)
        list(repository.fetched(model_file(repository), tmp_path / "part"))
        assert (tmp_path / "part").read_bytes() == CONTENT
        assert {headers["authorization"] for _, _, headers in hub.asked} == {"Bearer hf_secret"}
        (there,) = elsewhere.asked
    assert "authorization" not in there[2] and there[2]["range"] == "bytes=100-"


# -- what goes wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_server_in_trouble_is_asked_again_a_few_times(hub: Hub, tmp_path: Path, status: int) -> None:
    """Hubs limit their callers and restart; a person should not have to watch for it."""
    repository = HubRepository("acme/tiny", None)
    hub.statuses = [(status, {})] * 2
    steps = list(repository.fetched(model_file(repository), tmp_path / "part"))
    assert [step for step in steps if isinstance(step, Waiting)] == [
        Waiting(1.0, f"the server answers {status}"), Waiting(2.0, f"the server answers {status}"),
    ]  # fmt: skip
    assert (tmp_path / "part").read_bytes() == CONTENT
    hub.statuses = [(status, {})] * 50
    with pytest.raises(SystemFault, match=f"the server answers {status}, {module.TRIES} times in a row"):
        list(repository.fetched(model_file(repository), tmp_path / "other"))


def test_the_wait_that_a_server_asks_for_is_kept_up_to_a_minute(hub: Hub, tmp_path: Path) -> None:
    """Asked again at once it refuses again; an hour's wait would look like a frozen program."""
    repository = HubRepository("acme/tiny", None)
    hub.statuses = [(429, {"Retry-After": "7"}), (429, {"Retry-After": "3600"})]
    steps = list(repository.fetched(model_file(repository), tmp_path / "part"))
    assert [step.seconds for step in steps if isinstance(step, Waiting)] == [7.0, 60.0]


def test_the_list_is_asked_for_again_too(hub: Hub) -> None:
    hub.listing_statuses = [(503, {}), (429, {})]
    assert HubRepository("acme/tiny", None).files
    hub.listing_statuses = [(503, {})] * 50
    with pytest.raises(SystemFault, match="503"):
        HubRepository("acme/tiny", None)
    assert len(hub.listing_statuses) == 50 - module.TRIES


@pytest.mark.parametrize(
    ("status", "headers", "kind", "words"),
    [
        (404, {"X-Error-Code": "RepoNotFound"}, ModelError, "has no repository acme/tiny"),
        (401, {}, ModelError, "refuses acme/tiny"),
        (403, {"X-Error-Code": "GatedRepo"}, ModelError, "accepted its terms"),
        (401, {"X-Error-Code": "GatedRepo"}, ModelError, "accepted its terms"),
        (404, {"X-Error-Code": "RevisionNotFound"}, ModelError, "no revision"),
        (418, {}, SystemFault, "answers 418"),
    ],
)
def test_a_refusal_says_what_can_be_done(
    hub: Hub, status: int, headers: dict[str, str], kind: type[ClipsearchError], words: str
) -> None:
    """`HTTP 401` sends people to a search engine."""
    hub.listing_statuses = [(status, headers)]
    with pytest.raises(kind, match=words) as caught:
        HubRepository("acme/tiny", "v9")
    assert caught.value.hint and len(hub.asked) == 1


def test_a_file_that_is_listed_and_not_there_is_named(hub: Hub, tmp_path: Path) -> None:
    repository = HubRepository("acme/tiny", None)
    (hub.repositories["acme/tiny"] / "onnx/model.onnx").unlink()
    with pytest.raises(ModelError, match=r"lists a file that it does not have: .*onnx/model\.onnx"):
        list(repository.fetched(model_file(repository), tmp_path / "part"))


def test_offline_means_that_nobody_is_asked(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(SystemFault, match="HF_HUB_OFFLINE is set") as caught:
        HubRepository("acme/tiny", None)
    assert "pull FOLDER" in caught.value.hint and hub.asked == []


def test_a_hub_that_is_not_there_is_named(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(SystemFault, match=r"http://127\.0\.0\.1:9 cannot be reached") as caught:
        HubRepository("acme/tiny", None)
    assert "HF_ENDPOINT" in caught.value.hint


def test_a_page_that_is_no_hub_is_said_to_be_none(hub: Hub) -> None:
    """Hotels answer every request with their login."""
    hub.listing_statuses = [(200, {"Content-Type": "text/html"})]
    with pytest.raises(SystemFault, match="not the answer of a model hub"):
        HubRepository("acme/tiny", None)


def test_a_name_that_cannot_be_one_is_not_asked_for(hub: Hub) -> None:
    with pytest.raises(ModelError, match="no name of a repository"):
        HubRepository("acme/ti ny..", None)
    assert hub.asked == []


def test_the_hub_learns_that_clipsearch_asks_and_nothing_of_the_machine(hub: Hub, tmp_path: Path) -> None:
    """The library sends by default which Python, frameworks and assistants it finds, and asks for a list of them."""
    repository = HubRepository("acme/tiny", None)
    list(repository.fetched(model_file(repository), tmp_path / "part"))
    assert [path.partition("acme")[0] for _, path, _ in hub.asked] == ["/api/models/", "/"]
    assert {headers["user-agent"] for _, _, headers in hub.asked} == {"clipsearch"}
    assert not any("authorization" in headers for _, _, headers in hub.asked)
