"""Training: views whose boxes follow their pixels, assignment, losses, averaging, and that a model learns."""

import dataclasses
import itertools
import json

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch")

from pvt_edge.checkpoints import save_weights  # noqa: E402
from pvt_edge.data.coco import read_coco  # noqa: E402
from pvt_edge.errors import DataError  # noqa: E402
from pvt_edge.models.anchors import base_anchors, level_anchors  # noqa: E402
from pvt_edge.preprocessing import normalise  # noqa: E402
from pvt_edge.scenes import draw_scene, write_scenes  # noqa: E402
from pvt_edge.training import __main__ as training_main  # noqa: E402
from pvt_edge.training import augment as views  # noqa: E402
from pvt_edge.training.__main__ import train_folder  # noqa: E402
from pvt_edge.training.assigner import assign, pairwise_iou  # noqa: E402
from pvt_edge.training.augment import augment  # noqa: E402
from pvt_edge.training.batches import Picture, batches, draw_pictures, load_pictures  # noqa: E402
from pvt_edge.training.ema import WeightAverage  # noqa: E402
from pvt_edge.training.evaluation import evaluate  # noqa: E402
from pvt_edge.training.losses import BOX_WEIGHT, detection_loss, giou, quality_focal  # noqa: E402
from pvt_edge.training.recipe import Phase, Recipe  # noqa: E402
from pvt_edge.training.trainer import _schedule, train  # noqa: E402
from pvt_edge.zoo import create_model  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """On a busy machine, threads that wait for each other take most of the time of small tensors."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# --- views

COLOURS = {0: (255, 0, 0), 1: (0, 255, 0), 2: (0, 0, 255)}  # of the rectangle with that label, BGR
BOXES = np.array([[20, 30, 60, 50], [80, 10, 95, 70], [5, 60, 45, 88]], np.float32)
LABELS = np.array([2, 0, 1])


def flags() -> np.ndarray:
    """A grey picture of 100x120 with a rectangle of pure colour in each of BOXES."""
    image = np.full((100, 120, 3), 128, np.uint8)
    for (x1, y1, x2, y2), label in zip(BOXES.astype(int), LABELS, strict=True):
        image[y1:y2, x1:x2] = COLOURS[int(label)]
    return image


def find(view: np.ndarray, label: int, least: int = 127) -> np.ndarray | None:
    """Box xyxy around what has that label's colour in a view; 127 means pixels that are half of it."""
    others = [channel for channel in range(3) if channel != label]
    rows, columns = np.nonzero(view[..., label].astype(int) > view[..., others].max(axis=2).astype(int) + least)
    if len(rows) == 0:
        return None
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], float)


@pytest.mark.parametrize("crop_hw", [(64, 64), (128, 160), (160, 128), (96, 200)])
def test_boxes_follow_their_pixels(crop_hw, monkeypatch):
    monkeypatch.setattr(views, "_recolour", lambda image, rng: image)
    errors = []
    for seed in range(60):
        view, boxes, labels = augment(flags(), BOXES, LABELS, crop_hw, (0.8, 1.4), np.random.default_rng(seed))
        assert (view.shape, view.dtype, boxes.dtype) == ((*crop_hw, 3), np.uint8, np.float32)
        assert len(boxes) == len(labels)
        for box, label in zip(boxes, labels, strict=True):
            errors.append(box - find(view, int(label)))
    errors = np.array(errors)
    assert len(errors) > 60
    # found boxes end on whole pixels; no side may be off on average
    assert np.abs(errors).max() < 0.51
    assert np.abs(errors.mean(axis=0)).max() < 0.1


def test_boxes_follow_their_pixels_through_the_colours():
    seen = 0
    for seed in range(40):
        view, boxes, labels = augment(flags(), BOXES, LABELS, (128, 160), (0.9, 1.2), np.random.default_rng(seed))
        for box, label in zip(boxes, labels, strict=True):
            found = find(view, int(label), least=60)
            seen += found is not None and np.abs(box - found).max() < 3.0  # blur and noise eat at the edges
    assert seen > 80


def test_a_box_is_dropped_when_most_of_it_is_cut_off():
    box = np.array([[0, 0, 100, 100]], np.float32)
    for x, kept in ((0, True), (-60, True), (-71, False), (-99, False), (200, False)):
        matrix = np.array([[1, 0, x], [0, 1, 0]], float)
        moved, mask = views._move_boxes(box, matrix, (100, 100))
        assert mask.tolist() == [kept], x
        assert moved.tolist() == ([[0, 0, 100 + x, 100]] if kept else [])


def test_slivers_are_dropped():
    boxes = np.array([[10, 10, 18, 30], [10, 10, 17.9, 30], [10, 10, 30, 17.9]], np.float32)
    _, kept = views._move_boxes(boxes, np.eye(2, 3), (100, 100))
    assert kept.tolist() == [True, False, False]


def test_labels_stay_with_their_boxes_when_some_are_dropped():
    dropped = 0
    for seed in range(60):
        view, boxes, labels = augment(flags(), BOXES, LABELS, (48, 48), (1.0, 1.5), np.random.default_rng(seed))
        dropped += len(labels) < 3
        for box, label in zip(boxes, labels, strict=True):
            x1, y1, x2, y2 = box.round().astype(int)
            middle = view[y1 + 3 : y2 - 3, x1 + 3 : x2 - 3].reshape(-1, 3).mean(axis=0)
            assert middle.argmax() == label
    assert dropped > 30


def test_a_picture_without_boxes():
    none = np.zeros((0, 4), np.float32)
    view, boxes, labels = augment(flags(), none, np.zeros(0, np.int64), (64, 64), (1, 1), np.random.default_rng(0))
    assert (view.shape, boxes.shape, labels.shape) == ((64, 64, 3), (0, 4), (0,))


def test_a_seed_gives_the_same_view_again():
    def one(seed: int) -> list[bytes]:
        made = augment(flags(), BOXES, LABELS, (96, 96), (0.6, 1.5), np.random.default_rng(seed))
        return [part.tobytes() for part in made]

    assert one(5) == one(5)
    assert len({one(seed)[0] for seed in range(10)}) == 10


def test_all_eight_symmetries_of_a_square_come():
    linear = {
        tuple(np.sign(views._view_matrix((64, 64), (64, 64), (1, 1), np.random.default_rng(seed))[:, :2]).ravel())
        for seed in range(100)
    }
    assert len(linear) == 8
    linear = {
        tuple(np.sign(views._view_matrix((64, 64), (64, 96), (1, 1), np.random.default_rng(seed))[:, :2]).ravel())
        for seed in range(100)
    }
    assert len(linear) == 4  # no quarter turns


# --- batches


def test_batches_take_every_picture_once_an_epoch():
    real = [Picture(np.full((64, 64, 3), 10 * i, np.uint8), BOXES[:0], LABELS[:0]) for i in range(6)]
    phase = Phase(steps=1, batch=3, crop_hw=(32, 32), scale=(1, 1))
    source = batches(real, [], 0.5, phase, np.random.default_rng(0))
    taken = []
    for _ in range(2):
        images, truths = next(source)
        assert images.shape == (3, 3, 32, 32)
        assert images.dtype == torch.float32
        assert [tuple(boxes.shape) for boxes, _ in truths] == [(0, 4)] * 3
        taken += images.mean(dim=(1, 2, 3)).tolist()
    assert len({round(value, 3) for value in taken}) == 6


def test_pictures_of_a_data_set(tmp_path):
    dataset = read_coco(write_scenes(tmp_path, 2, seed=1, height=64, width=64), tmp_path / "images")
    loaded = load_pictures(dataset)
    assert [picture.image.shape for picture in loaded] == [(64, 64, 3)] * 2
    assert all((p.boxes_xyxy == s.boxes_xyxy).all() for p, s in zip(loaded, dataset.samples, strict=True))
    dataset.samples[1].path.write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"cannot read image .*scene_00001"):
        load_pictures(dataset)


def test_drawn_pictures_are_those_of_their_seeds(monkeypatch):
    drawn = draw_pictures(2, seed=40)
    for picture, seed in zip(drawn, (40, 41), strict=True):
        assert (picture.image == draw_scene(seed).image).all()
        assert len(picture.boxes_xyxy) == len(picture.labels) > 0


# --- assignment

SQUARES = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 20], [20, 20, 30, 30], [0, 0, 0, 0]])


def test_pairwise_iou():
    iou = pairwise_iou(SQUARES, SQUARES[:3])
    expected = [[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1], [0, 0, 0]]
    assert iou.numpy() == pytest.approx(np.array(expected, np.float32), abs=1e-6)
    assert pairwise_iou(SQUARES[:0], SQUARES).shape == (0, 4)


def test_no_truth_is_all_background():
    truth, target = assign(
        torch.full((3, 2), 0.5), SQUARES[:3], torch.zeros(3, 2), torch.zeros(0, 4), torch.zeros(0, dtype=torch.long)
    )
    assert truth.tolist() == [-1, -1, -1]
    assert target.tolist() == [0, 0, 0]


def test_anchors_inside_a_box_learn_it_by_their_alignment():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 10, 10], [0, 0, 10, 10]])
    centres = torch.tensor([[5.0, 5], [5, 4], [15, 5], [10, 5]])  # the last two outside, one of them on the edge
    scores = torch.tensor([[0.8, 0.1], [0.4, 0.9], [0.9, 0.9], [0.9, 0.9]])
    truth, target = assign(scores, boxes, centres, torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([0]))
    assert truth.tolist() == [0, 0, -1, -1]
    # metrics 0.8 * 1**6 and 0.4 * 0.5**6, scaled so that the best is the best IoU, 1
    assert target.tolist() == pytest.approx([1, 0.5 * 0.5**6, 0, 0], abs=1e-6)


def test_an_anchor_of_two_boxes_goes_to_the_nearest():
    boxes, centres = torch.tensor([[0.0, 0, 10, 12]]), torch.tensor([[5.0, 5]])
    truths = torch.tensor([[0.0, 0, 10, 20], [0, 0, 10, 10]])
    truth, target = assign(torch.tensor([[0.5, 0.5]]), boxes, centres, truths, torch.tensor([0, 1]))
    assert truth.tolist() == [1]
    assert target.tolist() == pytest.approx([10 / 12])


def test_at_most_13_anchors_learn_a_box():
    count = 40
    boxes = torch.tensor([[0.0, 0, 10, 10]]).repeat(count, 1)
    scores = torch.linspace(0.1, 0.9, count)[:, None]
    centres = torch.full((count, 2), 5.0)
    truth, _ = assign(scores, boxes, centres, torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([0]))
    assert truth.tolist() == [-1] * 27 + [0] * 13


# --- losses


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((0, 0, 2, 2), (0, 0, 2, 2), 1),
        ((0, 0, 1, 1), (2, 0, 3, 1), -1 / 3),  # apart: union 2, hull 3
        ((0, 0, 1, 1), (1, 0, 2, 1), 0),  # side by side
        ((0, 0, 2, 2), (1, 1, 3, 3), 1 / 7 - 2 / 9),
        ((0, 0, 4, 4), (1, 1, 2, 2), 1 / 16),  # inside
        ((0, 0, 1, 1), (99, 99, 100, 100), -(10000 - 2) / 10000),
    ],
)
def test_giou(a, b, expected):
    first, second = torch.tensor([a]).double(), torch.tensor([b]).double()
    assert giou(first, second).tolist() == pytest.approx([expected], abs=1e-9)
    assert giou(second, first).tolist() == pytest.approx([expected], abs=1e-9)


def test_giou_of_nothing():
    assert giou(torch.zeros(0, 4), torch.zeros(0, 4)).shape == (0,)


def test_quality_focal():
    targets = torch.tensor([0.01, 0.3, 0.9])
    at_target = targets.logit().requires_grad_()
    loss = quality_focal(at_target, targets)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-9)
    assert at_target.grad.abs().max() < 1e-6
    # sigmoid(0) = 0.5: 0.5**2 * -log(0.5), with target 0 as with target 1
    assert quality_focal(torch.zeros(2), torch.tensor([0.0, 1.0])).item() == pytest.approx(2 * 0.25 * np.log(2))
    assert quality_focal(torch.tensor([3.0]), torch.tensor([0.0])) > quality_focal(torch.zeros(1), torch.zeros(1))


def test_detection_loss_by_hand():
    # one level of 1x1, one anchor that is the truth, two classes, logits 0
    anchors = torch.tensor([[-16.0, -16, 16, 16]])
    truth = [(anchors.clone(), torch.tensor([1]))]
    logits, deltas = [torch.zeros(1, 2, 1, 1)], [torch.zeros(1, 4, 1, 1)]
    class_loss, box_loss = detection_loss(logits, deltas, anchors, truth, 2)
    assert class_loss.item() == pytest.approx(2 * 0.25 * np.log(2))  # targets 0 and 1, both half way
    assert box_loss.item() == pytest.approx(0, abs=1e-6)
    wide = [torch.tensor([0.0, 0, np.log(2), 0]).view(1, 4, 1, 1)]  # twice as wide: IoU 1/2, the hull is the box
    class_loss, box_loss = detection_loss(logits, wide, anchors, truth, 2)
    assert box_loss.item() == pytest.approx(BOX_WEIGHT * 0.5 * 0.5)
    assert class_loss.item() == pytest.approx(0.25 * np.log(2))  # target 0.5 of class 1 is reached


def test_detection_loss_without_any_truth():
    logits = [torch.zeros(2, 2, 1, 1, requires_grad=True)]
    none = (torch.zeros(0, 4), torch.zeros(0, dtype=torch.long))
    class_loss, box_loss = detection_loss(logits, [torch.zeros(2, 4, 1, 1)], torch.zeros(1, 4), [none, none], 2)
    assert class_loss.item() == pytest.approx(4 * 0.25 * np.log(2))
    assert box_loss.item() == 0


# --- averaging and schedule


def test_weight_average():
    model = torch.nn.BatchNorm1d(1).train()
    average = WeightAverage(model, decay=0.5)
    with torch.no_grad():
        model.weight.fill_(3)
        model.num_batches_tracked.fill_(7)
    average.update(model)  # early decay 1/11
    assert average.model.weight.item() == pytest.approx(1 / 11 + 3 * 10 / 11)
    assert average.model.num_batches_tracked.item() == 7
    assert not average.model.training
    assert model.training
    for _ in range(20):
        before = average.model.weight.item()
        average.update(model)
    assert average.model.weight.item() == pytest.approx((before + 3) / 2)  # by now the decay asked for
    assert average.model.weight is not model.weight


@pytest.mark.parametrize(
    ("step", "total", "warmup", "rate"),
    [
        *((0, 100, 10, 0.1), (4, 100, 10, 0.5), (9, 100, 10, 1.0), (10, 100, 10, 1.0)),
        *((55, 100, 10, 0.505), (100, 100, 10, 0.01), (0, 100, 0, 1.0), (100, 100, 0, 0.01), (5, 5, 5, 1.0)),
    ],
)
def test_schedule(step, total, warmup, rate):
    assert _schedule(step, total, warmup) == pytest.approx(rate)


def test_schedule_rises_then_falls():
    rates = [_schedule(step, 100, 10) for step in range(100)]
    assert all(a < b for a, b in itertools.pairwise(rates[:10]))
    assert all(a >= b for a, b in itertools.pairwise(rates[9:]))


# --- the whole

HW = (64, 64)
TINY = Recipe(
    phases=(Phase(steps=100, batch=2, crop_hw=HW, scale=(1.0, 1.0)),),
    learning_rate=6e-4,  # at twice that, how bfloat16 rounds on a CPU decides whether it learns
    warmup_steps=4,
    drop_path=0.0,
    generated=0.0,
    scenes=0,
)


def loss_of(model, image: np.ndarray, boxes: np.ndarray, labels: np.ndarray) -> float:
    anchors = torch.cat(
        [level_anchors((HW[0] // s, HW[1] // s), s, base_anchors(s, 1, (1.0,))).float() for s in model.config.strides]
    )
    with torch.inference_mode():
        logits, deltas = model(normalise(torch.from_numpy(image[None])))
        truth = [(torch.from_numpy(boxes), torch.from_numpy(labels))]
        return sum(part.item() for part in detection_loss(logits, deltas, anchors, truth, 3))


@pytest.fixture(scope="module")
def square():
    """One picture: a bright square of class 1 on grey, and one of class 2."""
    image = np.full((*HW, 3), 100, np.uint8)
    image[16:40, 8:32] = (40, 40, 230)
    image[36:60, 36:60] = (230, 60, 40)
    return Picture(image, np.array([[8, 16, 32, 40], [36, 36, 60, 60]], np.float32), np.array([1, 2]))


def fresh():
    torch.manual_seed(0)
    return create_model("b0", "detect", 3, head="lite")


def test_a_model_learns_a_picture(square, tmp_path):
    model, told = fresh(), []
    before = loss_of(model, square.image, square.boxes_xyxy, square.labels)
    averaged = train(model, TINY, [square], [], on_checkpoint=lambda *call: told.append(call), checkpoint_every=60)
    after = loss_of(averaged, square.image, square.boxes_xyxy, square.labels)
    assert after < 0.6 * before
    assert [step for step, _ in told] == [60, 100]
    assert told[-1][1] is averaged
    assert not averaged.training

    path = tmp_path / "learned.safetensors"
    save_weights(averaged, path, metadata={"head": "lite"})
    again = create_model("b0", "detect", 3, path, head="lite")
    assert loss_of(again, square.image, square.boxes_xyxy, square.labels) == pytest.approx(after, rel=1e-4)
    save_weights(averaged, path, half=True)
    halved = create_model("b0", "detect", 3, path, head="lite")
    assert loss_of(halved, square.image, square.boxes_xyxy, square.labels) == pytest.approx(after, rel=0.02)


def test_phases_follow_each_other_and_seeds_repeat(square):
    phases = (Phase(1, 2, HW, (1.0, 1.0)), Phase(2, 1, (32, 96), (1.0, 1.0)))
    recipe = dataclasses.replace(TINY, phases=phases)
    first, second = (train(fresh(), recipe, [square], []).state_dict() for _ in range(2))
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    other = train(fresh(), dataclasses.replace(recipe, seed=1), [square], []).state_dict()
    assert not all(torch.equal(tensor, other[name]) for name, tensor in first.items())


def test_evaluation_of_a_model_in_training_form(tmp_path):
    dataset = read_coco(write_scenes(tmp_path, 1, height=64, width=96), tmp_path / "images")
    metrics = evaluate(fresh(), dataset, (64, 96))
    assert metrics.keys() == {"AP", "AP50", "AP75", "AP RBC", "AP WBC", "AP Platelets"}
    assert metrics["AP50"] < 0.5


# --- a folder of data

ONE_STEP = dataclasses.replace(Recipe(), phases=(Phase(1, 2, (64, 64), (1.0, 1.0)),), warmup_steps=0, scenes=2)
FRUIT = ("apple", "banana", "cherry", "date", "elderberry")
CELLS = ("RBC", "WBC", "Platelets")


def data_of(folder, names):
    """Two pictures of squares, one of each class in turn, to train and to evaluate on."""
    (folder / "images").mkdir(parents=True)
    for i in range(2):
        cv2.imwrite(str(folder / "images" / f"{i}.png"), np.full((64, 96, 3), 60 + 40 * i, np.uint8))
    content = {
        "images": [{"id": i, "file_name": f"{i}.png", "width": 96, "height": 64} for i in range(2)],
        "categories": [{"id": i, "name": name} for i, name in enumerate(names)],
        "annotations": [
            {"id": i, "image_id": i % 2, "category_id": i % len(names), "bbox": [4 + 9 * i, 8, 24, 24]}
            for i in range(max(2, len(names)))
        ],
    }
    for split in ("train", "val"):
        (folder / f"instances_{split}.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("names", [FRUIT[:1], FRUIT[:2], FRUIT, CELLS], ids=len)
def test_training_on_a_folder(tmp_path, capsys, monkeypatch, names):
    """Of any number of classes; blood cells are drawn into none but their own."""
    drawn = []
    monkeypatch.setattr(
        training_main, "draw_pictures", lambda count, seed: drawn.append(count) or draw_pictures(count, seed)
    )
    train_folder(data_of(tmp_path / "data", names), tmp_path / "out.safetensors", ONE_STEP)
    assert drawn == ([2] if names == CELLS else [0])
    told = capsys.readouterr().out
    assert ("no generated scenes" in told) == (names != CELLS)
    assert all(f"AP {name} " in told for name in names)
    create_model("b0", "detect", len(names), tmp_path / "out.safetensors", head="lite")


def test_data_with_nothing_to_learn(tmp_path):
    data = data_of(tmp_path / "data", FRUIT[:1])
    content = json.loads((data / "instances_train.json").read_text())
    other = content | {"categories": [{"id": 0, "name": "pear"}]}
    (data / "instances_val.json").write_text(json.dumps(other))
    with pytest.raises(DataError, match=r"classes apple.*pear: both need the same"):
        train_folder(data, tmp_path / "out.safetensors", ONE_STEP)
    (data / "instances_train.json").write_text(json.dumps(content | {"annotations": []}))
    with pytest.raises(DataError, match="has no boxes"):
        train_folder(data, tmp_path / "out.safetensors", ONE_STEP)
    assert not (tmp_path / "out.safetensors").exists()
