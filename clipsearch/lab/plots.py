"""Plots drawn by matplotlib, which the extra [lab] brings: SVG in the colours of the page around it, or PNG.

The only file that knows matplotlib. It draws what findings.py describes and decides nothing about it.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

from clipsearch.errors import SystemFault
from clipsearch.lab.findings import Bars, Grid, Lines, Plot, Points
from clipsearch.printable import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# In an SVG these stand for the page's own colours, which differ by day and by night; a PNG has them as they are.
_INK, _QUIET, _EDGE, _GROUND = "#23211d", "#6f6a60", "#dcd7cb", "#f7f5f0"
_VARIABLES = {_INK: "var(--ink)", _QUIET: "var(--quiet)", _EDGE: "var(--edge)", _GROUND: "var(--ground)"}
# Within a tag alone: a text may be called like a colour, or be written like a style. Both hold no bare < or >.
_STYLE = re.compile(r' style="[^"<>]*"(?=[^<>]*>)')
# Okabe and Ito's colours (2008), which the colour-blind can tell apart; legible on both grounds. Yellow is left out.
_COLORS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_WIDTH, _DPI = 7.2, 130  # inches, of a plot; pixels an inch, of a PNG
_ROW = 0.24  # inches, of one bar
_NAME = 34  # letters that are shown of a name
_HEIGHTS = (3, -9, 14, -20)  # points above its place where the name of a point stands
_WRITTEN = 12  # rows and columns up to which a cell has its number


def svg(plot: Plot) -> str:
    """For a page that defines the colours; text stays text. Raises SystemFault without the extra [lab]."""
    file = io.StringIO()
    figure = _drawn(plot)
    # Without a date, and with a salt that is always the same, one plot is one string.
    with _matplotlib().rc_context({"svg.fonttype": "none", "svg.hashsalt": "clipsearch"}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    drawn = _STYLE.sub(_in_page_colors, file.getvalue())
    return re.sub(r"^.*?(?=<svg)", "", drawn, count=1, flags=re.DOTALL)


def _in_page_colors(style: re.Match[str]) -> str:
    return re.sub("|".join(_VARIABLES), lambda color: _VARIABLES[color[0]], style[0])


def png(plot: Plot) -> bytes:
    """The same on a light ground. Raises SystemFault without the extra [lab]."""
    file = io.BytesIO()
    _drawn(plot).savefig(file, format="png", dpi=_DPI, facecolor=_GROUND)
    return file.getvalue()


def check_installed() -> None:
    """Raises SystemFault without the extra [lab]."""
    _matplotlib()


def _matplotlib() -> Any:
    try:
        import matplotlib
    except ImportError as error:
        raise SystemFault(
            "Plots need matplotlib, which is not installed.", "Install it: pip install 'clipsearch[lab]'"
        ) from error
    return matplotlib


def _drawn(plot: Plot) -> Figure:
    matplotlib = _matplotlib()
    from matplotlib.figure import Figure

    with matplotlib.rc_context(
        {"font.size": 9, "text.color": _INK, "axes.labelcolor": _QUIET, "axes.edgecolor": _EDGE}
    ):
        figure = Figure(figsize=(_WIDTH, _height(plot)), layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(_plain(plot.title), loc="left", fontsize=10.5, wrap=True)
        axes.set_facecolor("none")
        axes.tick_params(colors=_QUIET, length=0)
        axes.spines[["top", "right"]].set_visible(False)
        match plot:
            case Bars():
                _bars(axes, plot)
            case Grid():
                _grid(axes, plot)
            case Lines() | Points():
                _curves(axes, plot)
    return figure


def _height(plot: Plot) -> float:
    match plot:
        case Bars():
            return 1.0 + _ROW * len(plot.names)
        case Grid():
            return min(9.0, 1.6 + 0.34 * len(plot.rows))
    return 3.6


def _bars(axes: Axes, plot: Bars) -> None:
    places = range(len(plot.names))
    axes.barh(places, plot.values, color=_COLORS[0], height=0.66)
    if plot.low:
        spread = [
            [value - low for value, low in zip(plot.values, plot.low, strict=True)],
            [high - value for value, high in zip(plot.values, plot.high, strict=True)],
        ]
        axes.errorbar(plot.values, places, xerr=spread, fmt="none", ecolor=_INK, elinewidth=1)
    axes.set_yticks(places, [_short(name) for name in plot.names])
    axes.invert_yaxis()
    axes.set_xlabel(_plain(plot.across))
    axes.grid(axis="x", color=_EDGE, linewidth=0.6)
    axes.set_axisbelow(True)


def _curves(axes: Axes, plot: Lines | Points) -> None:
    color = iter(_COLORS * (1 + len(plot.series) // len(_COLORS)))
    for one in plot.series:
        style: dict[str, Any] = {"color": _QUIET, "linestyle": "--", "linewidth": 1}
        if not one.quiet:
            line = "-" if isinstance(plot, Lines) else "none"
            style = {"color": next(color), "linestyle": line, "marker": "o", "markersize": 3.5, "linewidth": 1.6}
        axes.plot(one.x, one.y, label=_plain(one.name), **style)
    if isinstance(plot, Points) and plot.names:
        _name_points(axes, plot)
    if isinstance(plot, Lines) and plot.logarithmic:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel(_plain(plot.across))
    axes.set_ylabel(_plain(plot.up))
    axes.grid(color=_EDGE, linewidth=0.6)
    axes.set_axisbelow(True)
    if len(plot.series) > 1:
        axes.legend(frameon=False, fontsize=8)


def _name_points(axes: Axes, plot: Points) -> None:
    """Neighbours at different heights, and towards the middle: names lie on one another else, or leave the plot."""
    points = sorted(
        (x, y, name)
        for one, names in zip(plot.series, plot.names, strict=True)
        for x, y, name in zip(one.x, one.y, names, strict=True)
    )
    middle = (points[0][0] + points[-1][0]) / 2
    axes.margins(0.1, 0.2)
    for number, (x, y, name) in enumerate(points):
        is_right = x > middle
        place = (-5 if is_right else 5, _HEIGHTS[number % len(_HEIGHTS)])
        side = "right" if is_right else "left"
        axes.annotate(_short(name), (x, y), xytext=place, textcoords="offset points", fontsize=7.5, ha=side)


def _grid(axes: Axes, plot: Grid) -> None:
    flat = [value for row in plot.values for value in row if value == value]
    low, high = min(flat, default=0.0), max(flat, default=1.0)
    axes.pcolormesh(plot.values, cmap="Oranges", vmin=low, vmax=high, edgecolors=_GROUND, linewidth=0.5)
    axes.invert_yaxis()
    axes.set_xticks(
        [place + 0.5 for place in range(len(plot.columns))],
        [_short(name) for name in plot.columns],
        rotation=40,
        ha="right",
    )
    axes.set_yticks([place + 0.5 for place in range(len(plot.rows))], [_short(name) for name in plot.rows])
    axes.set_xlabel(_plain(plot.across))
    axes.set_ylabel(_plain(plot.down))
    axes.spines[:].set_visible(False)
    if max(len(plot.rows), len(plot.columns)) > _WRITTEN:
        return
    for row, values in enumerate(plot.values):
        for column, value in enumerate(values):
            if value != value:  # NaN: the cell is blank
                continue
            # On the dark half of the scale in white: neither follows the page, as the cell does not.
            # Not quite black: matplotlib leaves that out of an SVG, and the page's own ink would take its place.
            color = "#ffffff" if high > low and (value - low) / (high - low) > 0.6 else "#111111"
            axes.text(
                column + 0.5, row + 0.5, format(value, plot.form), ha="center", va="center", fontsize=7.5, color=color
            )


def _short(name: str) -> str:
    return _plain(name if len(name) <= _NAME else name[: _NAME - 1] + "…")


def _plain(text: str) -> str:
    """A dollar begins mathematics in matplotlib; in a file's name it is a dollar. XML allows no control characters."""
    return printable(text).replace("$", r"\$")
