"""Precision over recall and F1 over the score threshold, as pictures."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pvt_edge.metrics.curves import CONFS, RECALLS
from pvt_edge.reporting.canvas import BLACK, BLUE, FAINT, GREEN, GREY, ORANGE, PINK, SKY, VERMILION, axes_below, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from pvt_edge.metrics.curves import Curves

_COLOURS = (BLUE, VERMILION, GREEN, ORANGE, PINK, SKY)  # with one style of line each time round
_LINES = ("-", "--")
MOST_NAMED = len(_COLOURS) * len(_LINES)
_HEIGHT_IN = 4.4


def draw_precision_recall(curves: "Curves", of: str, ap: str) -> "Figure":
    """A line a class, and their mean; of many classes the lines are grey.

    `of` says whose curves they are, `ap` what the area below them is called.
    """
    figure, axes = axes_below("Precision over recall", of, _HEIGHT_IN)
    rows = {f"{name}, {ap} {curve.ap:.3f}": curve.precision for name, curve in curves.classes.items()}
    _draw(axes, RECALLS, rows, f"mean, {ap} {np.mean([curve.ap for curve in curves.classes.values()]):.3f}")
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    return figure


def draw_f1(curves: "Curves", of: str) -> "Figure":
    """A line a class, and their mean with its highest point, which is the threshold to use."""
    best = curves.best
    figures = f"precision {best.precision:.3f}, recall {best.recall:.3f}"
    line = f"{of}; highest mean F1 {best.f1:.3f} at {best.conf:g}: {figures}"
    figure, axes = axes_below("F1 over the score threshold", line, _HEIGHT_IN)
    rows = {f"{name}, {curve.best.f1:.3f} at {curve.best.conf:g}": curve.f1 for name, curve in curves.classes.items()}
    _draw(axes, CONFS, rows, f"mean, {best.f1:.3f} at {best.conf:g}")
    axes.axvline(best.conf, color=GREY, linestyle=":", linewidth=1.2, zorder=1)
    axes.set_xlabel("score threshold (--conf)")
    axes.set_ylabel("F1")
    return figure


def _draw(axes: "Axes", x: "NDArray[np.float64]", rows: "dict[str, NDArray[np.float64]]", mean: str) -> None:
    """A line a row, and their mean where there are several, with their names beside the axes."""
    few = len(rows) <= MOST_NAMED
    for number, (name, values) in enumerate(rows.items()):
        if few:
            colour, style = _COLOURS[number % len(_COLOURS)], _LINES[number // len(_COLOURS)]
            axes.plot(x, values, color=colour, linestyle=style, linewidth=1.6, label=shorten(name, 40))
        else:
            axes.plot(x, values, color=FAINT, linewidth=0.8, label=f"{len(rows)} classes" if number == 0 else None)
    if len(rows) > 1:
        axes.plot(x, _mean([*rows.values()]), color=BLACK, linewidth=2.2, label=mean)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.grid()
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, fontsize=9)


def _mean(values: "Sequence[NDArray[np.float64]]") -> "NDArray[np.float64]":
    return np.asarray(np.mean(values, axis=0))
