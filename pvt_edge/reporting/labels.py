"""Names of points, placed so that they cover neither each other nor what else is drawn."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING

from pvt_edge.reporting.plots import BLACK, DPI, GREY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

    Dot = tuple[float, float]
    Place = tuple[Bbox, list[Dot]]  # of a name, and the dots of the line to its point

_PX = DPI / 72  # pixels a point
# Between a name and another's marker, which it would be taken for the name of: one with a line to its own, and without.
_APART, _FAR_APART = 5 * _PX, 12 * _PX
_BESIDE, *_AWAY = (reach * _PX for reach in (4, 12, 22, 34, 48, 64, 82, 102, 126))  # from the marker's rim
_FEW, _TRIES = 16, 30  # so many names are tried in so many orders
# Right and left come first: what is above and below would bar the way of lines to names further off.
_DIRECTIONS = (
    *((1, 0), (1, 1), (1, -1), (-1, 0), (-1, 1), (-1, -1)),
    *((0, 1), (0, -1), (0.5, 1), (0.5, -1), (-0.5, 1), (-0.5, -1)),
)


@dataclass(frozen=True)
class Label:
    """The name of the point (x, y), in the axes' units, whose marker has a `radius` in points."""

    x: float
    y: float
    text: str
    radius: float
    colour: str = BLACK
    bold: bool = False


def place_labels(
    figure: "Figure",
    axes: "Axes",
    labels: Sequence[Label],
    *,
    lines: "Sequence[Line2D]" = (),
    texts: "Sequence[Text]" = (),
) -> list[Label]:
    """Those of `labels` that were written beside their points; the first take the nearest places.

    A name away from its point is joined to it by a line. Where one finds no place, other orders are tried for one that
    has room for all, and in vain it is left out. Names keep off `lines` and `texts`. Limits and layout of the axes must
    not change afterwards.
    """
    from matplotlib.transforms import IdentityTransform

    pixels = IdentityTransform()
    figure.draw_without_rendering()  # lays the axes out
    figure.set_layout_engine("none")
    markers = [_square(tuple(axes.transData.transform((label.x, label.y))), label.radius * _PX) for label in labels]
    drawn = [_square(dot, _PX) for line in lines for dot in _trace(line)]
    written = [text.get_window_extent() for text in texts]
    names = [
        axes.text(0, 0, label.text, color=label.colour, weight="bold" if label.bold else "normal", zorder=5)
        for label in labels
    ]
    for name in names:
        name.set(transform=pixels, va="bottom")
    sizes = [name.get_window_extent() for name in names]
    try_order = partial(_places_in_order, markers=markers, sizes=sizes, frame=axes.bbox, written=written, drawn=drawn)
    places = _best_places(len(labels), try_order)
    for i, name in enumerate(names):
        if i not in places:
            name.remove()
            continue
        place, joint = places[i]
        name.set_position((place.x0, place.y0))
        if joint:
            axes.plot(*zip(joint[0], joint[-1], strict=True), transform=pixels, color=GREY, linewidth=0.8, zorder=2)
    return [label for i, label in enumerate(labels) if i in places]


def _best_places(count: int, try_order: "Callable[[Sequence[int]], dict[int, Place]]") -> "dict[int, Place]":
    """Place and line by number: in the given order, or where that has no room for some in an order that has for all."""
    order, chance = list(range(count)), Random(0)
    first = found = try_order(order)
    for _ in range(_TRIES if count <= _FEW else 0):
        if len(found) == count:
            return found
        chance.shuffle(order)
        order.sort(key=lambda i: i in found)  # those left out go first
        found = try_order(order)
    return found if len(found) == count else first


def _places_in_order(
    order: Sequence[int],
    markers: "Sequence[Bbox]",
    sizes: "Sequence[Bbox]",
    frame: "Bbox",
    written: "Sequence[Bbox]",
    drawn: "Sequence[Bbox]",
) -> "dict[int, Place]":
    """Place and line by number, each name where those before it in `order` left room; without those that found none."""
    covered, found = list(written), {}
    for i in order:
        free = _free_place(markers[i], sizes[i], frame, markers, covered, drawn)
        if free is not None:
            found[i] = place, joint = free
            covered += [place.padded(6 * _PX, 2 * _PX), *(_square(dot, 2 * _PX) for dot in joint)]
    return found


def _free_place(
    marker: "Bbox",
    size: "Bbox",
    frame: "Bbox",
    markers: "Sequence[Bbox]",
    written: "Sequence[Bbox]",
    drawn: "Sequence[Bbox]",
) -> "Place | None":
    """The nearest box of that size beside `marker` that covers nothing, and its line, which crosses no name."""
    x, y = _centre(marker)
    others = [other for other in markers if not other.contains(x, y)]
    apart, far_apart = ([other.padded(gap) for other in others] for gap in (_APART, _FAR_APART))
    covered = [*written, *drawn, *markers]
    crossed = [*written, *(other for other in markers if not other.overlaps(marker))]
    for place, joint in _places(marker, size.width, size.height):
        if (
            (frame.x0 < place.x0 and place.x1 < frame.x1 and frame.y0 < place.y0 and place.y1 < frame.y1)
            and not any(place.overlaps(box) for box in (*covered, *(apart if joint else far_apart)))
            and not any(box.contains(*dot) for dot in joint for box in crossed)
        ):
            return place, joint
    return None


def _places(marker: "Bbox", width: float, height: float) -> "Iterator[Place]":
    """Boxes about `marker`, the nearest first, and the dots of the line from its rim to those that are away from it."""
    from matplotlib.transforms import Bbox

    x, y = _centre(marker)
    for reach in (_BESIDE, *_AWAY):
        across, along = marker.width / 2 + reach + width / 2, marker.width / 2 + reach + height / 2
        for right, up in _DIRECTIONS:
            place = Bbox.from_bounds(x + right * across - width / 2, y + up * along - height / 2, width, height)
            nearest = min(max(x, place.x0), place.x1), min(max(y, place.y0), place.y1)
            dots = [] if reach == _BESIDE else list(_dots((x, y), nearest))[:-1]  # short of the name
            yield place, [dot for dot in dots if not marker.contains(*dot)]


def _trace(line: "Line2D") -> "Iterator[Dot]":
    """Dots along what `line` draws."""
    corners = line.get_transform().transform(line.get_xydata())
    for start, end in pairwise(corners):
        yield from _dots(start, end)


def _dots(start: "Dot", end: "Dot") -> "Iterator[Dot]":
    """Points from `start` to `end`, as dense as needed for no name to slip between two."""
    count = 1 + int(max(abs(end[0] - start[0]), abs(end[1] - start[1])) / (2 * _PX))
    for i in range(count + 1):
        yield start[0] + (end[0] - start[0]) * i / count, start[1] + (end[1] - start[1]) * i / count


def _square(centre: "Dot", half: float) -> "Bbox":
    from matplotlib.transforms import Bbox

    return Bbox.from_extents(centre[0] - half, centre[1] - half, centre[0] + half, centre[1] + half)


def _centre(box: "Bbox") -> "Dot":
    return (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
