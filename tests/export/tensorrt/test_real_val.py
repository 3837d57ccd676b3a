"""The graphs for TensorRT on real pictures, in ONNX Runtime: what FP16 and INT8 lose."""

import numpy as np
import onnx
import pytest

from pvt_edge.bundle.schema import PostprocessSpec, ResizeSpec
from pvt_edge.data.coco import read_coco
from pvt_edge.export.calibration import calibration_from_scenes
from pvt_edge.export.precision.extremes import (
    float_activations,
    layer_ranges,
    observe_extremes,
    outputs_of,
    placeable_blocks,
)
from pvt_edge.export.precision.half import to_half
from pvt_edge.export.precision.qdq import add_qdq
from pvt_edge.export.precision.recipes import FOR_TENSORRT
from pvt_edge.metrics.average_precision import coco_figures, coco_rows
from pvt_edge.pictures.resizing import apply, plan, to_original
from pvt_edge.postprocessing import select
from pvt_edge.sources import read_image

POST = PostprocessSpec(iou=0.6)
RESIZE = ResizeSpec(mode="letterbox")
IMGSZ = (480, 640)


@pytest.fixture(scope="module")
def val(bccd):
    return read_coco(bccd / "instances_val.json", bccd / "images")


@pytest.fixture(scope="module")
def answers(val, graph_files):
    """Outputs of every graph on every picture of val, and where each picture lies in the input."""
    fp32 = onnx.load(graph_files("cells")["fp32"])
    scenes = calibration_from_scenes(IMGSZ, RESIZE, count=64).inputs
    ranges = layer_ranges(fp32, observe_extremes(fp32, float_activations(fp32), scenes))
    half = to_half(fp32)
    models = {"fp32": fp32, "fp16": half, "int8": add_qdq(half, FOR_TENSORRT[0].blocks(placeable_blocks(fp32)), ranges)}
    pictures = [read_image(sample.path) for sample in val.samples]
    placements = [plan(picture.shape[:2], IMGSZ, RESIZE) for picture in pictures]
    inputs = [apply(picture, at, RESIZE)[None] for picture, at in zip(pictures, placements, strict=True)]
    return {name: outputs_of(model, inputs) for name, model in models.items()}, placements


def found(val, answers, name):
    outputs, placements = answers
    pairs = zip(val.samples, outputs[name], placements, strict=True)
    return [
        (
            sample.image_id,
            select(
                to_original(arrays["boxes"][0], at),
                arrays["scores"][0],
                arrays["labels"][0],
                conf=0.01,
                iou=POST.iou,
                max_det=POST.max_det,
            ),
        )
        for sample, arrays, at in pairs
    ]


def overlaps(a, b):
    """IoU of every box of `a` (n, 4) with every one of `b` (m, 4)."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), 2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], 1) for boxes in (a, b)]
    return shared / (areas[0][:, None] + areas[1][None] - shared)


def test_fp16_finds_the_same_boxes(val, answers):
    """F1 of detections at confidence 0.25, matched one to one at IoU 0.9 and equal class."""
    matched = total = 0
    for (_, got), (_, want) in zip(found(val, answers, "fp16"), found(val, answers, "fp32"), strict=True):
        sure = [(d.xyxy[d.conf >= 0.25], d.cls[d.conf >= 0.25]) for d in (got, want)]
        total += sum(len(boxes) for boxes, _ in sure)
        same = (overlaps(sure[0][0], sure[1][0]) >= 0.9) & (sure[0][1][:, None] == sure[1][1][None])
        taken = set()
        for row in same:
            partner = next((int(i) for i in np.flatnonzero(row) if int(i) not in taken), None)
            if partner is not None:
                taken.add(partner)
        matched += 2 * len(taken)
    assert total > 1000
    assert matched / total >= 0.995


def average_precision(val, answers, name) -> float:
    pairs = found(val, answers, name)
    rows = [row for image_id, boxes in pairs for row in coco_rows(image_id, boxes, val.category_ids)]
    return coco_figures(val, rows, [image_id for image_id, _ in pairs]).figures["AP"]


def test_int8_ap(val, answers):
    ap = {name: average_precision(val, answers, name) for name in ("fp32", "fp16", "int8")}
    assert ap["fp32"] > 0.6
    assert ap["fp16"] == pytest.approx(ap["fp32"], abs=0.002)
    assert ap["int8"] >= ap["fp32"] - 0.008, ap
