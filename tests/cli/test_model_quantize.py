"""`clipsearch model quantize`: what it adds is shown with its cost, and refused with its number."""

from __future__ import annotations

from pathlib import Path

from clipsearch.engine.cards import read_card
from clipsearch.errors import Exit
from tests.cli.program import Program
from tests.support.small import small_model


def test_size_speed_and_drift_are_shown_and_what_is_beyond_the_gate_is_refused(program: Program, photos: Path) -> None:
    """Who does not see them side by side takes the smallest; what is dropped without a word looks like a bug."""
    card = small_model(program.folder / "models" / "small")
    outcome = program("model", "quantize", "small", "--to", "int4", "--calibrate", photos, "--least-cosine", "0.99999")
    assert outcome.code == 0, outcome.stderr
    assert "int4-onnxruntime is added." in outcome.stderr
    head, fp32, int4, reason, *_ = outcome.stdout.decode().splitlines()
    assert head.split()[:5] == ["variant", "MB", "photos/s", "ms", "a"]
    assert fp32.startswith("fp32 ") and int4.startswith("int4-onnxruntime ")
    variant = read_card(card.folder).variants[1]
    assert variant.compared is not None and f"{variant.compared.image_mean:.4f}" in int4
    assert "0.99999 is asked for" in reason
    rows = [row for row in program("backends", "--model", "small", "--json").json if row["precision"] == variant.name]
    assert [row["verdict"] for row in rows] == ["refused"] and "0.99999 is asked for" in rows[0]["reason"]
    assert "0.99999 is asked for" in program("backends", "--model", "small").stdout.decode()


def test_without_photos_it_says_where_to_take_them_from(program: Program) -> None:
    card = small_model(program.folder / "models" / "small")
    outcome = program("model", "quantize", "small", "--to", "fp16")
    assert outcome.code == Exit.USAGE and "no photos" in outcome.stderr and "--calibrate DIR" in outcome.stderr
    assert len(read_card(card.folder).variants) == 1
