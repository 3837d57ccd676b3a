"""One picture as both sides see it, with what differs marked: the two panels of a contact sheet."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pvt_edge.comparison.agreement import relative_error
from pvt_edge.drawing.lettering import drawable
from pvt_edge.drawing.masks import draw_legend, draw_mask, is_painted
from pvt_edge.results.masks import count_pixels

if TYPE_CHECKING:
    from pvt_edge.comparison.agreement import Matches
    from pvt_edge.comparison.difference import Arrays

Panels: TypeAlias = tuple[NDArray[np.uint8], NDArray[np.uint8]]  # the reference's and the artifact's

# BGR; red and amber differ in lightness too, for who cannot tell the hues apart
RED, AMBER, GREEN, SAME = (40, 40, 225), (0, 190, 255), (80, 160, 40), (150, 170, 90)
INK, GREY, LIGHT, PAPER = (30, 30, 30), (120, 120, 120), (255, 255, 255), (255, 255, 255)
BACKDROP, BAR = (44, 44, 44), (255, 170, 60)  # round a picture, of a class's share
BODY, SMALL, TITLE = 0.5, 0.4, 0.85  # scales of letters
PANEL_HW = (330, 440)
TOP = 3  # classes shown


def box_panels(
    image: NDArray[np.uint8],
    matches: "Matches",
    scale_xy: tuple[float, float],
    limits: Mapping[str, float],
    names: Sequence[str],
) -> Panels:
    """Both sides' detections: thin those that agree, red what only one side has, amber what moved or changed its
    score beyond the tolerance. `scale_xy` is from the picture to the boxes' pixels."""
    (left, (dx, dy, factor)), (right, _) = _fit(image), _fit(image)
    if matches.sides is None:
        return left, right
    to_panel = np.array((factor / scale_xy[0], factor / scale_xy[1]) * 2)
    shift = np.array((dx, dy) * 2)
    found, reference = matches.sides
    of_found, of_reference = dict(matches.pairs), {j: i for i, j in matches.pairs}
    drifted = {
        (i, j): _drift(drift, float(found.conf[i] - reference.conf[j]), limits)
        for (i, j), drift in zip(matches.pairs, matches.drifts, strict=True)
    }
    for panel, side, count, partners, is_found in (
        (left, reference, matches.n_reference, of_reference, False),
        (right, found, matches.n_found, of_found, True),
    ):
        corners = np.rint(side.xyxy * to_panel + shift).astype(int).tolist()
        marked = []
        for row, corner in enumerate(corners):
            partner = partners.get(row)
            if row >= count and partner is None:
                continue  # below the threshold, and nobody's partner
            if partner is None:
                marked.append((corner, RED, f"{names[int(side.cls[row])]} {side.conf[row]:.2f}"))
                continue
            text = drifted[(row, partner) if is_found else (partner, row)]
            if text:
                marked.append((corner, AMBER, text if is_found else ""))
            else:
                _rectangle(panel, corner, SAME, 1)
        marked.sort(key=lambda mark: mark[1] == RED)  # red over amber
        for corner, colour, _ in marked:
            _rectangle(panel, corner, colour, 2)
        for corner, colour, text in marked:  # over all lines
            if text:
                _tag(panel, corner, text, colour)
    return left, right


def class_panels(
    image: NDArray[np.uint8],
    found: NDArray[np.float32],
    reference: NDArray[np.float32],
    names: Sequence[str],
    *,
    same: bool,
) -> Panels:
    """Both sides' best classes, shares (K,); a frame round the artifact's, green where its best is the `same`."""
    panels = []
    for shares in (reference, found):
        panel, _ = _fit(image)
        best = np.argsort(-shares, kind="stable")[:TOP].tolist()
        _rows(panel, [(names[i], float(shares[i])) for i in best])
        panels.append(panel)
    left, right = panels
    _rectangle(right, [1, 1, PANEL_HW[1] - 2, PANEL_HW[0] - 2], GREEN if same else RED, 3)
    return left, right


def map_panels(image: NDArray[np.uint8], found: "Arrays", reference: "Arrays", limit: float) -> Panels:
    """The picture, and where the worst of the maps differs: black within the tolerance `limit`, white at four times."""
    import cv2

    left, _ = _fit(image)
    gaps = {name: relative_error(found[name], want) for name, want in reference.items()}
    worst = max(gaps, key=gaps.__getitem__)
    want, got = reference[worst][0].astype(np.float64), found[worst][0].astype(np.float64)
    error = np.linalg.norm(got - want, axis=0) / max(float(np.sqrt((want**2).sum(axis=0).mean())), 1e-12)
    heat = np.clip((error / max(limit, 1e-12) - 1) / 3, 0, 1)
    painted = cv2.applyColorMap((heat * 255).astype(np.uint8), cv2.COLORMAP_HOT)
    size = (image.shape[1], image.shape[0])
    right, _ = _fit(np.asarray(cv2.resize(painted, size, interpolation=cv2.INTER_NEAREST), np.uint8))
    return left, right


def mask_panels(
    image: NDArray[np.uint8], found: NDArray[np.int32], reference: NDArray[np.int32], names: Sequence[str]
) -> Panels:
    """Both sides' class maps (H, W) over the picture, with a legend on the left; on the right what differs is white."""
    import cv2

    painted, panels = {i for i, name in enumerate(names) if is_painted(name)}, []
    for mask in (reference, found):
        panel, (left, top, factor) = _fit(image)
        inner = panel[top : top + max(1, round(image.shape[0] * factor)), left:]
        inner = inner[:, : max(1, round(image.shape[1] * factor))]
        size = (inner.shape[1], inner.shape[0])
        draw_mask(inner, cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST), only=painted)
        if mask is reference:
            rows = [(names[i], i, count / mask.size) for i, count in count_pixels(mask).items() if i in painted]
            draw_legend(inner, rows)
        else:
            other = cv2.resize((found != reference).astype(np.float32), size, interpolation=cv2.INTER_AREA)
            inner[other > 0] = 255
        panels.append(panel)
    return panels[0], panels[1]


def broken_panels(image: NDArray[np.uint8], broken: Sequence[str], broken_reference: Sequence[str]) -> Panels:
    """The picture, with a banner over the side that gave no numbers."""
    panels = []
    for names in (broken_reference, broken):
        panel, _ = _fit(image)
        if names:
            panel[:] = (panel * 0.4).astype(np.uint8)
            text = f"{', '.join(names)}: NaN or infinite"
            write(panel, text, ((PANEL_HW[1] - text_width(text)) // 2, PANEL_HW[0] // 2), (90, 90, 255))
        panels.append(panel)
    return panels[0], panels[1]


def text_width(text: str, *, small: bool = False, title: bool = False) -> int:
    """Pixels that `write` will need."""
    import cv2

    scale, weight = _style(small, title)
    (width, _), _ = cv2.getTextSize(drawable(text), cv2.FONT_HERSHEY_SIMPLEX, scale, weight)
    return int(width)


def write(
    image: NDArray[np.uint8],
    text: str,
    at: tuple[int, int],
    colour: tuple[int, int, int] = INK,
    *,
    small: bool = False,
    title: bool = False,
) -> int:
    """The x where the text ends, written with its baseline's left end at `at`."""
    import cv2

    scale, weight = _style(small, title)
    cv2.putText(image, drawable(text), at, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, weight, cv2.LINE_AA)
    return at[0] + text_width(text, small=small, title=title)


def shorten(text: str, width: int) -> str:
    """`text`, its middle left out where it is wider than `width` pixels."""
    if text_width(text) <= width:
        return text
    keep = len(text)
    while keep > 8 and text_width(f"{text[: keep // 2]}...{text[-keep // 2 :]}") > width:
        keep -= 2
    return f"{text[: keep // 2]}...{text[-keep // 2 :]}"


def _style(small: bool, title: bool) -> tuple[float, int]:
    return (TITLE, 2) if title else (SMALL if small else BODY, 1)


def _drift(drift: tuple[float, float], change: float, limits: Mapping[str, float]) -> str:
    """The worse of a pair's drifts (score, pixels), "-0.49" or "3.2 px"; empty within the tolerance."""
    score, px = drift[0] / max(limits["score_drift"], 1e-12), drift[1] / max(limits["box_px"], 1e-12)
    if max(score, px) <= 1:
        return ""
    return f"{change:+.2f}" if score > px else f"{drift[1]:.1f} px"


def _rows(panel: NDArray[np.uint8], rows: Sequence[tuple[str, float]]) -> None:
    """(name, share) rows with bars on a dark strip along the lower edge."""
    step = 24
    strip = panel[PANEL_HW[0] - step * len(rows) - 8 :]
    strip[:] = (strip * 0.25).astype(np.uint8)
    for i, (name, share) in enumerate(rows):
        base = 20 + step * i
        strip[base - 11 : base + 2, 12 : 12 + round(120 * share)] = BAR
        write(strip, f"{share:.3f}", (140, base), LIGHT)
        write(strip, shorten(name, PANEL_HW[1] - 210), (196, base), LIGHT)


def _fit(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], tuple[int, int, float]]:
    """A panel with the picture in its middle, and where: left, top, scale."""
    import cv2

    height, width = image.shape[:2]
    factor = min(PANEL_HW[0] / height, PANEL_HW[1] / width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    resized = cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    panel = np.full((*PANEL_HW, 3), BACKDROP, np.uint8)
    left, top = (PANEL_HW[1] - size[0]) // 2, (PANEL_HW[0] - size[1]) // 2
    panel[top : top + size[1], left : left + size[0]] = resized
    return panel, (left, top, factor)


def _rectangle(panel: NDArray[np.uint8], corner: Sequence[int], colour: tuple[int, int, int], line: int) -> None:
    import cv2

    limit = (PANEL_HW[1] - 1, PANEL_HW[0] - 1) * 2
    x0, y0, x1, y1 = (min(max(value, 0), most) for value, most in zip(corner, limit, strict=True))
    cv2.rectangle(panel, (x0, y0), (x1, y1), colour, line)


def _tag(panel: NDArray[np.uint8], corner: Sequence[int], text: str, colour: tuple[int, int, int]) -> None:
    """A small label at the box's upper edge, inside the panel."""
    wide, tall = text_width(text, small=True) + 6, 15
    x0 = min(max(corner[0], 0), PANEL_HW[1] - wide)
    y0 = corner[1] - tall if corner[1] >= tall else max(corner[1], 0)
    panel[y0 : y0 + tall, x0 : x0 + wide] = colour
    write(panel, text, (x0 + 3, y0 + 11), LIGHT if colour == RED else INK, small=True)
