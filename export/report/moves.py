"""What each move loses and saves alone."""

from typing import TYPE_CHECKING

from pvt_edge.export.precision.record import ApproximationRecord
from pvt_edge.reporting import canvas
from pvt_edge.reporting.markdown import plain, table
from pvt_edge.reporting.rounding import counted, drop, ms

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMED = 10  # points of the plot with a name


def alone_section(record: ApproximationRecord) -> str:
    """The section of report.md on moves alone, where `--tune full` measured them."""
    assert record.metric is not None
    words = plain(record.metric.words)
    rows = [[plain(row.words), drop(row.drop), ms(row.ms_saved), ms(row.exact_ms)] for row in record.alone]
    return "\n\n".join(
        [
            "### Each move alone",
            f"{counted(len(rows), 'move')}, least loss per millisecond first: the sets above are the first so many of "
            f"these. In float, on the first pictures of {plain(record.metric.data)}, timed in turns with the exact "
            "graph.",
            table(["move", f"drop of {words}", "ms saved", "of ms"], rows, words=1),
        ]
    )


def draw(record: ApproximationRecord) -> "Figure | None":
    """Loss against milliseconds saved, a point a move; None where none was measured alone."""
    if not record.alone or record.metric is None:
        return None
    figure, axes = canvas.axes_below(
        "What each move loses and saves alone", f"{record.metric.words} on {record.metric.data}.", 4.5
    )
    axes.scatter([row.ms_saved for row in record.alone], [row.drop for row in record.alone], color=canvas.BLUE)
    for row in sorted(record.alone, key=lambda row: -row.ms_saved)[:NAMED]:
        text = canvas.shorten(row.words, 40)
        axes.annotate(text, (row.ms_saved, row.drop), (4, 3), textcoords="offset points", size=7)
    axes.axhline(0, color=canvas.BLACK, linewidth=1)
    axes.axvline(0, color=canvas.BLACK, linewidth=1)
    axes.set_xlabel("ms saved of one inference")
    axes.set_ylabel(f"loss of {canvas.shorten(record.metric.words, 32)}")
    return figure
