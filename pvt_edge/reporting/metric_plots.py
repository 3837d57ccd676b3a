"""An evaluation as pictures: what is taken for what, precision over recall, F1 over the score threshold."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pvt_edge.metrics.confusion import NOTHING
from pvt_edge.metrics.curves import CONFS, RECALLS
from pvt_edge.reporting.plots import BLACK, BLUE, FAINT, GREEN, GREY, ORANGE, PINK, SKY, VERMILION, axes_below, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from pvt_edge.metrics.confusion import Confusion
    from pvt_edge.metrics.curves import Curves

MOST_CLASSES = 30  # of a table that can be read
_CELL_IN, _LEAST_IN, _MOST_IN = 0.62, 3.4, 7.6
_COLOURS = (BLUE, VERMILION, GREEN, ORANGE, PINK, SKY)  # with one style of line each time round
_LINES = ("-", "--")
MOST_NAMED = len(_COLOURS) * len(_LINES)
_HEIGHT_IN = 4.4


def draw_confusion(confusion: "Confusion", subject: str = "") -> "Figure":
    """Counts in cells that are coloured by their share of the row, blue where right and orange where not.

    What was found where nothing is goes by its share of the column. Of many classes those most often mistaken are
    shown. `subject` says whose table it is, in the line below the title.
    """
    counts, names = confusion.counts, confusion.names
    parts = [subject] if subject else []
    if confusion.conf is not None:
        parts.append(f"scores above {confusion.conf:g}, overlaps from {confusion.iou:g} on")
    if len(names) > MOST_CLASSES:
        parts.append(f"the {MOST_CLASSES} of {len(names)} classes most often mistaken")
        kept = (np.diag(counts) + 1) / (counts.sum(axis=1) + 1)
        worst = np.argsort(kept, kind="stable")[:MOST_CLASSES]
        counts, names = counts[np.ix_(worst, worst)], tuple(names[i] for i in worst)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    if NOTHING in names and confusion.conf is not None:
        row = names.index(NOTHING)
        shares[row] = counts[row] / np.maximum(counts.sum(axis=0), 1)
    height = min(max(_CELL_IN * len(names) + 1.2, _LEAST_IN), _MOST_IN)
    figure, axes = axes_below("Confusion matrix", "; ".join(parts) or "counts", height)
    right = np.eye(len(names), dtype=bool)
    for cells, colours in ((~right, "Oranges"), (right, "Blues")):
        axes.imshow(np.ma.masked_where(~cells, shares), cmap=colours, vmin=0, vmax=1)
    ticks, size = [shorten(name, 24) for name in names], 10 if len(names) <= 12 else 6.5
    axes.set_xticks(range(len(names)), ticks, rotation=90 if max(map(len, ticks)) > 5 else 0, size=size)
    axes.set_yticks(range(len(names)), ticks, size=size)
    axes.set_xlabel("taken for")
    axes.set_ylabel("is")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for (i, j), count in np.ndenumerate(counts):
        if count:
            colour = "white" if shares[i, j] > 0.6 else BLACK
            axes.text(j, i, f"{count}", ha="center", va="center", size=size, color=colour)
    return figure


def draw_precision_recall(curves: "Curves", subject: str, ap: str) -> "Figure":
    """A line a class, and their mean; of many classes the lines are grey.

    `subject` says whose curves they are, `ap` what the area below them is called.
    """
    figure, axes = axes_below("Precision over recall", subject, _HEIGHT_IN)
    rows = {f"{name}, {ap} {curve.ap:.3f}": curve.precision for name, curve in curves.classes.items()}
    _draw(axes, RECALLS, rows, f"mean, {ap} {np.mean([curve.ap for curve in curves.classes.values()]):.3f}")
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    return figure


def draw_f1(curves: "Curves", subject: str) -> "Figure":
    """A line a class, and their mean with its highest point, which is the threshold to use."""
    best = curves.best
    figures = f"precision {best.precision:.3f}, recall {best.recall:.3f}"
    line = f"{subject}; highest mean F1 {best.f1:.3f} at {best.conf:g}: {figures}"
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
