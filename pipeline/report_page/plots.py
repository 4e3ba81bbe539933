"""Plots of a report: horizontal bars and histograms, drawn without any state of matplotlib's own."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from matplotlib import rc_context
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 8.0
"""Of a figure, in inches."""
COLOURS = ("#2f6f9f", "#c46a2b", "#5b8c5a", "#8a5a94", "#b8a13a", "#6b6b6b")
"""Told apart by colour-blind readers and in print."""
_LONGEST = 40
"""Most characters of a label."""
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: it can be searched, and a browser has the letters that matplotlib has not
    "svg.hashsalt": "voxmill",
    "text.parse_math": False,  # names of the data may hold a `$`
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}

Interval = tuple[float, float]


def bars(
    labels: Sequence[str],
    series: Mapping[str, Sequence[float]],
    axis: str,
    intervals: Sequence[Interval] | None = None,
    most: float | None = None,
) -> Figure:
    """A horizontal bar for each label, of all series stacked. `intervals`: (low, high) at the end of each; `most`: end of the axis."""
    with rc_context(_STYLE):
        figure = Figure(figsize=(WIDTH, 0.9 + 0.28 * len(labels)), layout="constrained")
        axes: Axes = figure.subplots()
        places = list(range(len(labels)))[::-1]
        begin = [0.0] * len(labels)
        for colour, (name, values) in zip(COLOURS, series.items(), strict=False):
            axes.barh(places, values, left=begin, color=colour, label=name)
            begin = [one + more for one, more in zip(begin, values, strict=True)]
        if intervals:
            reach = [
                [max(0.0, end - low) for end, (low, _) in zip(begin, intervals, strict=True)],
                [max(0.0, high - end) for end, (_, high) in zip(begin, intervals, strict=True)],
            ]
            axes.errorbar(begin, places, xerr=reach, fmt="none", ecolor="#222222", elinewidth=1, capsize=2)
        axes.set_yticks(places, [_short(label) for label in labels])
        axes.set_xlim(0, most)
        _finish(axes, axis, legend=len(series) > 1)
    return figure


def histogram(
    edges: Sequence[float],
    series: Mapping[str, Sequence[float]],
    axis: str,
    height: str,
    errors: Sequence[tuple[float, float]] = (),
) -> Figure:
    """Stacked bars over the bins between `edges`, and over them a line: `errors`, (place, errors expected per word)."""
    with rc_context(_STYLE):
        figure = Figure(figsize=(WIDTH, 2.8), layout="constrained")
        axes: Axes = figure.subplots()
        begin = [0.0] * (len(edges) - 1)
        widths = [end - start for start, end in pairwise(edges)]
        for colour, (name, values) in zip(COLOURS, series.items(), strict=False):
            axes.bar(
                edges[:-1], values, widths, begin, align="edge", color=colour, label=name, edgecolor="white", linewidth=0.4
            )
            begin = [one + more for one, more in zip(begin, values, strict=True)]
        axes.set_ylabel(height)
        axes.set_xlim(edges[0], edges[-1])
        if errors:
            right = axes.twinx()
            right.plot(*zip(*errors, strict=True), color="#222222", marker="o", markersize=3, linewidth=1)
            right.set_ylabel("errors expected a word")
            right.set_ylim(0)
        _finish(axes, axis, legend=len(series) > 1)
    return figure


def svg(figure: Figure) -> str:
    """A figure as an SVG element, to stand in HTML. The same figure is the same text."""
    file = io.StringIO()
    with rc_context(_STYLE), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of letters that matplotlib's own fonts have not: a browser draws them
        logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    return text[text.index("<svg") :]


def _finish(axes: Any, axis: str, *, legend: bool) -> None:
    axes.set_xlabel(axis)
    if legend:
        axes.legend(frameon=False, fontsize=8)


def _short(label: str) -> str:
    return label if len(label) <= _LONGEST else label[: _LONGEST - 1] + "…"
