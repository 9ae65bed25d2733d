"""What `clipsearch model verify --layers` found, as a page and as JSON."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import click

from clipsearch.cli import output

if TYPE_CHECKING:  # numpy comes with it
    from clipsearch.engine.layers import LayerReport, NodeResult


def show(report: LayerReport, what: str) -> None:
    """`what` is compared with the reference: a variant on a way."""
    limit = f"{report.tolerance.relative:.1%}"
    click.echo(
        f"{report.tower} tower, {output.printable(what)}: {report.nodes} nodes, whole: cosine {report.whole:.6f}"
    )
    if report.first is None:
        click.echo(f"  no node differs by more than {limit}")
    else:
        click.echo(f"  the first node that differs by more than {limit}")
        _table([report.first])
    click.echo("  the worst")
    _table(report.worst)


def fields(report: LayerReport) -> dict[str, object]:
    return {
        "tower": report.tower,
        "nodes": report.nodes,
        "tolerance": report.tolerance.relative,
        "whole_cosine": report.whole,
        "first": None if report.first is None else _node(report.first),
        "worst": [_node(one) for one in report.worst],
    }


def _node(result: NodeResult) -> dict[str, object]:
    """Without infinity, which JSON has no word for: null is a result that is no number."""
    return {
        "node": result.node,
        "op": result.op,
        "shape": list(result.shape),
        "cosine": result.cosine,
        "largest": result.largest if math.isfinite(result.largest) else None,
        "relative": result.relative if math.isfinite(result.relative) else None,
    }


def _table(results: tuple[NodeResult, ...] | list[NodeResult]) -> None:
    head = ("node", "operator", "shape", "off by", "cosine", "largest")
    rows = [head, *(_row(one) for one in results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    for row in rows:
        left = "  ".join(cell.ljust(width) for cell, width in zip(row[:3], widths[:3], strict=True))
        right = "".join(f"  {cell.rjust(width)}" for cell, width in zip(row[3:], widths[3:], strict=True))
        click.echo(f"    {left}{right}")


def _row(result: NodeResult) -> tuple[str, ...]:
    return (
        output.printable(result.node),
        output.printable(result.op),
        "×".join(map(str, result.shape)) or "1",
        f"{result.relative:.4%}",
        f"{result.cosine:.6f}",
        f"{result.largest:.2g}",
    )
