"""Findings as one self-contained HTML page: what came out, plots, tables, how it was measured. No script."""

from __future__ import annotations

from collections.abc import Sequence

from clipsearch.lab.findings import Finding, Table, cell_text, column_title, origins
from clipsearch.lab.plots import svg
from clipsearch.pages.report import paragraph, preformatted, report, table


def page(title: str, made_by: str, findings: Sequence[Finding]) -> str:
    """`title` stands for the heading of a single finding. Raises SystemFault without the extra [lab]."""
    return report(
        title, f"Made by: {made_by}", [(one.title if len(findings) > 1 else "", section(one)) for one in findings]
    )


def section(finding: Finding) -> str:
    parts = [paragraph(finding.says)]
    parts += [f"<figure>{svg(plot)}</figure>" for plot in finding.plots]
    parts += [_table(one) for one in finding.tables]
    if finding.ready:
        parts.append(preformatted(finding.ready))
    parts += [paragraph(note, quiet=True) for note in finding.notes]
    return "\n".join(parts)


def _table(one: Table) -> str:
    above = [("" if origin == "name" else origin, count) for origin, count in origins(one.columns)]
    rows = [[cell_text(column, cell) for column, cell in zip(one.columns, row, strict=True)] for row in one.rows]
    return f"{paragraph(one.title)}{table([column_title(column) for column in one.columns], rows, above)}"
