"""The bundled segmenter on generated scenes of seeds that it never saw, and on real microscope images."""

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the weights are read with PyTorch")

import pvt_edge  # noqa: E402
from pvt_edge.bundle.schema import NormaliseSpec  # noqa: E402
from pvt_edge.checkpoints.opening import summarise_checkpoint  # noqa: E402
from pvt_edge.data.coco import read_coco  # noqa: E402
from pvt_edge.metrics.labelled_masks import count_pairs, iou_figures, sum_pairs  # noqa: E402
from pvt_edge.scenes import CLASSES, draw_scene  # noqa: E402
from pvt_edge.sources import read_image  # noqa: E402
from pvt_edge.training.task import get_training  # noqa: E402
from pvt_edge.weights import BUNDLED  # noqa: E402
from pvt_edge.zoo import resolve_weights  # noqa: E402

RED, WHITE = CLASSES.index("RBC"), CLASSES.index("WBC")
EVERY = 4  # of the real pictures


@pytest.fixture(scope="module")
def segment():
    """Picture (H, W, 3) -> class ids (H, W)."""
    model = resolve_weights("b0", "segment").model
    training = get_training("segment")

    def ids(image):
        whole = training.whole(model, image.shape[:2], NormaliseSpec())
        with torch.inference_mode():
            return whole(torch.from_numpy(image[None]))["mask"][0].numpy()

    return ids


def test_the_file_is_small_and_says_what_it_is():
    bundled = BUNDLED["cells-seg"]
    assert bundled.path.stat().st_size < 8e6
    summary = summarise_checkpoint(bundled.path)
    assert (summary.variant, summary.task, summary.head, summary.labels) == ("b0", "segment", "lite", CLASSES)
    chosen = resolve_weights("b0", "segment")
    assert (chosen.model.weights_name, chosen.labels, chosen.notes) == ("cells-seg", CLASSES, ())
    said = chosen.model.sidecar.preprocessing
    assert (said.imgsz, said.resize) == (bundled.imgsz, "letterbox")
    assert resolve_weights("b0").task == "detect"  # the default stays what it was


def test_scenes_it_never_saw(segment):
    scenes = [draw_scene(88_000_000 + i) for i in range(4)]
    pairs = [count_pairs(scene.mask, segment(scene.image), len(CLASSES)) for scene in scenes]
    figures, _ = iou_figures(sum_pairs(pairs, len(CLASSES)))
    assert figures["mIoU"] > 0.90
    assert figures["pixel_accuracy"] > 0.97


def test_cells_of_real_images(segment, bccd):
    """Boxes about white regions are those that are labelled, and the middles of labelled red cells are red."""
    matched = found = labelled = covered = red = 0
    for sample in read_coco(bccd / "instances_val.json", bccd / "images").samples[::EVERY]:
        mask = segment(read_image(sample.path))
        _, _, facts, _ = cv2.connectedComponentsWithStats((mask == WHITE).astype(np.uint8))
        regions = [(x, y, x + w, y + h) for x, y, w, h, _ in facts[1:].tolist()]
        boxes = sample.boxes_xyxy[sample.labels == WHITE - 1]
        matched += sum(any(iou(box, region) >= 0.5 for region in regions) for box in boxes)
        found, labelled = found + len(regions), labelled + len(boxes)
        for x1, y1, x2, y2 in sample.boxes_xyxy[sample.labels == RED - 1]:
            covered += mask[int((y1 + y2) / 2), int((x1 + x2) / 2)] == RED
            red += 1
    assert matched >= 0.85 * labelled
    assert matched >= 0.85 * found
    assert covered >= 0.90 * red


def iou(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def test_the_names_are_of_their_tasks():
    with pytest.raises(pvt_edge.PvtEdgeError, match="cells-seg' are for variant b0, task segment"):
        pvt_edge.create_model("b0", "detect", weights="cells-seg")
