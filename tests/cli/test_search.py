"""`clipsearch search` and `similar`: what comes out, where it goes, and what it costs."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clipsearch.cli.answer import _table
from clipsearch.config import Paths
from clipsearch.library import Library
from clipsearch.query import literal, parse
from clipsearch.types import Hit
from tests.cli.program import Program, copied

HEAVY = {"tokenizers", "onnxruntime", "openvino", "PIL", "usearch"}
HIT = {
    "rank": int,
    "path": str,
    "score": float,
    "relevance": float,
    "width": int,
    "height": int,
    "taken_at": (str, type(None)),
    "copies": list,
    "offline": bool,
    "same_as": (int, type(None)),
}


def check_hits(hits: Any, count: int) -> None:
    assert isinstance(hits, list) and len(hits) == count
    for rank, hit in enumerate(hits, 1):
        assert set(hit) - {"path_b64"} == set(HIT)
        for name, kind in HIT.items():
            assert isinstance(hit[name], kind), (name, hit[name])
        assert hit["rank"] == rank
        assert os.path.isabs(hit["path"]) and os.path.isfile(hit["path"])
        assert 0 <= hit["relevance"] <= 1
        assert hit["width"] > 0 and hit["height"] > 0
    scores = [hit["score"] for hit in hits]
    assert scores == sorted(scores, reverse=True) and all(-1 <= score <= 1 for score in scores)


# -- forms of the answer ---------------------------------------------------------------------------


def test_json_holds_the_k_nearest_with_every_promised_field(indexed: Program) -> None:
    """A script that reads `path`, `score` or `taken_at` breaks when a field is renamed, relative or missing."""
    outcome = indexed("search", "a dog", "-k", "5", "--json")
    assert outcome.code == 0 and outcome.stderr == ""
    check_hits(outcome.json, 5)
    assert any("dogs-at-window" in hit["path"] or "great-dane" in hit["path"] for hit in outcome.json)


def test_k_beyond_the_library_brings_every_photo_once(indexed: Program) -> None:
    """Relevance or near-duplicates that drop hits unasked would make `--json` lie about the library."""
    hits = indexed("search", "anything", "-k", "500", "--json").json
    check_hits(hits, 45)
    assert len({hit["path"] for hit in hits}) == 45


def test_score_is_the_cosine_of_query_and_photo(indexed: Program) -> None:
    """Thresholds in scripts mean nothing if the score is something else than the cosine."""
    paths = Paths(indexed.library, indexed.cache, indexed.folder / "models")
    hit = indexed("search", "a dog", "-k", "1", "--json").json[0]
    with Library(paths) as library:
        (words,) = library._opened.text_vectors(library._opened.space(), ["a dog"]).vectors.astype(np.float64)
        (photo,) = library._opened.image_vectors(library._opened.space(), [hit["path"]])
    cosine = words @ photo / np.linalg.norm(words) / np.linalg.norm(photo)
    assert hit["score"] == pytest.approx(cosine, abs=2e-3)  # stored in half precision


def test_taken_at_and_upright_size_come_from_the_photo(indexed: Program) -> None:
    """A sideways size or a lost date makes sorting by them wrong without a sign."""
    hits = {os.path.basename(hit["path"]): hit for hit in indexed("search", "pet", "-k", "45", "--json").json}
    assert hits["cat-on-armchair.jpg"]["taken_at"].startswith("2025-06-01T16:59")
    assert hits["dogs-at-window.jpg"]["height"] > hits["dogs-at-window.jpg"]["width"]  # stored turned a quarter


def test_ndjson_has_the_same_objects_one_a_line(indexed: Program) -> None:
    """Two forms that disagree send people from one to the other in search of the truth."""
    lines = indexed("search", "a dog", "-k", "4", "--ndjson").stdout.decode().splitlines()
    assert [json.loads(line) for line in lines] == indexed("search", "a dog", "-k", "4", "--json").json


def test_a_pipe_gets_absolute_paths_one_a_line_and_nothing_else(indexed: Program) -> None:
    """A header, a score or a colour in a pipe ends up as a file name in somebody's `xargs rm`."""
    outcome = indexed("search", "--all", "a dog", "-k", "4")
    wanted = [hit["path"] for hit in indexed("search", "a dog", "-k", "4", "--json").json]
    assert outcome.stdout == "".join(path + "\n" for path in wanted).encode()
    assert outcome.stderr == ""


def test_null_ends_each_path_with_a_nul_byte(indexed: Program) -> None:
    """`xargs -0` would join the last path with nothing, or see one path."""
    outcome = indexed("search", "--all", "a dog", "-k", "4", "-0")
    assert outcome.stdout == b"".join(
        line + b"\0" for line in indexed("search", "--all", "a dog", "-k", "4").stdout.split()
    )


def test_default_is_twenty_photos(indexed: Program) -> None:
    """A default that drifts changes what every script without -k sees."""
    assert len(indexed("search", "--all", "a dog").paths) == 20


def test_nothing_found_is_an_empty_array_and_exit_code_1(indexed: Program, tmp_path: Path) -> None:
    """`if clipsearch search …` takes a wrong branch, or a parser chokes on empty output."""
    empty = tmp_path / "empty"
    empty.mkdir()
    for folder in (empty, tmp_path / "unknown"):
        outcome = indexed("search", "a dog", "--under", folder, "--json")
        assert (outcome.code, outcome.json) == (1, [])
        assert outcome.stderr.startswith(f"Nothing under {folder} fits")  # or a typo looks like an answer
        for form in ("--ndjson", "-0"):
            outcome = indexed("search", "a dog", "--under", folder, form)
            assert (outcome.code, outcome.stdout) == (1, b"")


def test_a_reader_that_closes_the_pipe_is_no_error(indexed: Program) -> None:
    """`| head -1` would print a traceback about a broken pipe under its answer."""
    for form in ((), ("--json",), ("--json", "-k", "1"), ("--ndjson",), ("-0",)):
        with indexed.start("search", "a dog", "-k", "45", *form) as process:
            assert process.stdout and process.stderr
            process.stdout.close()
            said = process.stderr.read()
        assert said == b"", said


# -- on a terminal ---------------------------------------------------------------------------------


def test_a_terminal_gets_a_table_with_rank_score_and_date(indexed: Program) -> None:
    """Without a table a person reads bare paths and cannot tell a good hit from the twentieth."""
    shown = indexed.on_terminal("search", "--all", "a", "cat", "-k", "3")
    rows = [line.split() for line in shown.text.splitlines() if line[:3].strip().isdigit()]
    assert shown.code == 0 and [row[0] for row in rows] == ["1", "2", "3"]
    assert all(set(row[1]) <= {"●", "○"} and len(row[1]) == 5 for row in rows)
    assert "2025-06-01" in shown.text and "cat-on-armchair.jpg" in shown.text
    assert b"\x1b[2m" in shown.stdout


@pytest.mark.parametrize("columns", [40, 60, 100])
def test_the_table_fits_the_terminal(indexed: Program, columns: int) -> None:
    """Lines that wrap make a table unreadable just where terminals are small."""
    shown = indexed.on_terminal("search", "--all", "a dog", "-k", "45", columns=columns)
    rows = [line for line in shown.text.splitlines() if line[:3].strip().isdigit()]
    assert len(rows) == 45 and max(map(len, rows)) <= columns


@pytest.mark.parametrize("columns", [40, 50, 60, 100])
def test_a_row_names_its_photo_however_narrow_the_terminal(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that says "+ 1 more" and not of what is of no use to anybody."""
    monkeypatch.setenv("COLUMNS", str(columns))
    names = ("2010/holiday-at-the-sea-0001.jpg", "2011/IMG_0002.jpg")
    hits = [
        Hit(rank, b"/photos/" + name.encode(), 0.2, 0.8, (b"/photos/copy.jpg",), 4, 3, date, offline=True)
        for rank, (name, date) in enumerate(zip(names, ("2010-05-01T10:00:00", None), strict=True), 1)
    ]
    again = Hit(3, b"/photos/2010/x.jpg", 0.2, 0.8, (), 4, 3, None, offline=False, same_as=1)
    _table([*hits, again], verbose=False)
    first, second = [line for line in capsys.readouterr().out.splitlines() if line[:3].strip().isdigit()]
    assert "-0001.jpg" in first and "2011/IMG_0002.jpg" in second
    assert max(map(len, (first, second))) <= columns
    assert ("offline" in first) == (columns >= 60)
    assert ("same moment" in first) == (columns >= 100)


def test_no_color_leaves_no_escape_sequence(indexed: Program) -> None:
    """Who sets NO_COLOR has a terminal or an eye that cannot take them."""
    shown = indexed.on_terminal("search", "--all", "a dog", "-k", "3", env={"NO_COLOR": "1"})
    assert shown.code == 0 and b"\x1b" not in shown.stdout


def test_a_file_name_cannot_write_to_the_terminal_and_is_exact_in_a_pipe(program: Program, photos: Path) -> None:
    """A name with escape sequences could rewrite the screen; an escaped name in a pipe names no file."""
    folder = program.folder / "in"
    (source,) = copied(photos, folder, "animals/jellyfish.jpg")
    for name in ("red\x1b[31m\x07\nnew line.jpg", "right\u202egpj.exe.jpg"):
        source = source.rename(folder / name)
        program("index", folder)
        shown = program.on_terminal("search", "--all", "jellyfish", env={"NO_COLOR": "1"})
        assert shown.code == 0
        assert not {"\x1b", "\x07", "\u202e"} & set(shown.stdout.decode())
        assert len(shown.stdout.splitlines()) == 2  # the row, and how many fit
        assert ("\\x1b" in shown.text and "\\x0a" in shown.text) or "\\u202e" in shown.text
        assert program("search", "--all", "jellyfish", "-0").stdout == os.fsencode(source) + b"\0"


def test_a_folder_without_photos_is_told_on_a_terminal(indexed: Program, tmp_path: Path) -> None:
    """An empty screen leaves a person wondering whether the program ran."""
    shown = indexed.on_terminal("search", "a dog", "--under", tmp_path)
    assert shown.code == 1 and shown.text.strip()


# -- what a query may be ---------------------------------------------------------------------------


def test_words_of_the_command_line_are_one_query(indexed: Program) -> None:
    """Who forgets the quotes would search for the first word only."""
    assert (
        indexed("search", "city", "at", "night", "-k", "9", "--json").json
        == indexed("search", "city at night", "-k", "9", "--json").json
        != indexed("search", "city", "-k", "9", "--json").json
    )


def test_minus_looks_away_and_weights_count(indexed: Program) -> None:
    """Operators that are read as words give an answer that looks right and is not."""
    plain, less, twice = (
        indexed("search", query, "-k", "45", "--json").json
        for query in ("beach + sunset", "beach - sunset", "2:beach + sunset")
    )
    score = {id(hits): {hit["path"]: hit["score"] for hit in hits} for hits in (plain, less, twice)}
    sunset = next(hit["path"] for hit in plain if "pier-at-sunset" in hit["path"])
    assert score[id(less)][sunset] < score[id(plain)][sunset]
    assert score[id(twice)] != score[id(plain)]


def test_literal_searches_for_the_text_as_it_is(indexed: Program) -> None:
    """Without it nobody can search for `a - b` or a lone quote."""
    assert (
        indexed("search", "beach - sunset", "--literal", "-k", "9", "--json").json
        == indexed("search", '"beach - sunset"', "-k", "9", "--json").json
        != indexed("search", "beach - sunset", "-k", "9", "--json").json
    )
    assert indexed("search", "--all", "--literal", 'say "cheese').code == 0


def test_two_dashes_end_the_options(indexed: Program) -> None:
    """A query that begins with a minus could not be asked at all."""
    outcome = indexed("search", "-k", "9", "--json", "--", "beach", "-sunset")
    assert outcome.json == indexed("search", "beach -sunset", "-k", "9", "--json").json
    assert indexed("search", "--all", "-k", "9", "--", "-sunset").code == 0


def test_words_with_hyphens_and_plus_signs_are_words(indexed: Program) -> None:
    """`t-shirt` would look for t and away from shirt."""
    for word in ("t-shirt", "black-and-white", "C++", "16:9"):
        assert parse(word) == literal(word)
        assert indexed("search", "--all", word, "-k", "1").code == 0


def test_a_picture_finds_itself_and_mixes_with_words(indexed: Program, photos: Path) -> None:
    """`--image` with words would silently ignore one of both."""
    image = photos / "animals/jellyfish.jpg"
    alone = indexed("search", "--image", image, "-k", "45", "--json").json
    assert alone[0]["path"] == str(image) and alone[0]["score"] == pytest.approx(1, abs=2e-3)
    mixed = indexed("search", "--image", image, "+ a cup of coffee", "-k", "45", "--json").json
    words = indexed("search", "a cup of coffee", "-k", "45", "--json").json
    coffee = [next(hit["rank"] for hit in hits if "coffee-cup" in hit["path"]) for hits in (alone, mixed, words)]
    assert coffee[2] <= coffee[1] < coffee[0]
    assert mixed[0]["score"] < 1 - 1e-3
    both = indexed("search", "--image", image, "--image", photos / "food/coffee-cup.jpg", "-k", "2", "--json").json
    assert {os.path.basename(hit["path"]) for hit in both} == {"jellyfish.jpg", "coffee-cup.jpg"}


def test_under_keeps_to_the_folder_with_percent_and_underscore_in_its_name(program: Program, photos: Path) -> None:
    """With LIKE, `100%_` would match a neighbour, and photos of another folder would be shown or deleted."""
    root = program.folder / "in"
    copied(photos, root / "100%_fun", "animals/jellyfish.jpg")
    copied(photos, root / "100x fun" / "100%_", "food/coffee-cup.jpg")
    copied(photos, root / "100%_fun2", "garden/dandelions.jpg")
    assert program("index", root).code == 0
    found = {
        name: sorted(
            os.path.basename(path) for path in program("search", "--all", "photo", "--under", root / name).paths
        )
        for name in ("100%_fun", "100x fun", "100%_", "100__fun", "")
    }
    assert found == {
        "100%_fun": ["jellyfish.jpg"],
        "100x fun": ["coffee-cup.jpg"],
        "100%_": [],
        "100__fun": [],
        "": ["coffee-cup.jpg", "dandelions.jpg", "jellyfish.jpg"],
    }


def test_under_may_be_relative_to_where_one_is(indexed: Program, photos: Path) -> None:
    """`--under .` is what a person types who stands in the folder."""
    inside = indexed("search", "--all", "pet", "--under", photos / "animals").paths
    assert len(inside) == 7
    assert indexed("search", "--all", "pet", "--under", ".", cwd=photos / "animals").paths == inside
    assert indexed("search", "--all", "pet", "--under", "animals", cwd=photos).paths == inside


def test_under_may_climb(indexed: Program, photos: Path) -> None:
    """`--under ../animals` would say that the folder is empty."""
    assert len(indexed("search", "--all", "pet", "--under", "../animals", cwd=photos / "food").paths) == 7


def test_a_duplicate_is_one_hit_that_names_its_copies(indexed: Program, photos: Path) -> None:
    """Copies shown as hits of their own push other photos out of the k."""
    hits = indexed("search", "city skyline", "-k", "45", "--json").json
    names = {str(photos / "city/singaporean-cityscape.jpg"), str(photos / "old-phone-backup/wallpaper.jpg")}
    (hit,) = [hit for hit in hits if hit["path"] in names]
    assert {hit["path"], *hit["copies"]} == names
    (under,) = indexed("search", "city", "--under", photos / "old-phone-backup", "--json").json
    assert under["path"].endswith("wallpaper.jpg")  # shown by the copy that lies where one asked


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS refuses names that are not UTF-8")
def test_names_that_are_not_utf8_or_hold_newlines_come_out_exactly(program: Program, photos: Path) -> None:
    """A name that cannot be turned back names another file, or none, in the command that follows."""
    folder = os.fsencode(program.folder / "in")
    os.mkdir(folder)
    names = {folder + b"/caf\xe9.jpg": "food/coffee-cup.jpg", folder + b"/two\nlines.jpg": "animals/jellyfish.jpg"}
    for name, source in names.items():
        shutil.copy(os.fsencode(photos / source), name)
    assert program("index", folder).code == 0
    assert set(program("search", "--all", "photo", "-0").stdout.split(b"\0")) == {*names, b""}
    hits = program("search", "photo", "--json").json
    exact = {base64.b64decode(hit["path_b64"]) if "path_b64" in hit else hit["path"].encode() for hit in hits}
    assert exact == set(names)
    (encoded,) = [hit for hit in hits if "path_b64" in hit]
    assert encoded["path"].endswith("caf\\xe9.jpg")
    shown = program.on_terminal("search", "--all", "photo")
    assert "caf\\xe9.jpg" in shown.text and "two\\x0alines.jpg" in shown.text
    odd = next(iter(names))
    assert program("similar", odd, "-k", "1", "-0").stdout == odd + b"\0"
    assert program("errors").code == 0 and program("status").code == 0


# -- what it costs ---------------------------------------------------------------------------------


def test_a_repeated_query_loads_no_model(indexed: Program) -> None:
    """The second time would take as long as the first, for one careless import."""
    first, loaded = indexed.modules("search", "a very particular thing", "-k", "3", "--json")
    assert HEAVY & loaded  # this check can see them
    again, loaded = indexed.modules("search", "a very particular thing", "-k", "3", "--json")
    assert again.json == first.json
    assert not HEAVY & loaded
    _, loaded = indexed.modules("search", "a very particular thing")
    assert not HEAVY & loaded


def test_an_indexed_photo_is_not_decoded_again(indexed: Program, photos: Path) -> None:
    """`similar` on an indexed photo would load a model and decode for nothing."""
    image = photos / "animals/jellyfish.jpg"
    outcome, loaded = indexed.modules("similar", image, "-k", "3", "--json")
    assert not HEAVY & loaded
    check_hits(outcome.json, 3)
    assert outcome.json[0]["path"] == str(image)


def test_an_indexed_photo_is_known_by_its_relative_name(indexed: Program, photos: Path) -> None:
    """Who stands in the folder would wait for a model and a decoder, as if the photo were unknown."""
    outcome, loaded = indexed.modules("similar", "jellyfish.jpg", "-k", "3", "--json", cwd=photos / "animals")
    assert outcome.json[0]["path"] == str(photos / "animals/jellyfish.jpg")
    assert not HEAVY & loaded


def test_a_photo_outside_the_library_is_decoded_and_finds_its_like(
    indexed: Program, photos: Path, tmp_path: Path
) -> None:
    """`similar` would only work for photos that are indexed already."""
    (copy,) = copied(photos, tmp_path, "animals/jellyfish.jpg")
    outcome, loaded = indexed.modules("similar", copy, "-k", "1", "--json")
    assert "onnxruntime" in loaded
    assert outcome.json[0]["path"] == str(photos / "animals/jellyfish.jpg")
    assert outcome.json[0]["score"] == pytest.approx(1, abs=2e-3)


def test_a_changed_photo_is_asked_as_it_is_now(program: Program, photos: Path) -> None:
    """The stored vector of an overwritten photo would answer for a picture that is no longer there."""
    (image, _) = copied(photos, program.folder / "in", "animals/jellyfish.jpg", "food/coffee-cup.jpg")
    program("index", image.parent)
    shutil.copy(photos / "food/coffee-cup.jpg", image)
    assert program("similar", image, "-k", "1").paths == [str(image.parent / "coffee-cup.jpg")]


def test_similar_speaks_every_form(indexed: Program, photos: Path) -> None:
    """A form that only `search` knows makes the two verbs two programs."""
    image = photos / "animals/jellyfish.jpg"
    hits = indexed("similar", image, "-k", "3", "--json").json
    paths = [hit["path"] for hit in hits]
    assert indexed("similar", image, "-k", "3").paths == paths
    assert indexed("similar", image, "-k", "3", "-0").stdout == "".join(path + "\0" for path in paths).encode()
    assert [json.loads(line) for line in indexed("similar", image, "-k", "3", "--ndjson").stdout.splitlines()] == hits
    assert indexed("similar", image, "--under", photos / "unknown", "--json").code == 1


def test_explain_says_on_stderr_how_it_searched_and_what_each_term_gave(indexed: Program) -> None:
    """Narration on stdout would be read as a path; shares that do not sum to the score explain nothing."""
    outcome = indexed("search", "2:dog - people like:" + indexed_photo(indexed), "--explain", "--json", "-k", "5")
    check_hits(outcome.json, 5)
    assert "exact, 45 of 45 photos" in outcome.stderr and "text vectors" in outcome.stderr
    rows = [line.split() for line in outcome.stderr.splitlines() if line[:4].strip().isdigit()]
    assert len(rows) == 5
    for row, hit in zip(rows, outcome.json, strict=True):
        shares = [float(word) for word in row[5:] if re.fullmatch(r"[+-]0\.\d{3}", word)]
        assert len(shares) == 3 and sum(shares) == pytest.approx(hit["score"], abs=2e-3)


def test_explain_tells_what_a_new_text_takes_of_the_model(indexed: Program) -> None:
    """Who waits for a cold query must see whether the model's opening, its vocabulary or its arithmetic takes it."""
    asked = ("search", "a very new question about a lighthouse", "--explain", "-k", "1")
    parts = ("open the model", "tokenize", "encode")
    first, again = (indexed(*asked).stderr for _ in range(2))
    (line,) = (line for line in first.splitlines() if line.startswith("time"))
    spent = {words.rsplit(" ", 2)[0].strip(): float(words.split()[-2]) for words in line[10:].split(" · ")}
    assert spent["open the model"] > spent["tokenize"] > 0 and spent["encode"] > 0
    assert all(took >= 0 for took in spent.values())
    assert not any(part in again for part in parts)  # it was asked before


def indexed_photo(program: Program) -> str:
    hits: list[dict[str, str]] = program("search", "jellyfish", "-k", "1", "--json").json
    return hits[0]["path"]


def test_library_may_stand_before_or_after_the_verb(indexed: Program) -> None:
    """The place of an option is nothing a person should have to remember."""
    elsewhere = {"CLIPSEARCH_LIBRARY": str(indexed.folder / "none")}
    wanted = indexed("search", "a dog").stdout
    assert indexed("search", "a dog", "--library", indexed.library, env=elsewhere).stdout == wanted
    assert indexed("--library", indexed.library, "search", "a dog", env=elsewhere).stdout == wanted
    assert indexed("--library", "none", "search", "a dog", "--library", indexed.library).stdout == wanted
    assert indexed("search", "a dog", env=elsewhere).code == 3


def test_the_installed_command_is_the_same_program(indexed: Program) -> None:
    """The entry point in pyproject.toml could name a function that is gone."""
    command = shutil.which("clipsearch", path=os.path.dirname(sys.executable))
    if command is None:
        pytest.skip("clipsearch is not installed beside this Python")
    done = subprocess.run([command, "search", "a dog"], capture_output=True, env=indexed.environment, timeout=60)
    assert done.stdout == indexed("search", "a dog").stdout
