"""Drawn scenes: a seed fixes the pixels, boxes are tight, pictures have the numbers of real ones.

Literal ranges come from 292 real pictures of 640x480 (the BCCD data set): the lowest and highest value found.
"""

import itertools
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from pvt_edge.errors import DataError, ImageSizeError
from pvt_edge.scenes import CLASSES, LABELS, Scene, draw_scene, scene_clip, write_clip, write_scenes
from pvt_edge.scenes.layout import PLATELET, RED, WHITE, Cell, lay_out
from pvt_edge.scenes.shapes import draw_stain
from pvt_edge.scenes.smear import paint_smear, visible_boxes

pytest.importorskip("cv2")


@cache
def scenes() -> list[Scene]:
    """A sample for all that is measured over many pictures."""
    return [draw_scene(seed) for seed in range(24)]


def sizes_wh(label: int, height: int = 480, width: int = 640) -> np.ndarray:
    """Width and height (n, 2) of the sample's boxes of this label that the border does not cut."""
    boxes = np.concatenate([s.boxes_xyxy[s.labels == label] for s in scenes()])
    whole = (boxes[:, :2] > 3).all(axis=1) & (boxes[:, 2] < width - 3) & (boxes[:, 3] < height - 3)
    return np.asarray((boxes[:, 2:] - boxes[:, :2])[whole])


def test_a_seed_draws_the_same_pixels_again() -> None:
    first, again, other = draw_scene(7), draw_scene(7), draw_scene(8)
    assert (first.image == again.image).all()
    assert (first.boxes_xyxy == again.boxes_xyxy).all()
    assert (first.labels == again.labels).all()
    assert (first.image != other.image).mean() > 0.5
    assert first.boxes_xyxy.tolist() != other.boxes_xyxy.tolist()


@pytest.mark.parametrize(("height", "width"), [(64, 64), (480, 640), (700, 500), (64, 200)])
def test_any_size_gives_boxes_inside_the_picture(height: int, width: int) -> None:
    found = 0
    for seed in range(4):
        scene = draw_scene(seed, height, width)
        assert scene.image.shape == (height, width, 3)
        dtypes = (scene.image.dtype.name, scene.boxes_xyxy.dtype.name, scene.labels.dtype.name)
        assert dtypes == ("uint8", "float32", "int64")
        assert scene.boxes_xyxy.shape == (len(scene.labels), 4)
        assert (scene.boxes_xyxy >= 0).all()
        assert (scene.boxes_xyxy <= (width, height, width, height)).all()
        assert (scene.boxes_xyxy[:, 2:] - scene.boxes_xyxy[:, :2] >= 8).all()
        assert set(scene.labels.tolist()) <= set(range(len(LABELS)))
        found += len(scene.labels)
    assert found >= 10


@pytest.mark.parametrize(("height", "width"), [(63, 640), (480, 63), (0, 0)])
def test_too_small_a_picture_is_refused_at_the_call(height: int, width: int) -> None:
    with pytest.raises(ImageSizeError, match=f"{height}x{width}"):
        draw_scene(0, height, width)
    with pytest.raises(ImageSizeError, match="64 pixels"):
        scene_clip(0, 3, height, width)  # not only when the first frame is asked for


def test_cells_grow_with_the_height_of_the_picture() -> None:
    small = [draw_scene(seed, 240, 320) for seed in range(12)]
    boxes = np.concatenate([s.boxes_xyxy[s.labels == RED] for s in small])
    whole = (boxes[:, :2] > 3).all(axis=1) & (boxes[:, 2] < 317) & (boxes[:, 3] < 237)
    ratio = np.median(sizes_wh(RED)) / np.median((boxes[:, 2:] - boxes[:, :2])[whole])
    assert 1.85 < ratio < 2.15


# one cell on empty glass: label, kind, centre, diameter
ALONE = [
    (RED, "red", 200.0, 150.0, 100.0),
    (RED, "red", 0.0, 150.0, 100.0),  # the left half is cut off
    (RED, "red", 200.3, 239.6, 90.0),
    (WHITE, "neutrophil", 150.0, 120.0, 190.0),
    (WHITE, "lymphocyte", 315.0, 10.0, 120.0),  # in the corner
    (WHITE, "eosinophil", 150.0, 120.0, 200.0),
    (WHITE, "monocyte", 150.0, 120.0, 200.0),
    (WHITE, "compact", 150.0, 120.0, 120.0),
    (PLATELET, "platelet", 60.0, 60.0, 40.0),
]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("label", "kind", "x", "y", "diameter"), ALONE)
def test_a_box_is_tight_around_the_paint(label: int, kind: str, x: float, y: float, diameter: float, seed: int) -> None:
    stain = draw_stain(np.random.default_rng(seed))
    smear = paint_smear([Cell(label, kind, x, y, diameter, seed)], stain, 240, 320, 1.0)
    boxes, labels = visible_boxes(smear.footprints, 0.0, 0.0, 240, 320)
    assert labels.tolist() == [label]
    painted = smear.density[..., 1] > 0.07  # all cells take most out of the green
    across, down = np.flatnonzero(painted.any(axis=0)), np.flatnonzero(painted.any(axis=1))
    measured = (across[0], down[0], across[-1] + 1, down[-1] + 1)
    assert np.abs(boxes[0] - measured).max() <= 4  # the paint fades out over as many pixels


def test_a_cell_changes_the_picture_only_around_its_box() -> None:
    rng = np.random.default_rng(5)
    stain = draw_stain(rng)
    cells = lay_out(rng, 480, 640, 1.0, stain)
    full = paint_smear(cells, stain, 480, 640, 1.0)
    checked = 0
    for index, cell in enumerate(cells):
        boxes, _ = visible_boxes(full.footprints[index : index + 1], 0.0, 0.0, 480, 640)
        if len(boxes) == 0 or index % 4:
            continue
        without = paint_smear(cells[:index] + cells[index + 1 :], stain, 480, 640, 1.0)
        changed = np.abs(full.density - without.density).max(axis=2) > 0.08  # more than a faint fringe
        reach = 0.12 * cell.diameter  # the bright fringe, and what a white cell hides of the box
        left, top, right, bottom = boxes[0] + (-reach, -reach, reach, reach)
        ys, xs = np.nonzero(changed)
        assert (xs >= left).all() and (xs <= right).all() and (ys >= top).all() and (ys <= bottom).all()
        assert changed.sum() > 0.2 * np.prod(boxes[0][2:] - boxes[0][:2])
        checked += 1
    assert checked >= 5


@pytest.mark.parametrize(
    ("x", "boxes"),
    [(60.0, 1), (-20.0, 1), (-38.0, 0), (-200.0, 0)],  # of a disc 100 wide: all, a quarter, a tenth, nothing
)
def test_a_cell_that_is_almost_outside_has_no_box(x: float, boxes: int) -> None:
    stain = draw_stain(np.random.default_rng(0))
    smear = paint_smear([Cell(RED, "red", x, 120.0, 100.0, 11)], stain, 240, 320, 1.0)
    assert len(visible_boxes(smear.footprints, 0.0, 0.0, 240, 320)[0]) == boxes


@pytest.mark.parametrize(("x", "labels"), [(160.0, [WHITE]), (260.0, [RED, WHITE])])
def test_a_red_cell_under_a_white_one_has_no_box(x: float, labels: list[int]) -> None:
    stain = draw_stain(np.random.default_rng(0))
    cells = [Cell(RED, "red", x, 120.0, 90.0, 1), Cell(WHITE, "monocyte", 160.0, 120.0, 200.0, 2)]
    smear = paint_smear(cells, stain, 240, 320, 1.0)
    boxes, found = visible_boxes(smear.footprints, 0.0, 0.0, 240, 320)
    assert found.tolist() == labels
    if len(labels) == 2:
        assert boxes[0, 0] > 230  # the part that the white cell hides is not in the box


# label, the 5th and 95th percentile of the widths and heights of real boxes, a picture's usual count of cells
REAL_BOXES = [(RED, 82, 128, (10, 26)), (WHITE, 115, 254, (0.6, 1.5)), (PLATELET, 29, 56, (0.5, 2.0))]


@pytest.mark.parametrize(("label", "low", "high", "count"), REAL_BOXES)
def test_boxes_are_as_large_and_as_many_as_real_ones(
    label: int, low: int, high: int, count: tuple[float, float]
) -> None:
    sides = sizes_wh(label)
    assert low < np.percentile(sides, 15)
    assert np.percentile(sides, 85) < high
    assert count[0] <= np.mean([(s.labels == label).sum() for s in scenes()]) <= count[1]


def test_colour_and_contrast_lie_where_real_pictures_have_them() -> None:
    means = np.array([s.image.mean(axis=(0, 1)) for s in scenes()])  # (24, 3) BGR
    spreads = np.array([s.image.std(axis=(0, 1)) for s in scenes()])
    inside = (means > (164.8, 162.4, 169.9)) & (means < (194.4, 189.7, 201.6))
    assert inside.mean() > 0.75  # the rest is variety: other lamps, other cameras
    assert ((spreads > (11.5, 19.5, 9.5)) & (spreads < (26.6, 32.2, 21.6))).mean() > 0.75
    assert np.abs(means.mean(axis=0) - (182.2, 177.5, 187.9)).max() < 6
    assert (spreads.mean(axis=0) / (18.0, 25.8, 15.2) < 1.3).all()
    assert (means.std(axis=0) > 3).all()  # and they do not all look the same


def test_cells_have_the_colours_of_the_stain() -> None:
    red, glass, nucleus = [], [], []
    for scene in scenes():
        bright = np.percentile(scene.image[..., 1], 80)
        glass.append(np.median(scene.image[scene.image[..., 1] > bright], axis=0))
        for (x0, y0, x1, y1), label in zip(scene.boxes_xyxy.astype(int), scene.labels, strict=True):
            crop = scene.image[y0:y1, x0:x1].reshape(-1, 3)
            if label == RED:
                red.append(np.median(crop, axis=0))
            if label == WHITE:
                nucleus.append(np.median(crop[crop[:, 1] < np.percentile(crop[:, 1], 20)], axis=0))
    assert np.abs(np.median(glass, axis=0) - (202, 206, 204)).max() < 8
    assert np.abs(np.median(red, axis=0) - (169, 162, 184)).max() < 12
    assert np.abs(np.median(nucleus, axis=0) - (206, 103, 127)).max() < 18


@pytest.mark.parametrize("source", ["pictures", "clip"])
def test_boxes_lie_on_the_cells_of_the_picture(source: str) -> None:
    frames = scenes() if source == "pictures" else list(scene_clip(6, 81))[::20]
    offsets = [(dx, dy) for dx in (-4, 0, 4) for dy in (-4, 0, 4)]
    light = {offset: np.mean([light_inside(frame, offset) for frame in frames]) for offset in offsets}
    assert min(light, key=lambda offset: light[offset]) == (0, 0)


def light_inside(scene: Scene, offset_xy: tuple[int, int]) -> float:
    """Mean green in the ellipses that fill the boxes, all moved by an offset: least where the cells are."""
    import cv2

    height, width = scene.image.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    for x0, y0, x1, y1 in scene.boxes_xyxy.tolist():
        if min(x0, y0) > 8 and x1 < width - 8 and y1 < height - 8:
            centre = (round((x0 + x1) / 2) + offset_xy[0], round((y0 + y1) / 2) + offset_xy[1])
            cv2.ellipse(mask, centre, (round((x1 - x0) / 2), round((y1 - y0) / 2)), 0.0, 0.0, 360.0, 255, -1)
    return float(scene.image[..., 1][mask > 0].mean())


def test_a_clip_moves_smoothly_and_its_boxes_follow_the_picture() -> None:
    clip = list(scene_clip(3, 13))
    assert len(clip) == 13
    again = list(scene_clip(3, 2))
    assert (clip[1].image == again[1].image).all()
    moves = []
    for before, after in itertools.pairwise(clip):
        steps = matched_steps(before, after)
        assert len(steps) >= 5
        assert np.ptp(steps, axis=0).max() < 0.01  # all whole cells move as one
        assert 0 < np.hypot(*steps[0]) < 6
        moves.append(steps[0])
    assert np.abs(np.diff(moves, axis=0)).max() < 0.1  # no jerks
    assert np.abs(np.array(moves) % 1).max() > 0.05  # not in whole pixels
    misfit = {
        (dx, dy): misfit_after(clip[0].image, clip[8].image, np.sum(moves[:8], axis=0) + np.array((dx, dy)))
        for dx in (-0.75, 0.0, 0.75)
        for dy in (-0.75, 0.0, 0.75)
    }
    assert min(misfit, key=lambda offset: misfit[offset]) == (0.0, 0.0)  # the pixels move with the boxes


def misfit_after(first: np.ndarray, later: np.ndarray, move_xy: np.ndarray) -> float:
    """Mean squared difference of two frames when the first is moved by `move_xy`, away from the borders."""
    import cv2

    matrix = np.array([[1, 0, move_xy[0]], [0, 1, move_xy[1]]], np.float64)
    first, later = (cv2.GaussianBlur(i, (0, 0), 2).astype(np.float32) for i in (first, later))
    moved = cv2.warpAffine(first, matrix, (later.shape[1], later.shape[0]))
    return float(np.square(moved - later)[60:-60, 60:-60].mean())


def matched_steps(before: Scene, after: Scene) -> np.ndarray:
    """How far (n, 2) each cell that lies well inside both frames has moved, cells told by label and size."""
    steps = []
    for box, label in zip(before.boxes_xyxy, before.labels, strict=True):
        if (box < 12).any() or box[2] > 628 or box[3] > 468:
            continue
        same = np.abs(after.boxes_xyxy - box).max(axis=1) < 8
        same &= (after.labels == label) & (np.abs(np.ptp(after.boxes_xyxy[:, ::2], axis=1) - box[2] + box[0]) < 0.1)
        steps += [after.boxes_xyxy[i, :2] - box[:2] for i in np.flatnonzero(same)[:1]]
    return np.array(steps).reshape(-1, 2)


@pytest.mark.parametrize("source", ["pictures", "clip"])
def test_the_class_map_has_what_the_boxes_frame(source: str) -> None:
    """Each box has its class up to its four sides, a cell's share of it, and no class lies outside of all its boxes."""
    frames = scenes() if source == "pictures" else list(scene_clip(6, 81))[::20]
    shares: dict[int, list[float]] = {label: [] for label in range(len(LABELS))}
    for scene in frames:
        assert (scene.mask.shape, scene.mask.dtype) == (scene.image.shape[:2], np.uint8)
        framed = np.zeros((len(CLASSES), *scene.mask.shape), bool)
        for (x0, y0, x1, y1), label in zip(scene.boxes_xyxy.round().astype(int), scene.labels, strict=True):
            inside = scene.mask[y0:y1, x0:x1] == label + 1
            shares[int(label)].append(inside.mean())
            if label != RED:  # which others may cover at a side
                edges = (inside[:, :2], inside[:, -2:], inside[:2], inside[-2:])
                assert all(edge.any() for edge in edges)
            framed[label + 1, max(y0 - 1, 0) : y1 + 1, max(x0 - 1, 0) : x1 + 1] = True
        for value in range(1, len(CLASSES)):
            outside = (scene.mask == value) & ~framed[value]
            assert outside.mean() < 0.01  # of cells of which too little is seen for a box
    assert 0.70 < np.median(shares[WHITE]) < 0.86  # an ellipse fills pi/4 of its box
    assert 0.60 < np.median(shares[PLATELET]) < 0.86
    assert 0.70 < np.median(shares[RED]) < 0.95  # into whose boxes others reach


def test_the_class_map_follows_the_paint() -> None:
    """Pixels of cells take out more green than the glass beside them, and platelets and white cells lie on top."""
    for scene in scenes()[:8]:
        green = scene.image[..., 1].astype(float)
        glass = np.median(green[scene.mask == 0])
        for label in (RED, WHITE):
            if (scene.mask == label + 1).sum() > 500:
                assert np.median(green[scene.mask == label + 1]) < glass - 8
    stain = draw_stain(np.random.default_rng(0))
    cells = [
        Cell(RED, "red", 100.0, 120.0, 90.0, 1),
        Cell(WHITE, "monocyte", 160.0, 120.0, 150.0, 2),
        Cell(PLATELET, "platelet", 70.0, 120.0, 30.0, 3),
    ]
    classes = paint_smear(cells, stain, 240, 320, 1.0).classes
    assert [classes[120, x] for x in (20, 70, 160)] == [0, PLATELET + 1, WHITE + 1]
    assert classes[96, 76] == RED + 1
    assert classes[120, 110] == WHITE + 1


def test_a_long_clip_stays_on_the_smear() -> None:
    for index, scene in enumerate(scene_clip(1, 420, 64, 96)):
        if index % 20 == 0:
            assert (scene.boxes_xyxy >= 0).all() and (scene.boxes_xyxy <= (96, 64, 96, 64)).all()
            assert scene.image.shape == (64, 96, 3)
            assert scene.image.std() < 60  # a view past the smear's end would show black or bare glass


def test_written_scenes_load_as_coco(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    coco_module = pytest.importorskip("pycocotools.coco")
    path = write_scenes(tmp_path, 3, seed=2, height=120, width=160)
    assert path == tmp_path / "instances.json"
    coco = coco_module.COCO(str(path))
    assert [(c["id"], c["name"]) for c in coco.loadCats(coco.getCatIds())] == list(enumerate(LABELS, 1))
    assert [i["file_name"] for i in coco.loadImgs(coco.getImgIds())] == [f"scene_0000{i}.jpg" for i in range(3)]
    for index, image_id in enumerate(coco.getImgIds()):
        expected = draw_scene(2_000_000 + index, 120, 160)
        found = coco.loadAnns(coco.getAnnIds(imgIds=[image_id]))
        xywh = np.array([a["bbox"] for a in found]).reshape(-1, 4)
        np.testing.assert_allclose(xywh[:, :2] + xywh[:, 2:], expected.boxes_xyxy[:, 2:])
        np.testing.assert_allclose([a["area"] for a in found], xywh[:, 2] * xywh[:, 3])
        assert [a["category_id"] - 1 for a in found] == expected.labels.tolist()
        assert all(a["iscrowd"] == 0 for a in found)
        image = cv2.imread(str(tmp_path / "images" / f"scene_{index:05d}.jpg"))
        assert np.abs(image.astype(int) - expected.image).mean() < 3
        with PIL.Image.open(tmp_path / "masks" / f"scene_{index:05d}.png") as mask:
            assert mask.mode == "P"
            assert (np.asarray(mask) == expected.mask).all()
    assert (tmp_path / "classes.txt").read_text().split() == list(CLASSES)


def test_no_scenes_make_an_empty_data_set(tmp_path: Path) -> None:
    content = json.loads(write_scenes(tmp_path / "new" / "folder", 0).read_text())
    assert (content["images"], content["annotations"], len(content["categories"])) == ([], [], 3)
    assert (tmp_path / "new" / "folder" / "images").is_dir()


@pytest.mark.parametrize("name", ["clip.xyz", "clip", ""])
def test_a_clip_that_is_not_written_is_no_success(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"cannot write the clip .*ends in \.mp4"):
        write_clip(tmp_path / name, 2)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["scenes", "--seed", "-1"], "--seed"),
        (["scenes", "--clip", "clip.xyz"], "cannot write the clip"),
        (["taken"], "Not a directory"),
    ],
)
def test_the_module_tells_what_it_cannot_write_in_a_line(tmp_path: Path, arguments: list[str], told: str) -> None:
    (tmp_path / "taken").touch()
    command = [sys.executable, "-m", "pvt_edge.scenes", *arguments, "--count", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert told in done.stderr
    assert "Traceback" not in done.stderr
