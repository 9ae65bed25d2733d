"""`clipsearch lab models`, `compare` and `precision`, as a person asks them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.program import Program, said_once


def test_models_are_one_json_object_with_their_counts(program: Program, tmp_path: Path) -> None:
    """A script that reads parameters would have to know whether one model was asked for or more."""
    page = tmp_path / "models.html"
    outcome = program("lab", "models", "--json", "--output", page)
    assert outcome.code == 0, outcome.stderr
    starter = outcome.json["models"][0]
    # A ViT-B/16 has 86 million, whatever few bits each is coded in.
    assert starter["model"] == "starter" and 86e6 < starter["image"]["parameters"] < 87e6
    assert "<svg" in page.read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (("compare", "photos", "starter"), "starter alone is no comparison", 2),
        (("precision",), "no photos to measure on", 2),
        (("precision", "nowhere"), "There is no folder nowhere", 5),
    ],
)
def test_what_cannot_be_measured_is_refused_at_once(
    program: Program, arguments: tuple[str, ...], said: str, code: int
) -> None:
    """A model would be opened first, and minutes pass before the complaint."""
    assert said in said_once(program("lab", *arguments), code)
