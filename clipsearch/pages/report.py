"""A report in one HTML file: tables, bars, lines and matrices drawn as SVG, light and dark, without a script."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

_WIDTH = 640  # px, of a drawing
_CONTENTS = 5  # sections above which a page begins with a list of them

_STYLE = """
:root {
  color-scheme: light dark;
  --ground: #f7f5f0; --ink: #23211d; --quiet: #6f6a60; --edge: #dcd7cb; --accent: #b4540a;
}
@media (prefers-color-scheme: dark) {
  :root { --ground: #161513; --ink: #ece8df; --quiet: #9d968a; --edge: #35322d; --accent: #f0a04b; }
}
body { margin: 0 auto; max-width: 46rem; padding: clamp(1rem, 3vw, 3rem); background: var(--ground); color: var(--ink);
  font: 0.875rem/1.5 system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif; }
h1 { margin: 0; font-size: 1.6rem; font-weight: 600; } h2 { font-size: 1.05rem; margin-top: 2.2rem; }
.quiet { color: var(--quiet); }
a { color: inherit; } nav ol { columns: 2; padding-left: 1.5rem; }
.wide { overflow-x: auto; } figure { margin: 1rem 0; }
.span { border: 0; text-align: center; font-style: italic; }
table { border-collapse: collapse; }
td, th { padding: .15rem 1rem .15rem 0; text-align: right; font-variant-numeric: tabular-nums; }
td:first-child, th:first-child, .facts td { text-align: left; } .facts td:first-child { color: var(--quiet); }
th { color: var(--quiet); font-weight: normal; border-bottom: 1px solid var(--edge); }
svg { display: block; max-width: 100%; height: auto; } svg text { fill: var(--ink); font-size: 12px; }
svg .dim { fill: var(--quiet); }
svg .count { font-size: 10px; text-anchor: middle; pointer-events: none; }
.bar { fill: var(--accent); } .track { fill: var(--edge); }
.curve { fill: none; stroke: var(--accent); stroke-width: 2; } .axis { stroke: var(--edge); }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def report(title: str, summary: str, sections: Sequence[tuple[str, str]]) -> str:
    """The page: `sections` are (heading, or nothing; HTML made by the functions below)."""
    named = [(number, heading) for number, (heading, _) in enumerate(sections) if heading]
    links = "".join(f'<li><a href="#s{number}">{escape(heading)}</a></li>' for number, heading in named)
    contents = f"<nav><ol>{links}</ol></nav>\n" if len(named) > _CONTENTS else ""
    body = "".join(f"{_heading(number, one)}\n{content}\n" for number, (one, content) in enumerate(sections))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="referrer" content="no-referrer"><meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n"
        f'<body><h1>{escape(title)}</h1><p class="quiet">{escape(summary)}</p>\n{contents}{body}</body></html>\n'
    )


def _heading(number: int, heading: str) -> str:
    return f'<h2 id="s{number}">{escape(heading)}</h2>' if heading else ""


def facts(rows: Sequence[tuple[str, str]]) -> str:
    """(what, how it is), one below the other."""
    lines = "".join(f"<tr><td>{escape(what)}</td><td>{escape(how)}</td></tr>\n" for what, how in rows)
    return f'<table class="facts">{lines}</table>'


def table(head: Sequence[str], rows: Sequence[Sequence[str]], above: Sequence[tuple[str, int]] = ()) -> str:
    """The first column is text, the others are numbers as they are shown; `above`: (words, columns) over the head."""
    spans = "".join(f'<th class="span" colspan="{count}">{escape(words)}</th>' for words, count in above)
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>\n" for row in rows)
    upper = f"<tr>{spans}</tr>\n" if above else ""
    return f'<div class="wide"><table>{upper}<tr>{cells}</tr>\n{lines}</table></div>'


def paragraph(text: str, *, quiet: bool = False) -> str:
    return f"<p{' class=quiet' if quiet else ''}>{escape(text)}</p>"


def preformatted(lines: Sequence[str]) -> str:
    """Lines to copy, each as it is."""
    return f'<pre class="wide">{escape(chr(10).join(lines))}</pre>'


def bars(rows: Sequence[tuple[str, float]]) -> str:
    """(name, share 0..1), each a bar with its percentage; a share that is not a number has none."""
    height, left = 20, 190
    room = _WIDTH - left - 60
    parts = []
    for number, (name, share) in enumerate(rows):
        y = number * height
        known = share == share  # NaN is not itself
        parts.append(
            f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{escape(name[:28])}</text>'
            f'<rect class="track" x="{left}" y="{y + 4}" width="{room}" height="12"/>'
            f'<rect class="bar" x="{left}" y="{y + 4}" width="{room * share if known else 0:.1f}" height="12"/>'
            f'<text class="dim" x="{left + room + 8}" y="{y + 14}">{f"{share:.0%}" if known else "–"}</text>'
        )
    return _svg(len(rows) * height, parts)


def line(points: Sequence[tuple[float, float]], across: str) -> str:
    """(x, y) joined in their order, each point with its numbers; x is set at even distances and is called `across`."""
    height, left, top = 210, 40, 24
    most = max((y for _, y in points), default=1.0) or 1.0
    step = (_WIDTH - left - 60) / max(1, len(points) - 1)
    places = [(left + number * step, top + (height - 70) * (1 - y / most)) for number, (_, y) in enumerate(points)]
    parts = [
        f'<line class="axis" x1="{left}" y1="{height - 40}" x2="{_WIDTH - 20}" y2="{height - 40}"/>',
        f'<polyline class="curve" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}"/>',
        f'<text class="dim" x="{_WIDTH - 20}" y="{height - 4}" text-anchor="end">{escape(across)}</text>',
    ]
    for (x, y), (value, number) in zip(places, points, strict=True):
        parts.append(
            f'<circle class="bar" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
            f'<text x="{x:.1f}" y="{y - 8:.1f}" text-anchor="middle">{number:,.3g}</text>'
            f'<text class="dim" x="{x:.1f}" y="{height - 24}" text-anchor="middle">{value:g}</text>'
        )
    return _svg(height, parts)


def matrix(names: Sequence[str], counts: Sequence[Sequence[int]], down: str, across: str) -> str:
    """Rows are what it is, columns what it was taken for: `down` and `across` say so. Dark is a large share of a row.

    A count stands in its cell; none does where it is 0, and so the eye finds what is not.
    """
    side, left, top = 30, 130, 110
    below = top + len(names) * side
    parts = [
        f'<text class="dim" x="{left - 8}" y="{top - 8}" text-anchor="end">{escape(down)}</text>',
        f'<text class="dim" x="{left}" y="{below + 20}">{escape(across)}</text>',
    ]
    for row, (name, values) in enumerate(zip(names, counts, strict=True)):
        total, y, at = sum(values) or 1, top + row * side, left + row * side + 19
        short = escape(name[:18])
        parts.append(f'<text x="{left - 8}" y="{y + 19}" text-anchor="end">{short}</text>')
        parts.append(f'<text transform="translate({at},{top - 8}) rotate(-60)">{short}</text>')
        for column, value in enumerate(values):
            told = f"{escape(name)} taken for {escape(names[column])}: {value:,}"
            x = left + column * side
            parts.append(
                f'<rect class="bar" x="{x}" y="{y}" width="{side - 1}" height="{side - 1}"'
                f' opacity="{0.04 + 0.96 * value / total:.3f}"><title>{told}</title></rect>'
            )
            if value:
                parts.append(f'<text class="count" x="{x + side / 2}" y="{y + 19}">{_brief(value)}</text>')
    return _svg(below + 30, parts, width=left + len(names) * side + 60)


def _brief(count: int) -> str:
    """Four signs at most."""
    return f"{count}" if count < 1000 else f"{count / 1000:.3g}k"


def _svg(height: float, parts: Sequence[str], *, width: float = _WIDTH) -> str:
    return f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" role="img">{"".join(parts)}</svg>'
