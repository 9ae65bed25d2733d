"""Tables of findings: each column says where its figures are from."""

from __future__ import annotations

import pytest

from clipsearch.lab.findings import Column, Finding, Table, cell_text, origins
from clipsearch.lab.page import section

COLUMNS = (
    Column("model"),
    Column("acc@1", "measured", form=".1%"),
    Column("size", "measured", "MB", ".1f"),
    Column("acc@1", "published", form=".1%"),
)


def test_a_page_says_which_columns_were_measured_and_which_published() -> None:
    """The experiments that these descend from quote 35, 99 and 100 times for one cache: measured and hoped for."""
    table = Table("Models", COLUMNS, (("a <b> model", 0.5, 12.0, None),))
    html = section(Finding("Models", "One & only.", (table,)))
    assert '<th class="span" colspan="2">measured</th><th class="span" colspan="1">published</th>' in html
    assert "<td>a &lt;b&gt; model</td><td>50.0%</td><td>12.0</td><td>–</td>" in html
    assert "One &amp; only." in html


def test_neighbours_of_one_origin_share_a_heading() -> None:
    assert origins(COLUMNS) == (("name", 1), ("measured", 2), ("published", 1))


def test_a_figure_that_is_none_is_a_dash() -> None:
    assert [cell_text(COLUMNS[1], cell) for cell in (None, float("nan"), 0.123, "few")] == ["–", "–", "12.3%", "few"]
    assert cell_text(Column("photos", "measured"), 12345) == "12,345"


def test_a_row_of_another_length_is_a_mistake_of_ours() -> None:
    """A figure would stand below another head."""
    with pytest.raises(AssertionError):
        Table("Models", COLUMNS, (("one", 0.5),))
