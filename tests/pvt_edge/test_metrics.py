"""Average precision against pycocotools run by hand and against cases whose answer is plain."""

import contextlib
import io
import json

import cv2
import numpy as np
import pytest

pytest.importorskip("pycocotools", reason="pycocotools is not installed")

from pvt_edge.bundle.schema import PostprocessSpec, ResizeSpec
from pvt_edge.data.coco import read_coco
from pvt_edge.evaluation.arrays import answers_of
from pvt_edge.metrics.average_precision import CLASS_FIGURES, FIGURES, coco_figures, coco_rows
from pvt_edge.postprocessing import Detections
from pvt_edge.runtimes import TensorSpec
from pvt_edge.tasks import get_task

CATEGORIES = [{"id": 4, "name": "cat"}, {"id": 9, "name": "dog"}]
KEYS = ["AP", "AP50", "AP75", "AP cat", "AP dog"]
HEIGHT, WIDTH = 100, 200


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Four grey pictures with 3 to 6 boxes of two classes each."""
    folder, rng = tmp_path_factory.mktemp("coco"), np.random.default_rng(0)
    annotations = []
    for image in range(4):
        cv2.imwrite(str(folder / f"{image}.png"), np.full((HEIGHT, WIDTH, 3), 10 * image, np.uint8))
        for i in range(3 + image):
            x, y, w, h = (*rng.integers(0, 60, 2), *rng.integers(20, 40, 2))
            row = {"id": len(annotations) + 1, "image_id": image + 100, "category_id": (4, 9)[i % 2]}
            bbox = [float(v) for v in (x + 20 * i, y, w, h)]
            annotations.append(row | {"bbox": bbox, "area": bbox[2] * bbox[3], "iscrowd": 0})
    annotations.append(annotations[0] | {"id": 999, "bbox": [0.0, 0.0, 50.0, 50.0], "iscrowd": 1})
    images = [{"id": i + 100, "file_name": f"{i}.png", "height": HEIGHT, "width": WIDTH} for i in range(4)]
    path = folder / "instances.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": CATEGORIES}))
    return read_coco(path, folder)


def figures(dataset, found, **options):
    """COCO figures of `found`, pairs of (image id, detections in original pixels); only those images count."""
    rows = [row for image_id, boxes in found for row in coco_rows(image_id, boxes, dataset.category_ids)]
    return coco_figures(dataset, rows, [image_id for image_id, _ in found], **options)


def average_precision(dataset, found) -> dict[str, float]:
    """AP, AP50, AP75, and AP of each category."""
    coco = figures(dataset, found)
    classes = {f"AP {name}": values["AP"] for name, values in coco.classes.items()}
    return {name: coco.figures[name] for name in ("AP", "AP50", "AP75")} | classes


def perfect(dataset) -> list[tuple[int, Detections]]:
    return [
        (s.image_id, Detections(s.boxes_xyxy, np.ones(len(s.labels), np.float32), s.labels)) for s in dataset.samples
    ]


def imperfect(dataset, seed: int = 1) -> list[tuple[int, Detections]]:
    """Each box shifted, some with another class, and others that are not there, at random scores."""
    rng, found = np.random.default_rng(seed), []
    for sample in dataset.samples:
        shifted = sample.boxes_xyxy + rng.normal(0, 3, sample.boxes_xyxy.shape).astype(np.float32)
        wrong = np.array([[5, 5, 30, 30], [100, 50, 160, 90]], np.float32)
        labels = np.concatenate(
            (np.where(rng.random(len(sample.labels)) < 0.2, 1 - sample.labels, sample.labels), [0, 1])
        )
        boxes = np.concatenate((shifted, wrong))
        order = np.argsort(-(conf := rng.random(len(boxes)).astype(np.float32)))
        found.append((sample.image_id, Detections(boxes[order], conf[order], labels[order])))
    return found


def by_hand(dataset, found, image_ids, **parameters):
    """COCOeval over results written by us."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    results = [
        {
            "image_id": image_id,
            "category_id": (4, 9)[int(det.cls[i])],
            "bbox": [float(v) for v in (*det.xyxy[i, :2], *(det.xyxy[i, 2:] - det.xyxy[i, :2]))],
            "score": float(det.conf[i]),
        }
        for image_id, det in found
        for i in range(len(det.conf))
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(dataset.source))
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.params.imgIds = image_ids
        for name, value in parameters.items():
            setattr(evaluation.params, name, value)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


@pytest.mark.parametrize("seed", [1, 2])
def test_equals_pycocotools(dataset, seed):
    found = imperfect(dataset, seed)
    ids = [image_id for image_id, _ in found]
    metrics = average_precision(dataset, found)
    assert list(metrics) == KEYS
    whole = by_hand(dataset, found, ids)
    assert [metrics[key] for key in KEYS[:3]] == pytest.approx(whole[:3].tolist(), abs=1e-9)
    for name, category in (("cat", 4), ("dog", 9)):
        one = by_hand(dataset, found, ids, catIds=[category])
        assert metrics[f"AP {name}"] == pytest.approx(one[0], abs=1e-9)
    assert 0.05 < metrics["AP"] < metrics["AP50"] < 1
    assert metrics["AP cat"] != metrics["AP dog"]


def test_without_sizes_the_others_stay(dataset):
    found = imperfect(dataset)
    whole, brief = figures(dataset, found), figures(dataset, found, by_size=False)
    sizes = {name for name in FIGURES if name[-1] in "sml"}
    assert {name for name, value in brief.figures.items() if np.isnan(value)} == sizes
    assert not np.isnan(whole.figures["APm"])
    assert {name: brief.figures[name] for name in FIGURES if name not in sizes} == {
        name: value for name, value in whole.figures.items() if name not in sizes
    }
    assert brief.classes == whole.classes and list(brief.classes["cat"]) == list(CLASS_FIGURES)
    for name, ranked in whole.ranked.items():
        for briefly, wholly in zip(brief.ranked[name], ranked, strict=True):
            np.testing.assert_array_equal(briefly, wholly)


def test_perfect(dataset):
    assert average_precision(dataset, perfect(dataset)) == pytest.approx(dict.fromkeys(KEYS, 1.0))


def nothing(dataset) -> list[tuple[int, Detections]]:
    none = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
    return [(sample.image_id, none) for sample in dataset.samples]


def test_nothing_found(dataset):
    assert average_precision(dataset, nothing(dataset)) == dict.fromkeys(KEYS, 0.0)


def test_all_in_the_wrong_place(dataset):
    shifted = [(i, det._replace(xyxy=det.xyxy + 500)) for i, det in perfect(dataset)]
    assert average_precision(dataset, shifted) == dict.fromkeys(KEYS, 0.0)


def test_swapped_classes(dataset):
    swapped = [(i, det._replace(cls=1 - det.cls)) for i, det in perfect(dataset)]
    assert average_precision(dataset, swapped)["AP"] < 0.1


def test_only_images_named_count(dataset):
    assert average_precision(dataset, perfect(dataset)[:2])["AP"] == pytest.approx(1)
    missed = perfect(dataset)[:2] + nothing(dataset)[2:]
    assert average_precision(dataset, missed)["AP"] == pytest.approx(0.4, abs=0.1)  # 7 of 18 boxes


def test_a_class_without_boxes_has_no_ap(dataset, tmp_path):
    content = json.loads(dataset.source.read_text())
    content["categories"].append({"id": 11, "name": "emu"})
    path = tmp_path / "more.json"
    path.write_text(json.dumps(content))
    more = read_coco(path, tmp_path)
    metrics = average_precision(more, perfect(more))
    assert np.isnan(metrics["AP emu"])
    assert metrics["AP"] == pytest.approx(1)


def test_files_without_area_and_crowd(dataset, tmp_path):
    content = json.loads(dataset.source.read_text())
    content["annotations"] = [row for row in content["annotations"] if not row["iscrowd"]]
    for row in content["annotations"]:
        del row["area"], row["iscrowd"]
    path = tmp_path / "bare.json"
    path.write_text(json.dumps(content))
    found = imperfect(dataset)
    # the crowd box, left out here, only excuses wrong detections inside it
    assert average_precision(read_coco(path, tmp_path), found) == pytest.approx(
        average_precision(dataset, found), abs=0.05
    )


@pytest.mark.parametrize(
    "number",
    [lambda i: i, lambda i: i - 3, lambda i: 7, lambda i: f"a{i}", lambda i: i / 2, lambda i: None, lambda i: 10**400],
    ids=["from 0", "negative", "all the same", "strings", "fractions", "null", "beyond any float"],
)
def test_ids_of_annotations_do_not_matter(dataset, tmp_path, number):
    content = json.loads(dataset.source.read_text())
    for i, row in enumerate(content["annotations"]):
        row["id"] = number(i)
    path = tmp_path / "numbered.json"
    path.write_text(json.dumps(content))
    numbered, found = read_coco(path, tmp_path), imperfect(dataset)
    assert average_precision(numbered, found) == average_precision(dataset, found)
    assert average_precision(numbered, perfect(dataset)) == pytest.approx(dict.fromkeys(KEYS, 1.0))


def test_pictures_and_classes_from_0(dataset, tmp_path):
    content = json.loads(dataset.source.read_text())
    for row in content["annotations"]:
        row["image_id"] -= 100
        row["category_id"] = (4, 9).index(row["category_id"])
    for i in range(4):
        content["images"][i]["id"] = i
    for i in range(2):
        content["categories"][i]["id"] = i
    path = tmp_path / "from-0.json"
    path.write_text(json.dumps(content))
    found = [(image_id - 100, detections) for image_id, detections in imperfect(dataset)]
    assert average_precision(read_coco(path, tmp_path), found) == average_precision(dataset, imperfect(dataset))


def detector_accuracy(runtime, dataset, resize, post):
    """AP as an export measures it."""
    task, names = get_task("detect"), dataset.names
    labelled = task.judge(dataset, names, task.judged_at(post, names))
    answers = answers_of(task, labelled, runtime, resize, names)
    return labelled.score([labelled.rate(*answer) for answer in answers]).figures


class Seer:
    """A runtime that finds the boxes of the picture it is shown, in pixels of its input."""

    def __init__(self, dataset, batch: int, scale: float) -> None:
        self.dataset, self.scale = dataset, scale
        self.inputs = (TensorSpec("images", "uint8", (batch, 64, 96, 3)),)

    def infer(self, feeds):
        images = feeds["images"]
        assert images.shape == (max(self.inputs[0].shape[0], 1), 64, 96, 3)
        samples = [self.dataset.samples[round(int(image[0, 0, 0]) / 10)] for image in images]
        most = max(len(sample.labels) for sample in samples)
        arrays = {"boxes": np.zeros((len(images), most, 4)), "scores": np.zeros((len(images), most))}
        arrays["labels"] = np.zeros((len(images), most), np.int64)
        for row, sample in enumerate(samples):
            count = len(sample.labels)
            arrays["boxes"][row, :count] = sample.boxes_xyxy * self.scale
            arrays["scores"][row, :count] = np.linspace(0.9, 0.02, count)
            arrays["labels"][row, :count] = sample.labels
        return arrays


@pytest.mark.parametrize("batch", [1, -1, 3])
def test_accuracy_of_a_detector_behind_a_runtime(dataset, batch):
    post = PostprocessSpec(conf=0.9, iou=0.95)  # the bundle's own threshold is no limit here
    resize = ResizeSpec(mode="letterbox")
    right = Seer(dataset, batch, scale=96 / WIDTH)
    assert detector_accuracy(right, dataset, resize, post)["AP"] == pytest.approx(1)
    wrong = Seer(dataset, batch, scale=1.0)
    assert detector_accuracy(wrong, dataset, resize, post)["AP"] < 0.2
