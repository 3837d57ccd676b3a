"""Placements by hand, round trips of boxes, and the pictures OpenCV and Pillow make."""

import cv2
import numpy as np
import pytest
from PIL import Image

from pvt_edge.bundle.schema import ResizeSpec
from pvt_edge.errors import DataError
from pvt_edge.pictures.resizing import apply, plan, to_bgr, to_original
from pvt_edge.scenes import draw_scene

LETTERBOX = ResizeSpec(mode="letterbox")
STRETCH = ResizeSpec(mode="stretch")
CROP = ResizeSpec(mode="crop", interpolation="cubic", crop_fraction=0.875)
SIZES_HW = [
    (480, 640),
    (640, 480),
    (1, 1),
    (3, 1999),
    (1999, 3),
    (333, 500),
    (1079, 1921),
    (37, 41),
    (2160, 3840),
]
INPUTS_HW = [(640, 640), (224, 224), (480, 640), (512, 320)]


@pytest.mark.parametrize(
    ("orig_hw", "input_hw", "spec", "resized_hw", "offset_xy"),
    [
        ((480, 640), (640, 640), LETTERBOX, (480, 640), (0, 0)),
        ((480, 640), (320, 320), LETTERBOX, (240, 320), (0, 0)),
        ((333, 500), (640, 640), LETTERBOX, (426, 640), (0, 0)),  # 333 * 1.28 = 426.24
        ((427, 640), (800, 1344), LETTERBOX, (800, 1199), (0, 0)),  # as mmdet: int(640 * 1.87354 + 0.5)
        ((1, 5000), (64, 64), LETTERBOX, (1, 64), (0, 0)),
        ((333, 500), (640, 320), STRETCH, (640, 320), (0, 0)),
        ((375, 500), (224, 224), CROP, (256, 341), (-58, -16)),
        ((500, 375), (224, 224), CROP, (341, 256), (-16, -58)),
        ((100, 100), (224, 224), CROP, (256, 256), (-16, -16)),
        ((480, 480), (224, 224), CROP.model_copy(update={"crop_fraction": 0.9}), (248, 248), (-12, -12)),  # timm floors
        ((300, 100), (224, 112), CROP.model_copy(update={"crop_fraction": 1.0}), (336, 112), (0, -56)),
    ],
)
def test_plan(orig_hw, input_hw, spec, resized_hw, offset_xy):
    placement = plan(orig_hw, input_hw, spec)
    assert placement.resized_hw == resized_hw
    assert placement.offset_xy == offset_xy
    assert placement.scale_xy == (resized_hw[1] / orig_hw[1], resized_hw[0] / orig_hw[0])


def test_no_boxes_stay_no_boxes():
    placement = plan((480, 640), (640, 640), LETTERBOX)
    assert to_original(np.zeros((0, 4), np.float32), placement).shape == (0, 4)


@pytest.mark.parametrize("orig_hw", SIZES_HW)
@pytest.mark.parametrize("input_hw", INPUTS_HW)
@pytest.mark.parametrize("spec", [LETTERBOX, STRETCH, CROP], ids=lambda spec: spec.mode)
def test_boxes_come_back(orig_hw, input_hw, spec):
    placement = plan(orig_hw, input_hw, spec)
    height, width = orig_hw
    rng = np.random.default_rng(height)
    points = np.sort(rng.uniform(0, 1, (20, 2, 2)), axis=1).reshape(20, 4)
    boxes = (points * (width, height, width, height)).astype(np.float32)
    corner = (0, 0, placement.resized_hw[1], placement.resized_hw[0])
    offset = np.array(placement.offset_xy * 2)
    there = boxes / (width, height, width, height) * (corner[2:] * 2) + offset
    back = to_original(there.astype(np.float32), placement)
    assert np.abs(back - boxes).max() < 0.5
    assert back.dtype == np.float32


@pytest.mark.parametrize("orig_hw", SIZES_HW)
def test_a_letterbox_keeps_the_aspect_within_rounding(orig_hw):
    placement = plan(orig_hw, (640, 640), LETTERBOX)
    factor = 640 / max(orig_hw)
    for side, resized in zip(orig_hw, placement.resized_hw, strict=True):
        assert abs(resized - max(side * factor, 1)) <= 0.5
        assert resized <= 640


def test_boxes_beyond_the_picture_are_clipped_to_it():
    placement = plan((240, 320), (640, 640), LETTERBOX)  # 480x640 of the input are picture
    back = to_original(np.array([[-20, -20, 700, 640], [100, 500, 200, 600]], np.float32), placement)
    assert back.tolist() == [[0, 0, 320, 240], [50, 240, 100, 240]]


def test_a_letterbox_is_filled_right_and_below():
    image = draw_scene(1).image
    made = apply(image, plan((480, 640), (320, 400), LETTERBOX), LETTERBOX)
    assert made.shape == (320, 400, 3)
    assert made.dtype == np.uint8
    fit = cv2.resize(image, (400, 300))
    assert np.array_equal(made[:300], fit)
    assert (made[300:] == LETTERBOX.fill_bgr).all()
    tall = apply(image[:, :200].copy(), plan((480, 200), (320, 400), LETTERBOX), LETTERBOX)
    assert (tall[:, 133:] == LETTERBOX.fill_bgr).all()
    assert not (tall[:, 132] == LETTERBOX.fill_bgr).all()


@pytest.mark.parametrize("spec", [LETTERBOX, STRETCH, ResizeSpec(mode="crop")], ids=lambda spec: spec.mode)
def test_a_picture_of_the_input_s_size_is_not_copied(spec):
    image = draw_scene(2).image
    assert np.shares_memory(apply(image, plan((480, 640), (480, 640), spec), spec), image)


@pytest.mark.parametrize("spec", [LETTERBOX, STRETCH, CROP], ids=lambda spec: spec.mode)
@pytest.mark.parametrize("orig_hw", SIZES_HW[:-1])
def test_the_input_is_always_of_its_size_and_contiguous(spec, orig_hw):
    image = np.zeros((*orig_hw, 3), np.uint8)
    made = apply(image, plan(orig_hw, (224, 160), spec), spec)
    assert made.shape == (224, 160, 3)
    assert made.flags["C_CONTIGUOUS"]


def test_a_crop_takes_the_middle():
    image = np.zeros((256, 341, 3), np.uint8)
    image[16:240, 58:282] = 255
    made = apply(image, plan((256, 341), (224, 224), CROP), CROP)
    assert (made == 255).all()


@pytest.mark.parametrize("seed", range(3))
def test_cubic_is_close_to_what_pillow_trained_with(seed):
    image = draw_scene(seed).image
    whole = ResizeSpec(mode="crop", interpolation="cubic")
    made = apply(image, plan((480, 640), (256, 256), whole), whole)
    resized = np.asarray(Image.fromarray(image).resize((341, 256), Image.Resampling.BICUBIC))
    difference = np.abs(made.astype(int) - resized[:, 42:298]).mean()
    assert difference < 1.0
    blunt = cv2.resize(image, (341, 256), interpolation=cv2.INTER_CUBIC)[:, 42:298]
    assert difference < np.abs(blunt.astype(int) - resized[:, 42:298]).mean()


@pytest.mark.parametrize(
    ("orig_hw", "spec", "resized_hw", "offset_xy"),
    [  # a longer side is cut, not rounded: 224 * 500 / 333 = 336.3, 256 * 640 / 427 = 383.7
        ((333, 500), ResizeSpec(mode="crop", interpolation="bilinear"), (224, 336), (-56, 0)),
        ((427, 640), ResizeSpec(mode="crop", interpolation="bicubic", crop_fraction=0.875), (256, 383), (-80, -16)),
        ((640, 427), ResizeSpec(mode="crop", interpolation="bicubic", crop_fraction=0.875), (383, 256), (-16, -80)),
        ((480, 640), ResizeSpec(mode="crop", interpolation="bicubic", crop_fraction=224 / 235), (235, 313), (-44, -6)),
        (
            (480, 640),
            ResizeSpec(mode="crop", interpolation="bicubic", crop_fraction=224 / 235, corner="floor"),
            (235, 313), (-44, -5),
        ),
        ((480, 640), ResizeSpec(mode="stretch", interpolation="box", crop_fraction=224 / 235), (235, 235), (-6, -6)),
    ],
)  # fmt: skip
def test_plan_as_pillows_users_do(orig_hw, spec, resized_hw, offset_xy):
    placement = plan(orig_hw, (224, 224), spec)
    assert (placement.resized_hw, placement.offset_xy) == (resized_hw, offset_xy)


@pytest.mark.parametrize("mode", ["crop", "stretch"])
@pytest.mark.parametrize("filter_name", ["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"])
def test_pillows_filters_are_pillows(mode, filter_name):
    image = draw_scene(4, 333, 500).image
    spec = ResizeSpec(mode=mode, interpolation=filter_name, crop_fraction=0.9)
    placement = plan((333, 500), (96, 64), spec)
    (height, width), (left, top) = placement.resized_hw, placement.offset_xy
    whole = Image.fromarray(image).resize((width, height), Image.Resampling[filter_name.upper()])
    wanted = np.asarray(whole)[-top : 96 - top, -left : 64 - left].astype(int)
    difference = np.abs(apply(image, placement, spec) - wanted)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01  # Pillow rounds the edges of a part


def test_bgr_pixels_are_taken_as_they_are():
    image = draw_scene(3).image
    assert to_bgr(image) is image


@pytest.mark.parametrize(
    ("image", "bgr"),
    [
        (np.full((2, 3), 7, np.uint8), (7, 7, 7)),
        (np.full((2, 3, 1), 7, np.uint8), (7, 7, 7)),
        (np.full((2, 3, 4), (1, 2, 3, 99), np.uint8), (1, 2, 3)),
        (np.full((2, 3, 3), (0, 65535, 32896), np.uint16), (0, 255, 128)),
        (np.full((2, 3), 257 * 9 + 128, np.uint16), (9, 9, 9)),
        (np.full((2, 3), 257 * 9 + 129, np.uint16), (10, 10, 10)),  # nearest
        (np.full((4, 6), 7, np.uint8)[::2, ::2], (7, 7, 7)),
        (np.full((2, 3), 257 * 9, np.dtype(np.uint16).newbyteorder()), (9, 9, 9)),  # a TIFF of the other byte order
    ],
)
def test_other_pixels_become_bgr(image, bgr):
    made = to_bgr(image)
    assert made.shape == (2, 3, 3)
    assert made.dtype == np.uint8
    assert (made == bgr).all()


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((0, 4, 3), np.uint8), "no pixels"),
        (np.zeros((4, 4, 3), np.float32), r"shape \(4, 4, 3\) and dtype float32; accepted are uint8"),
        (np.zeros((9, 9, 2), np.uint8), r"\(9, 9, 2\) .* \(H, W, 4\) BGRA$"),
        (np.zeros((4, 4), np.bool_), r"of bools: image\.astype\(np\.uint8\) \* 255"),
        (np.zeros((1, 4, 4, 3), np.uint8), r"\(1, 4, 4, 3\)"),
        (np.zeros(12, np.uint8), r"\(12,\)"),
        (None, "not an image: NoneType"),
        ([[1, 2], [3, 4]], "not an image: list"),
    ],
)
def test_what_is_no_picture_is_refused(image, words):
    with pytest.raises(DataError, match=words):
        to_bgr(image)
