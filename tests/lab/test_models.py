"""Models by size: counted beside published, and what cannot be counted is said."""

from __future__ import annotations

from pathlib import Path

from clipsearch.engine.cards import read_card
from clipsearch.engine.store import STARTER_FOLDER
from clipsearch.lab.models import finding, model_sizes
from tests.support.small import DIM, WIDTH, small_model


def test_published_figures_stand_beside_counted_ones_and_never_among_them(tmp_path: Path) -> None:
    """A column that takes the published number where there is one compares apples with hearsay."""
    small_model(tmp_path / "vit-b-32-openai")  # by that name open_clip publishes 151 million and 15 GFLOP
    found = model_sizes([read_card(tmp_path / "vit-b-32-openai"), read_card(STARTER_FOLDER)])
    block = WIDTH * 2 * WIDTH + 2 * WIDTH * DIM
    assert found.models[0].image is not None and found.models[0].image.parameters == 3 * 64 * WIDTH + 2 * WIDTH + block
    parameters, work = finding(found).tables[:2]
    assert [column.origin for column in parameters.columns] == ["name", *["computed"] * 3, "published"]
    assert parameters.rows[0][-1] == 151 and parameters.rows[1][-1] is None
    assert work.rows[0][-1] == 15 and isinstance(work.rows[0][1], float) and work.rows[0][1] < 0.01


def test_a_model_that_cannot_be_counted_stays_in_the_table(tmp_path: Path) -> None:
    """One broken download would hide the others, or itself."""
    card = small_model(tmp_path / "broken")
    (tmp_path / "broken" / "image.onnx").write_bytes(b"nothing")
    told = finding(model_sizes([card, read_card(STARTER_FOLDER)]))
    assert told.tables[0].rows[0][:2] == ("broken", None)
    assert told.says.startswith("starter takes 10.6 GFLOP a photo")
    assert any("broken could not be counted" in note for note in told.notes)


def test_a_missing_file_has_no_size(tmp_path: Path) -> None:
    card = small_model(tmp_path / "torn")
    (tmp_path / "torn" / "text.onnx").unlink()
    files = model_sizes([card]).models[0].files
    assert files[0].image_bytes is not None and files[0].text_bytes is None
