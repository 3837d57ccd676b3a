"""Training of segmenters: the loss by hand, targets, class maps of whole pictures, and a run that learns."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch")

import torch.nn.functional as F  # noqa: E402
from PIL import Image  # noqa: E402

import pvt_edge  # noqa: E402
from pvt_edge.bundle.schema import NormaliseSpec  # noqa: E402
from pvt_edge.checkpoints.opening import summarise_checkpoint  # noqa: E402
from pvt_edge.data.labelled_set import MaskSample  # noqa: E402
from pvt_edge.training.segment import class_weights, imitation_loss, segmentation_loss  # noqa: E402
from pvt_edge.training.task import get_training  # noqa: E402
from pvt_edge.training.view import View  # noqa: E402

ROW = [0, 0, 0, 1, 255, 255, 255, 255]  # of a target


def logits_of(*rows):
    """Logits (1, K, 1, N) that are not resized, of a row a class."""
    return torch.tensor(rows, dtype=torch.float32)[None, :, None, :]


@pytest.mark.parametrize(
    ("counts", "weights"),
    [
        ([10, 10], [1.0, 1.0]),
        ([12, 8], [0.9129, 1.1180]),  # sqrt(10/12), sqrt(10/8)
        ([100, 0], [1.0, 1.4]),  # what is not there has no pixel to weigh
        ([9000, 500, 500, 1], [0.7, 1.4, 1.4, 1.4]),
    ],
)
def test_rare_classes_weigh_more_up_to_a_bound(counts, weights):
    assert class_weights(torch.tensor(counts, dtype=torch.float32)).tolist() == pytest.approx(weights, abs=1e-4)


def test_the_loss_is_that_of_labelled_pixels_alone():
    scores = [[2.0, 1.0, 0.0, -1.0, 9.0, 9.0, 9.0, 9.0], [0.0] * 8]
    got_class, got_dice = segmentation_loss(logits_of(*scores), torch.tensor([[ROW]]))
    shares = torch.tensor(scores)[:, :4].T.softmax(dim=1)  # (4, 2)
    weights = torch.tensor([(2 / 3) ** 0.5, 1.4])[torch.tensor(ROW[:4])]  # two pixels a class is usual
    picked = shares[range(4), ROW[:4]]
    assert got_class == pytest.approx(float((weights * -picked.log()).sum() / weights.sum()), rel=1e-5)
    dice = [
        2 * float(picked[:3].sum()) / (float(shares[:, 0].sum()) + 3),
        2 * float(picked[3]) / (float(shares[:, 1].sum()) + 1),
    ]
    assert got_dice == pytest.approx(1 - np.mean(dice), rel=1e-5)
    other = logits_of(*[[*row[:4], -50.0, 50.0, 3.0, 7.0] for row in scores])
    assert [float(x) for x in segmentation_loss(other, torch.tensor([[ROW]]))] == pytest.approx(
        [float(got_class), float(got_dice)]
    )


def test_a_batch_without_any_label_teaches_nothing():
    logits = torch.randn(2, 3, 8, 8, requires_grad=True)
    parts = segmentation_loss(logits, torch.full((2, 32, 32), 255))
    sum(parts).backward()
    assert [part.item() for part in parts] == [0.0, 0.0]
    assert logits.grad is not None and not logits.grad.any()


def test_right_answers_cost_nothing_and_wrong_ones_much():
    targets = torch.zeros(1, 32, 32, dtype=torch.long)
    targets[:, 8:24, 8:24] = 1
    right = F.one_hot(targets[:, 2::4, 2::4], 2).permute(0, 3, 1, 2).float() * 20
    assert float(sum(segmentation_loss(right, targets))) < 0.4  # the border between every fourth pixel
    assert float(sum(segmentation_loss(-right, targets))) > 5


def test_one_logit_is_learnt_as_two_classes():
    logit = torch.randn(2, 1, 8, 8)
    targets = torch.randint(0, 2, (2, 8, 8))
    two = torch.cat((torch.zeros_like(logit), logit), dim=1)
    assert [float(x) for x in segmentation_loss(logit, targets)] == pytest.approx(
        [float(x) for x in segmentation_loss(two, targets)]
    )
    even = torch.arange(128).reshape(2, 8, 8) % 2  # whose classes weigh the same
    wanted = F.binary_cross_entropy_with_logits(logit[:, 0], even.float())
    assert float(segmentation_loss(logit, even)[0]) == pytest.approx(float(wanted), rel=1e-5)


def test_imitation_is_the_divergence_of_a_pixel():
    taught = torch.randn(2, 3, 4, 4)
    assert float(imitation_loss(taught, taught)) == pytest.approx(0.0, abs=1e-6)
    assert float(imitation_loss(taught + 3.0, taught)) == pytest.approx(0.0, abs=1e-6)  # the same shares
    got = imitation_loss(logits_of([0.0], [0.0]), logits_of([1.0], [0.0]))
    p = 1 / (1 + np.exp(-1.0))
    assert float(got) == pytest.approx(p * np.log(p / 0.5) + (1 - p) * np.log((1 - p) / 0.5), rel=1e-5)
    assert float(imitation_loss(torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1))) == pytest.approx(float(got))


@pytest.mark.parametrize(
    ("names", "outputs"),
    [(("background", "cell"), 1), (("Background", "cell"), 1), (("a", "b"), 2), (("background", "a", "b"), 3)],
)
def test_one_class_beside_background_takes_one_logit(names, outputs):
    assert get_training("segment").count_outputs(names) == outputs


def test_one_class_alone_is_refused():
    with pytest.raises(pvt_edge.PvtEdgeError, match=r"cell is the only class.*classes\.txt"):
        get_training("segment").count_outputs(("cell",))


class Fixed(torch.nn.Module):
    """A model whose logits are always the same."""

    thresholds = None

    def __init__(self, logits):
        super().__init__()
        self.logits = logits
        self.num_classes = logits.shape[1]

    def forward(self, images):
        assert images.shape[1] == 3
        return self.logits.expand(len(images), -1, -1, -1)


@pytest.mark.parametrize("classes", [1, 2, 5])
def test_a_whole_picture_gets_a_class_a_pixel(classes):
    logits = torch.randn(1, classes, 8, 16)
    whole = get_training("segment").whole(Fixed(logits), (32, 64), NormaliseSpec())
    mask = whole(torch.zeros(2, 32, 64, 3, dtype=torch.uint8))["mask"]
    assert (mask.shape, mask.dtype) == ((2, 32, 64), torch.uint8)
    grown = F.interpolate(logits, (32, 64), mode="bilinear", align_corners=False)[0]
    wanted = grown[0] > 0 if classes == 1 else grown.argmax(dim=0)
    assert (mask[1] == wanted.to(torch.uint8)).all()


def saved(folder, mask, name="a"):
    Image.fromarray(np.asarray(mask, np.uint8)).save(folder / f"{name}.png")
    return MaskSample(folder / f"{name}.jpg", folder / f"{name}.png")


def test_targets_are_the_mask_in_the_view(tmp_path):
    sample = saved(tmp_path, [[0, 1], [2, 255]])
    view = View(np.array([[-2.0, 0, 4], [0, 2, 0]]), (4, 6))  # mirrored and doubled, and two columns beside it
    target = get_training("segment").target(sample, view)
    assert target.tolist() == [[1, 1, 0, 0, 255, 255]] * 2 + [[255, 255, 2, 2, 255, 255]] * 2


@pytest.mark.parametrize(("head", "noted"), [("linear", "linear"), ("upernet:8", "upernet:8"), ("fpn:16", "fpn:16")])
def test_heads_and_their_widths(head, noted):
    training = get_training("segment")
    model = training.build("b0", 3, head, 0.0, 0.0)
    assert training.metadata(model) == {"head": noted}
    images = torch.randn(2, 3, 64, 64)
    parts = training.loss(model, model(images), [torch.randint(0, 3, (64, 64), dtype=torch.uint8)] * 2, (64, 64))
    assert all(torch.isfinite(part) for part in parts.values())


SMALL = {"task": "segment", "variant": "b0", "weights": "cells", "workers": 0, "batch": 4}


def write_discs(folder, count):
    """Pictures of 64x64 with a blue disc, and masks of them whose borders are open."""
    rng = np.random.default_rng(0)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    (folder / "classes.txt").write_text("background\ndisc\n")
    for i in range(count):
        x, y = rng.uniform(16, 48, 2)
        far = np.hypot(np.arange(64)[None] - x, np.arange(64)[:, None] - y) / rng.uniform(10, 20)
        picture = np.where((far < 1)[..., None], (40, 60, 200), (200, 190, 180)) + rng.normal(0, 12, (64, 64, 3))
        Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(folder / "images" / f"{i}.png")
        mask = np.where(abs(far - 1) < 0.1, 255, far < 1).astype(np.uint8)
        Image.fromarray(mask).save(folder / "masks" / f"{i}.png")
    return folder


def test_one_class_is_learnt_and_the_weights_say_so(tmp_path):
    run = pvt_edge.train(
        write_discs(tmp_path / "discs", 20), out=tmp_path / "run", imgsz=(64, 64), epochs=6, lr=3e-3, **SMALL
    )
    assert run.figures["mIoU"] > 0.7
    assert {"curves.png", "samples.jpg", "confusion.png", "data.md"} <= {path.name for path in run.folder.iterdir()}
    summary = summarise_checkpoint(run.best)
    assert (summary.variant, summary.task, summary.head, summary.num_classes) == ("b0", "segment", "lite", 1)
    assert summary.labels == ("background", "disc")
    model = pvt_edge.create_model(None, "segment", weights=run.best)
    assert (model.num_classes, model.thresholds) == (1, {"threshold": 0.5})
    assert (model.sidecar.preprocessing.imgsz, model.sidecar.preprocessing.resize) == ((64, 64), "letterbox")
    with torch.inference_mode():
        assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 1, 16, 16)


def test_another_segmenters_threshold_is_not_that_of_a_new_class_layer(tmp_path):
    model = pvt_edge.create_model("b0", "segment", 1, head="lite")
    model.thresholds = {"threshold": 0.3}
    pvt_edge.save_weights(model, tmp_path / "other.safetensors")
    discs = write_discs(tmp_path / "discs", 6)
    run = pvt_edge.train(
        discs,
        out=tmp_path / "run",
        imgsz=(64, 64),
        epochs=1,
        **SMALL | {"weights": str(tmp_path / "other.safetensors")},
    )
    assert pvt_edge.create_model(None, "segment", weights=run.best).thresholds == {"threshold": 0.5}


def test_generated_scenes_have_masks_to_learn_from(tmp_path):
    run = pvt_edge.train("scenes:8", out=tmp_path / "run", imgsz=(64, 96), epochs=1, **SMALL)
    assert set(run.figures) >= {"mIoU", "pixel_accuracy"}
    assert "RBC" in (run.folder / "data.md").read_text()
    assert summarise_checkpoint(run.best).labels == ("background", "RBC", "WBC", "Platelets")
    again = pvt_edge.train(
        write_discs(tmp_path / "discs", 6),
        out=tmp_path / "again",
        imgsz=(64, 64),
        epochs=1,
        **SMALL | {"weights": str(run.best)},
    )
    assert summarise_checkpoint(again.best).num_classes == 1  # other classes take a class layer of their own


def test_more_pictures_have_the_classes_in_the_same_order(tmp_path):
    """Or discs would be learnt as background."""
    discs, others = write_discs(tmp_path / "discs", 4), write_discs(tmp_path / "others", 4)
    (others / "classes.txt").write_text("disc\nbackground\n")
    with pytest.raises(pvt_edge.PvtEdgeError, match="others has the classes disc, background where"):
        pvt_edge.train(discs, extra=str(others), out=tmp_path / "run", imgsz=(64, 64), **SMALL)
