"""Plots: what is drawn is what was found, in the colours of the page, and always the same."""

from __future__ import annotations

import io
import re
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from clipsearch.errors import SystemFault
from clipsearch.lab.findings import Bars, Grid, Lines, Plot, Points, Series
from clipsearch.lab.plots import png, svg
from clipsearch.printable import printable

SERIES = (
    Series("a $5 lens", (1.0, 2.0, 4.0), (1.0, 3.0, 2.0)),
    Series("the bound", (1.0, 4.0), (2.0, 2.0), quiet=True),
)
PLOTS: dict[str, Plot] = {
    "bars": Bars("Cats win", ("cat", "<b>&dog</b>"), (0.9, 0.4), "share", low=(0.8, 0.3), high=(0.95, 0.6)),
    "lines": Lines("Four is best", SERIES, "batch", "images/s", logarithmic=True),
    "points": Points("Small is fast", SERIES[:1], "images/s", "acc@1", names=(("one", "two", "three"),)),
    "grid": Grid("Cats are dogs", ("cat", "dog"), ("cat", "dog"), ((1.0, 0.2), (float("nan"), 0.5)), "is", "taken for"),
}


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_has_the_colours_of_its_page_and_its_words_as_text(name: str) -> None:
    """Fixed colours are black on black by night, and paths for letters cannot be read aloud or searched."""
    drawn = svg(PLOTS[name])
    assert drawn.startswith("<svg") and "var(--ink)" in drawn and "#23211d" not in drawn
    assert PLOTS[name].title in re.sub("<[^>]+>", "", drawn)
    assert "<b>" not in drawn and "<image" not in drawn  # nothing of a name is markup, and the page loads no picture


def test_numbers_in_light_cells_are_dark_by_night_too() -> None:
    """Black is left out of an SVG, so they took the ink of the page: white on white."""
    drawn = svg(PLOTS["grid"])
    assert re.search(r"fill: #111111[^>]*>0\.20<", drawn)


def test_a_cell_without_a_figure_is_blank() -> None:
    """The word nan stood among the figures, on no colour."""
    assert ">nan<" not in svg(PLOTS["grid"])


@pytest.mark.parametrize("name", ["#23211d", 'a style="fill: #23211d"', "tab\tbell\x07 a\x01b", "caf\udce9", "$x$ \\$"])
def test_a_name_is_text_whatever_it_is_like(name: str) -> None:
    """A class became "var(--ink)", and a browser shows nothing of an SVG with a control character."""
    drawn = svg(Bars(name, (name,), (0.5,), name))
    texts = [one.text for one in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count(printable(name)) == 3


def test_names_of_neighbouring_points_do_not_lie_on_one_another() -> None:
    """Ways of one accuracy lie on one line, and their names were one black bar."""
    close = Series("ways", (3.3, 3.5, 3.6, 14.0), (10.0, 10.0, 10.0, 6.0))
    drawn = svg(Points("Ways", (close,), "images/s", "acc@1", names=(("ann", "bob", "cas", "dan"),)))
    heights = [re.search(rf'<text[^>]* y="([-.\d]+)"[^>]*>{name}<', drawn) for name in ("ann", "bob", "cas")]
    assert len({one[1] for one in heights if one}) == 3, drawn[:200]


def test_a_dollar_in_a_name_is_a_dollar() -> None:
    assert "a $5 lens" in svg(PLOTS["lines"])


def test_the_same_plot_is_the_same_bytes() -> None:
    """A report that is made again would differ in a repository although nothing changed."""
    assert svg(PLOTS["lines"]) == svg(PLOTS["lines"])


def test_a_picture_of_a_plot_shows_it() -> None:
    def dark(plot: Plot) -> int:
        pixels = np.asarray(Image.open(io.BytesIO(png(plot))).convert("RGB"), int)
        return int((np.abs(pixels - [0xD5, 0x5E, 0x00]).sum(axis=2) < 20).sum())  # the first colour

    small = Bars("Cats", ("cat",), (0.1,), "share", low=(0.1,), high=(1.0,))
    large = Bars("Cats", ("cat",), (0.9,), "share", low=(0.1,), high=(1.0,))
    assert dark(large) > 5 * dark(small) > 0


def test_without_the_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SystemFault) as caught:
        png(PLOTS["bars"])
    assert "clipsearch[lab]" in caught.value.hint
