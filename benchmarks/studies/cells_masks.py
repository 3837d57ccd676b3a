"""Masks of the BCCD train pictures, made of their boxes and their colours, to train `cells-seg` on.

BCCD has boxes alone. What is clear by its box and its stain becomes a label, and all that is not stays open (255):

- White cell: purple within its box, with what it encloses, in one piece.
- Platelet: purple within its box, or round and of a platelet's size, for BCCD's boxes are not complete.
- Red cell: darker than the glass and not purple within its box, with the pale middle that it encloses; without a box
  what is clearly of a red cell's colour.
- Background: as light as the glass, and enclosed by no cell; dust.
- Open: other stain in no box; what is paler than a cell and darker than the glass; pale middles of cells without a box;
  pink granules that may be a white cell's. What is small or thin of that, as seams are, is of the class beside it.

    python benchmarks/studies/cells_masks.py ../shared/data/bccd runs/cells-seg-data

writes `images/` (links to the pictures), `masks/`, `classes.txt` and `looks/`, pictures with their masks over them.
"""

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pvt_edge.data.coco import read_coco
from pvt_edge.data.labelled_set import BoxSample
from pvt_edge.results import Result
from pvt_edge.scenes import CLASSES
from pvt_edge.sources import read_image

Mask = NDArray[np.bool_]
BACKGROUND, RED, WHITE, PLATELET, OPEN = 0, 1, 2, 3, 255
# optical density, natural logarithm: of the glass, whose noise is 0.015, of the palest cells, of a red one for sure
GLASS, CELL, RED_CELL = 0.04, 0.055, 0.1
STAIN = 0.04  # by which red is denser than blue in white cells and platelets; in red cells it is below 0
VIOLET = 0.09  # the same of what is no red cell, whose rims the lens makes violet
PALE_STAIN, PALE_CELL = 0.025, 0.04  # of cytoplasm, over some pixels
PINK = 2.0  # density of green by that of blue from which on eosin is meant, and no red cell
GROWN = 5  # pixels by which cells stick out of their boxes
SEAM = 1  # pixels left open about a white cell
PALE = 3000  # pixels: a hole of less in cells without a box may be the middle of one
DUST = 80  # pixels: less on the glass is no cell
CLEAR = 400  # pixels: less that is open, or thinner than THIN, is of the class beside it
THIN = 5
INCLUSION = 150  # pixels: less is no platelet
GRAIN = (200, 1600)  # pixels of a platelet
LOOKS = 20


def main() -> None:
    """Write masks for the train part of a copy of BCCD."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bccd", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    bccd, out = arguments.bccd.resolve(), arguments.out
    for folder in ("images", "masks", "looks"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    (out / "classes.txt").write_text("\n".join(CLASSES) + "\n", encoding="utf-8")
    dataset = read_coco(bccd / "instances_train.json", bccd / "images")
    overlaps = []
    for number, sample in enumerate(dataset.samples):
        image = read_image(sample.path)
        mask = make_mask(image, sample)
        link = out / "images" / sample.path.name
        link.unlink(missing_ok=True)
        link.symlink_to(sample.path)
        Image.fromarray(mask).save(out / "masks" / f"{sample.path.stem}.png")
        if number % max(len(dataset.samples) // LOOKS, 1) == 0:
            Result(image, CLASSES, mask=mask).save(out / "looks" / sample.path.name)
        overlaps += white_overlaps(mask, sample)
    print(f"{len(dataset.samples)} masks in {out / 'masks'}; look at some in {out / 'looks'}")
    print(f"white cells whose mask fills their box to an IoU of 0.7: {np.mean(np.array(overlaps) > 0.7):.1%}")


def make_mask(image: NDArray[np.uint8], sample: BoxSample) -> NDArray[np.uint8]:
    """Class ids (H, W) of a picture with boxes of red cells, white cells and platelets, 255 where it is open."""
    density = optical_density(image)
    depth, stain = density[..., 1], density[..., 2] - density[..., 0]
    cell = depth > CELL
    purple = pieces(opened((stain > VIOLET) & cell, 5), INCLUSION, depth.size)  # and not what red cells include
    boxes = {
        kind: [box for box, label in zip(sample.boxes_xyxy, sample.labels, strict=True) if label == kind - 1]
        for kind in (RED, WHITE, PLATELET)
    }
    mask = np.full(depth.shape, OPEN, np.uint8)
    light = ~pieces(depth >= GLASS, DUST, depth.size)
    mask[light & ~small_holes(~light)] = BACKGROUND
    red = opened((depth > RED_CELL) & (stain < 0), 5)
    mask[closed(red, 7) & cell & ~purple] = RED
    for box in boxes[WHITE]:
        mask[ellipse(box, mask.shape, GROWN) & (mask == RED)] = OPEN  # pink granules, perhaps
    for box in boxes[RED]:
        rows, columns = window(box, mask.shape, GROWN)
        pale = enclosed(depth[rows, columns] >= GLASS) & ellipse(box, mask.shape, -4)[rows, columns]
        mask[rows, columns][(cell[rows, columns] | pale) & ~purple[rows, columns]] = RED
    mask[pieces(purple, *GRAIN, roundish=True)] = PLATELET
    for box in boxes[PLATELET]:
        rows, columns = window(box, mask.shape, GROWN)
        mask[rows, columns][opened((stain[rows, columns] > STAIN) & cell[rows, columns], 3)] = PLATELET
    for box in boxes[WHITE]:
        white = white_cell(box, density)
        mask[ellipse(box, mask.shape, GROWN) & (mask == PLATELET)] = OPEN
        mask[dilated(white, 2 * SEAM + 1) & (mask != BACKGROUND)] = OPEN
        mask[white] = WHITE
    return without_crumbs(mask)


def without_crumbs(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The mask with what is small or thin among the open pixels given to the nearest class."""
    crumbs = (mask == OPEN) & ~pieces(opened(mask == OPEN, THIN), CLEAR, mask.size)
    _, nearest = cv2.distanceTransformWithLabels(
        (mask == OPEN).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    classes = np.zeros(int(nearest.max()) + 1, np.uint8)
    classes[nearest[mask != OPEN]] = mask[mask != OPEN]  # a pixel that has a class is the nearest to itself
    return np.where(crumbs, classes[nearest], mask)


def optical_density(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """How much light is taken out (H, W, 3), BGR, against a smooth surface through the glass; 0 is the glass."""
    soft = cv2.GaussianBlur(image, (0, 0), 1.2).astype(np.float32) + 1
    height, width = image.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    terms = np.stack((np.ones_like(x), x, y, x * x, y * y, x * y), axis=-1)
    light = np.log(soft)
    least, _ = cv2.threshold(soft[..., 1].astype(np.uint8), 0, 255, cv2.THRESH_OTSU)
    glass = soft[..., 1] > least
    density = np.empty_like(light)
    for _ in range(3):  # what is not glass after all leaves the fit
        for channel in range(3):
            factors, *_ = np.linalg.lstsq(terms[glass], light[..., channel][glass], rcond=None)
            density[..., channel] = terms @ factors - light[..., channel]
        glass = (np.abs(density[..., 1]) < CELL) & (soft[..., 1] > least - 10)
    return density


def white_cell(box: NDArray[np.float32], density: NDArray[np.float32]) -> Mask:
    """The pixels of the white cell in a box: what is purple or pink, in one piece, without holes."""
    shape = ellipse(box, density.shape, GROWN)
    blue, depth, red = cv2.split(cv2.GaussianBlur(density, (0, 0), 2.0))
    stained = (red - blue > PALE_STAIN) | ((depth > PINK * blue) & (depth > 2 * PALE_CELL))
    body = opened(stained & (depth > PALE_CELL) & shape, 5)
    body = closed(body, 25) & shape & (depth > PALE_CELL)  # pink granules between purple ones
    body = filled(largest(opened(body, 9)))
    return largest(opened(body, 17))  # without spurs along violet rims of its neighbours


def white_overlaps(mask: NDArray[np.uint8], sample: BoxSample) -> list[float]:
    """The IoU of each white cell's box with the box about the mask inside of it."""
    found = []
    for box, label in zip(sample.boxes_xyxy, sample.labels, strict=True):
        if label != WHITE - 1:
            continue
        rows, columns = window(box, mask.shape, GROWN)
        white = mask[rows, columns] == WHITE
        across, down = np.flatnonzero(white.any(axis=0)), np.flatnonzero(white.any(axis=1))
        if not len(across):
            found.append(0.0)
            continue
        x1, y1 = columns.start + across[0], rows.start + down[0]
        x2, y2 = columns.start + across[-1] + 1, rows.start + down[-1] + 1
        common = max(min(x2, box[2]) - max(x1, box[0]), 0) * max(min(y2, box[3]) - max(y1, box[1]), 0)
        areas = (x2 - x1) * (y2 - y1) + (box[2] - box[0]) * (box[3] - box[1])
        found.append(float(common / (areas - common)))
    return found


def window(box: NDArray[np.float32], shape: tuple[int, ...], grown: int) -> tuple[slice, slice]:
    """Rows and columns of a box with so many pixels more on each side."""
    x1, y1, x2, y2 = box.round().astype(int)
    return (
        slice(max(y1 - grown, 0), min(y2 + grown, shape[0])),
        slice(max(x1 - grown, 0), min(x2 + grown, shape[1])),
    )


def ellipse(box: NDArray[np.float32], shape: tuple[int, ...], grown: int) -> Mask:
    """The pixels of the rounded shape in a box, `grown` pixels larger; open at sides that the picture's border cuts."""
    x1, y1, x2, y2 = (float(value) for value in box)
    half_x, half_y = (x2 - x1) / 2, (y2 - y1) / 2
    if x1 < 3:
        x1 -= half_x
    if y1 < 3:
        y1 -= half_y
    if x2 > shape[1] - 3:
        x2 += half_x
    if y2 > shape[0] - 3:
        y2 += half_y
    x = np.abs(np.arange(shape[1]) + 0.5 - (x1 + x2) / 2) / max((x2 - x1) / 2 + grown, 1)
    y = np.abs(np.arange(shape[0]) + 0.5 - (y1 + y2) / 2) / max((y2 - y1) / 2 + grown, 1)
    return np.asarray(x[None] ** 2.6 + y[:, None] ** 2.6 <= 1)  # between an ellipse and a box, as cells are


def enclosed(wall: Mask) -> Mask:
    """The pixels that cannot be reached from the border without crossing the wall, wall and all."""
    count, parts = cv2.connectedComponents((~wall).astype(np.uint8), connectivity=4)
    outside = np.zeros(count, bool)
    for edge in (parts[0], parts[-1], parts[:, 0], parts[:, -1]):
        outside[edge] = True
    outside[0] = False
    return np.asarray(~outside[parts])


def small_holes(wall: Mask) -> Mask:
    """The holes of a wall that are smaller than PALE pixels and do not reach the border."""
    holes = enclosed(wall) & ~wall
    _, parts, facts, _ = cv2.connectedComponentsWithStats(holes.astype(np.uint8), connectivity=4)
    small = facts[:, cv2.CC_STAT_AREA] < PALE
    small[0] = False
    return np.asarray(small[parts])


def pieces(mask: Mask, least: int, most: int, *, roundish: bool = False) -> Mask:
    """The pieces of a mask of `least` to `most` pixels; if `roundish`, those that fill half of a nearly square box."""
    _, parts, facts, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    width, height, area = (facts[:, i] for i in (cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT, cv2.CC_STAT_AREA))
    kept = (area >= least) & (area <= most)
    if roundish:
        kept &= (area > 0.5 * width * height) & (np.maximum(width, height) < 1.8 * np.minimum(width, height))
    kept[0] = False
    return np.asarray(kept[parts])


def filled(mask: Mask) -> Mask:
    """The mask without holes; the picture's border closes none."""
    return enclosed(mask)


def largest(mask: Mask) -> Mask:
    """The largest piece of a mask."""
    _, parts, facts, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    if len(facts) == 1:
        return mask
    return np.asarray(parts == 1 + int(facts[1:, cv2.CC_STAT_AREA].argmax()))


def opened(mask: Mask, side: int) -> Mask:
    """The mask without what is thinner than `side` pixels."""
    return _morph(mask, cv2.MORPH_OPEN, side)


def closed(mask: Mask, side: int) -> Mask:
    """The mask with gaps of less than `side` pixels closed."""
    return _morph(mask, cv2.MORPH_CLOSE, side)


def dilated(mask: Mask, side: int) -> Mask:
    """The mask and what is within half of `side` pixels of it."""
    return _morph(mask, cv2.MORPH_DILATE, side)


def _morph(mask: Mask, how: int, side: int) -> Mask:
    disc: Any = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return np.asarray(cv2.morphologyEx(mask.astype(np.uint8), how, disc), bool)


if __name__ == "__main__":
    main()
