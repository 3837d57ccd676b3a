"""Where the ids of a graph's mask lie in the picture."""

import numpy as np
import pytest

from pvt_edge.bundle.schema import PostprocessSpec, ResizeSpec
from pvt_edge.class_map import map_of_logits
from pvt_edge.errors import BundleError
from pvt_edge.pictures.resizing import mask_to_original, plan
from pvt_edge.postprocessing import Thresholds
from pvt_edge.tasks import get_task
from pvt_edge.tasks.task import Classes

ALL = Thresholds(0.25, 0.5, 100)


def by_hand(mask, placement, outside):
    """Pixel by pixel: the id under the centre of each."""
    height, width = placement.orig_hw
    found = np.full((height, width), outside, mask.dtype)
    for y in range(height):
        for x in range(width):
            row = np.floor((y + 0.5) * placement.scale_xy[1] + placement.offset_xy[1] + 1e-9)
            column = np.floor((x + 0.5) * placement.scale_xy[0] + placement.offset_xy[0] + 1e-9)
            if 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1]:
                found[y, x] = mask[int(row), int(column)]
    return found


@pytest.mark.parametrize("mode", ["letterbox", "stretch", "crop"])
@pytest.mark.parametrize("orig_hw", [(64, 96), (123, 301), (301, 123), (7, 5), (1, 40)])
@pytest.mark.parametrize("fraction", [1.0, 0.75])
def test_mask_lies_in_the_picture_as_its_boxes_do(mode, orig_hw, fraction):
    placement = plan(orig_hw, (64, 96), ResizeSpec(mode=mode, crop_fraction=fraction))
    mask = np.random.default_rng(0).integers(0, 9, (64, 96)).astype(np.uint8)
    assert np.array_equal(mask_to_original(mask, placement, 255), by_hand(mask, placement, 255))


def test_what_a_crop_cuts_off_has_no_class():
    placement = plan((64, 128), (64, 64), ResizeSpec(mode="crop"))
    found = mask_to_original(np.ones((64, 64), np.uint8), placement, 255)
    assert found[:, :32].min() == found[:, 96:].min() == 255
    assert found[:, 32:96].max() == 1


@pytest.mark.parametrize("orig_hw", [(64, 64), (50, 90), (200, 130)])
def test_logits_are_resized_twice_as_mmseg_does(orig_hw):
    import torch
    from torch.nn.functional import interpolate

    placement = plan(orig_hw, (64, 64), ResizeSpec(mode="letterbox"))
    logits = np.random.default_rng(1).normal(size=(5, 16, 16)).astype(np.float32)
    height, width = placement.resized_hw
    whole = interpolate(torch.from_numpy(logits)[None], (64, 64), mode="bilinear", align_corners=False)
    twice = interpolate(whole[..., :height, :width], orig_hw, mode="bilinear", align_corners=False)
    found = map_of_logits(logits, placement, 0.3)
    assert (found == twice.argmax(1)[0].numpy()).mean() > 0.9999


@pytest.mark.parametrize(("threshold", "share"), [(0.3, 1), (0.49, 1), (0.5, 0), (0.9, 0)])
def test_one_class_is_above_its_threshold(threshold, share):
    manifest = Classes(("background", "cell"), postprocess=PostprocessSpec(threshold=threshold))
    placement = plan((32, 32), (32, 32), ResizeSpec(mode="letterbox"))
    row = {"mask": np.zeros((32, 32), np.uint8), "logits": np.zeros((1, 8, 8), np.float32)}
    mask = get_task("segment").read(row, placement, ALL, manifest)["mask"]
    assert mask.dtype == np.uint8
    assert mask.mean() == share


def test_read_keeps_the_classes_asked_for_and_refuses_ids_without_a_name():
    placement = plan((2, 2), (2, 2), ResizeSpec(mode="letterbox"))
    row, names = {"mask": np.array([[0, 1], [2, 2]], np.int32)}, ("a", "b", "c")
    mask = get_task("segment").read(row, placement, Thresholds(0.25, 0.5, 100, classes=(1,)), Classes(names))["mask"]
    assert mask.tolist() == [[255, 1], [255, 255]]
    assert mask.dtype == np.uint8
    with pytest.raises(BundleError, match="knows 3 classes"):
        get_task("segment").read(row, placement, ALL, Classes(names[:2]))


def test_ids_that_do_not_fit_a_byte_stay_what_they_are():
    placement = plan((1, 2), (1, 2), ResizeSpec(mode="letterbox"))
    names = tuple(f"c{i}" for i in range(300))
    found = get_task("segment").read({"mask": np.array([[255, 299]], np.int32)}, placement, ALL, Classes(names))
    assert found["mask"].tolist() == [[255, 299]]


def test_without_a_manifest_one_class_is_read_off_the_mask():
    """Its threshold lies in the graph; another one would judge other pixels than the graph's."""
    placement = plan((32, 32), (32, 32), ResizeSpec(mode="stretch"))
    row = {"mask": np.eye(32, dtype=np.uint8), "logits": np.full((1, 8, 8), 0.2, np.float32)}
    assert (get_task("segment").read(row, placement, ALL, Classes(("background", "a")))["mask"] == np.eye(32)).all()
    spec = Classes(("background", "a"), postprocess=PostprocessSpec(threshold=0.5))
    assert (get_task("segment").read(row, placement, ALL, spec)["mask"] == 1).all()
