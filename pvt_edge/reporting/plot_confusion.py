"""What is taken for what, as a picture."""

from typing import TYPE_CHECKING

import numpy as np

from pvt_edge.metrics.confusion import NOTHING
from pvt_edge.reporting.canvas import BLACK, axes_below, shorten

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pvt_edge.metrics.confusion import Confusion

MOST_CLASSES = 30  # of a table that can be read
_CELL_IN, _LEAST_IN, _MOST_IN = 0.62, 3.4, 7.6


def draw_confusion(confusion: "Confusion", of: str = "") -> "Figure":
    """Counts in cells that are coloured by their share of the row, blue where right and orange where not.

    What was found where nothing is goes by its share of the column. Of many classes those most often mistaken are
    shown. `of` says whose table it is, in the line below the title.
    """
    counts, names = confusion.counts, confusion.names
    parts = [of] if of else []
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
