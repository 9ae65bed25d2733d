"""One process writes while others read, and is killed: no error, no old answer, no vector of another photo."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from clipsearch.opened import catalog_path
from tests.index.filled import files_under, own_vector, photo
from tests.upkeep.kept import Kept

pytestmark = pytest.mark.skipif(os.name == "nt", reason="SIGKILL, fork")

ROUNDS, READERS, KEPT_PHOTOS = 20, 10, 5
_PAD = 500_000  # bytes a round beside the photos, so that the log would grow to 10 MB if nothing emptied it
_LOG_BYTES = 1 << 20  # from which on it is emptied

# Adds a photo and removes one in each round, then says so; `round-N` is committed once N is written.
_WRITER = f"""
import os, sys
from pathlib import Path
from clipsearch.index import database
from clipsearch.opened import catalog_path
from tests.index.filled import photo
from tests.upkeep.kept import Kept
kept = Kept(Path(sys.argv[1]))
log = Path(str(catalog_path(kept.paths)) + "-wal")
largest = 0
database.LOG_BYTES = {_LOG_BYTES}
for number in range(1, {ROUNDS} + 1):
    photo(kept.photos / f"{{number:03d}}.jpg", number)
    (kept.photos / f"{{number - {KEPT_PHOTOS}:03d}}.jpg").unlink(missing_ok=True)
    with kept.writer() as catalog:
        for _ in kept.run(kept.photos, catalog=catalog):
            pass
        catalog.record_event("padding", {{"text": "x" * {_PAD}}})
        largest = max(largest, log.stat().st_size)
    new = kept.base / "new"
    new.write_text(str(number))
    new.rename(kept.base / "committed")
print(largest)
"""

# Asks until the last round; says how often, and fails at the first answer that is wrong.
_READER = f"""
import sys
from pathlib import Path
from tests.upkeep.kept import Kept
from clipsearch.library import Library
kept, keeps_open = Kept(Path(sys.argv[1])), sys.argv[2] == "open"
library, asked, committed = Library(kept.paths), 0, 0
while committed < {ROUNDS}:
    committed = int((kept.base / "committed").read_text())
    if not keeps_open:
        library.close()
    hits = library.search("size:>0kb", k=0).hits
    numbers = sorted(int(Path(hit.path.decode()).stem) for hit in hits)
    newest = numbers[-1]
    assert newest >= committed, (newest, committed)
    # Photos are removed in one commit and added in the next.
    assert numbers == [*range(newest - len(numbers) + 1, newest + 1)], numbers
    assert min(newest, {KEPT_PHOTOS} - 1) <= len(numbers) <= {KEPT_PHOTOS}, numbers
    library.status()
    library.photo(hits[0].path)
    asked += 1
print(asked)
"""


def start(code: str, *arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True)  # fmt: skip


def test_ten_readers_beside_a_writer_meet_no_error_and_nothing_old(tmp_path: Path) -> None:
    """A search that says "locked", an answer of before, or a watcher that never gets to write."""
    kept = Kept(tmp_path)
    photo(kept.photos / "000.jpg", 0)
    kept.index(kept.photos)
    (kept.base / "committed").write_text("0")
    readers = [start(_READER, tmp_path, "open" if number % 2 else "anew") for number in range(READERS)]
    writer = start(_WRITER, tmp_path)
    try:
        said, trouble = writer.communicate(timeout=100)
        assert writer.returncode == 0, trouble
        assert int(said) < 4 * _LOG_BYTES, "the log was never emptied"
        for reader in readers:
            asked, trouble = reader.communicate(timeout=60)
            assert reader.returncode == 0, trouble
            assert int(asked) > 1
    finally:
        for process in (writer, *readers):
            process.kill()
            process.communicate()


# Forks for each line it is told, so that a round does not wait for imports; the fork indexes, tells each path that
# is committed, and is killed at a statement or after a time.
_KILLED = """
import json, os, signal, sys, time
from pathlib import Path
from clipsearch.index import vectors  # loads what a fork would load
from tests.index.filled import files_under
from tests.upkeep.kept import Kept
kept = Kept(Path(sys.argv[1]))

def index(statements, told):
    with kept.writer() as catalog:
        def at_a_statement(statement):
            nonlocal statements
            statements -= 1
            if not statements:
                os.kill(os.getpid(), signal.SIGKILL)
        events = kept.run(kept.photos, catalog=catalog)
        for event in events:
            catalog._connection.set_trace_callback(None)
            paths = [path.decode() for path, _ in files_under(catalog, os.fsencode(kept.photos))]
            os.write(told, json.dumps(paths).encode() + b"\\n")
            catalog._connection.set_trace_callback(at_a_statement)

for line in sys.stdin:
    statements, seconds = json.loads(line)
    reading, told = os.pipe()
    started = time.monotonic()
    child = os.fork()
    if not child:
        index(statements, told)
        os._exit(0)
    os.close(told)
    if seconds:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    with open(reading, "rb") as pipe:
        lines = pipe.read().splitlines(keepends=True)
    _, status = os.waitpid(child, 0)
    whole = [line for line in lines if line.endswith(b"\\n")]
    committed = json.loads(whole[-1]) if whole else []
    print(json.dumps([os.waitstatus_to_exitcode(status), committed, time.monotonic() - started]), flush=True)
"""


class Tree:
    """A folder of photos that somebody tidies up, and which vectors each path may have until all is indexed."""

    def __init__(self, kept: Kept, chance: random.Random) -> None:
        self.kept = kept
        self.chance = chance
        self.seeds = iter(range(10**6))
        self.may_be: dict[bytes, set[bytes]] = {}
        self._vectors: dict[bytes, bytes] = {}

    def paths(self) -> list[Path]:
        return sorted(self.kept.photos.rglob("*.jpg"))

    def tidy(self) -> None:
        for _ in range(self.chance.randint(2, 8)):
            photo(
                self.kept.photos / str(self.chance.randrange(3)) / f"{self.chance.randrange(60)}.jpg", next(self.seeds)
            )
        for path in self.chance.sample(self.paths(), 2):
            path.unlink()
        for path in self.chance.sample(self.paths(), min(2, len(self.paths()))):
            path.rename(path.with_name(f"{self.chance.randrange(60)}.jpg"))
        for path in self.paths():
            self.may_be.setdefault(os.fsencode(path), set()).add(self._vector(path))

    def check(self, committed: list[str]) -> None:
        """After a kill: a sound file, right vectors only, and all that was told to be committed."""
        connection = sqlite3.connect(catalog_path(self.kept.paths))
        assert connection.execute("PRAGMA quick_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        wrong = "SELECT count(*) FROM photo WHERE files <> (SELECT count(*) FROM file WHERE photo_id = photo.id)"
        assert connection.execute(wrong).fetchone() == (0,)
        connection.close()
        stored = self.kept.vectors()
        for path, vector in stored.items():
            assert vector in self.may_be[path], path
        with self.kept.reader() as catalog:
            shown = {path for path, _ in files_under(catalog, os.fsencode(self.kept.photos))}
        assert shown == set(stored), "a photo without a vector"
        kept = {os.fsencode(path) for path in committed if os.path.exists(path)}  # others the run may have forgotten
        assert kept <= shown, "a committed photo is lost"
        for path, vector in self.truth().items():
            self.may_be[path] = {vector, stored.get(path, vector)}

    def truth(self) -> dict[bytes, bytes]:
        return {os.fsencode(path): self._vector(path) for path in self.paths()}

    def _vector(self, path: Path) -> bytes:
        content = path.read_bytes()
        if content not in self._vectors:
            self._vectors[content] = own_vector(path, self.kept.encoder).astype("<f2").tobytes()
        return self._vectors[content]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_killed_again_and_again_a_library_loses_nothing_and_mixes_nothing_up(tmp_path: Path, kills: int) -> None:
    """A power cut, the kernel's own kill, an impatient user: time may be lost, photos and their vectors may not."""
    kept = Kept(tmp_path)
    chance = random.Random(kills)
    tree = Tree(kept, chance)
    tree.tidy()
    kept.index(kept.photos)
    zygote = subprocess.Popen([sys.executable, "-c", _KILLED, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True)  # fmt: skip
    assert zygote.stdin is not None and zygote.stdout is not None
    try:
        killed = rounds = 0
        whole_s = 0.2
        while killed < kills:
            rounds += 1
            tree.tidy()
            by_time = chance.random() * whole_s if rounds % 2 else 0
            zygote.stdin.write(json.dumps([0 if by_time else chance.randint(1, 120), by_time]) + "\n")
            zygote.stdin.flush()
            code, committed, seconds = json.loads(zygote.stdout.readline())
            assert code in (0, -signal.SIGKILL), code
            killed += code == -signal.SIGKILL
            whole_s = seconds if code == 0 else whole_s
            tree.check(committed)
            assert rounds < 5 * kills, "most runs are over before they are killed"
    finally:
        zygote.kill()
        zygote.communicate()
    done = kept.index()
    assert done.failed == 0
    assert kept.vectors() == tree.truth()
    assert len(list((kept.paths.library / "vectors").glob("*.vectors"))) <= 1
    fresh = Kept(tmp_path / "fresh")
    fresh.index(kept.photos)
    assert fresh.vectors() == kept.vectors() and fresh.found() == kept.found()
