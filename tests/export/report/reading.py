"""A report as a reader has it: sections, tables, pictures."""

import re

import cv2
import numpy as np


def sections(text: str) -> dict[str, str]:
    """Heading -> what stands below it; the title and what follows it under its own name."""
    parts = re.split(r"^##? (.*)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))


def table(section: str) -> list[dict[str, str]]:
    """The rows of the section's table by column name, cells as they are shown."""
    lines = [line for line in section.splitlines() if line.startswith("|")]
    rows = [[_shown(cell) for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    assert set("".join(rows[1])) == {":", "-"}
    assert {len(row) for row in rows} == {len(rows[0])}
    return [dict(zip(rows[0], row, strict=True)) for row in rows[2:]]


def _shown(cell: str) -> str:
    """Without what Markdown takes away: the stars of bold, code's backticks, escapes."""
    plain = re.sub(r"^(\*\*|`+ ?)|(\*\*| ?`+)$", "", cell.strip())
    return re.sub(r"\\([`*|\[<])", r"\1", plain)


def picture(path) -> np.ndarray:
    """(H, W, 3) uint8 BGR of a PNG."""
    image = cv2.imread(str(path))
    assert image is not None, f"{path} is no picture"
    return image


def ink(image: np.ndarray, colour: str) -> np.ndarray:
    """(H, W) bool: where `image` has exactly the colour "#rrggbb"."""
    rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return (image == np.array(rgb[::-1], np.uint8)).all(axis=2)


def bars(image: np.ndarray, colour: str, least: int = 10) -> list[tuple[int, int, int]]:
    """(row, left, right) of each bar of that colour, from the top, at the middle of its height."""
    count, _, boxes, _ = cv2.connectedComponentsWithStats(ink(image, colour).astype(np.uint8))
    found = [boxes[i] for i in range(1, count) if boxes[i][3] >= least and boxes[i][2] >= least]
    return [(int(y + h // 2), int(x), int(x + w)) for x, y, w, h, _ in sorted(found, key=lambda box: box[1])]
