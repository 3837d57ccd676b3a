"""Two artifacts' masks compared: figures by hand, and faults planted in one of them."""

import json

import cv2
import numpy as np
import pytest

import pvt_edge
from pvt_edge.bundle.schema import PostprocessSpec
from pvt_edge.comparison.agreement import MaskAgreement, near_border
from pvt_edge.errors import BundleError
from pvt_edge.tasks import agreement
from pvt_edge.verification.checks import compare

from .made import blobs, picture, write_bundle

POST = PostprocessSpec()


def masks(*ids, dtype=np.uint8):
    return [{"mask": np.asarray(one, dtype)[None]} for one in ids]


def figures(found, reference, dtype=np.uint8):
    (got,), (want,) = masks(found, dtype=dtype), masks(reference, dtype=np.uint8)
    difference = compare("segment", got, want, POST)
    return {name: difference.value(name) for name in difference.tallies}


def halves(border=20, hw=(40, 60)):
    mask = np.zeros(hw, np.uint8)
    mask[:, border:] = 1
    return mask


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_equal_masks(dtype):
    assert figures(halves(), halves(), dtype) == {"pixels": 1, "inside": 1, "boundary": 1, "iou": 1}


def test_a_border_of_two_pixels_on_both_sides_is_no_inside():
    near = near_border(halves(20).astype(np.int32))
    assert near.any(axis=0).nonzero()[0].tolist() == [18, 19, 20, 21]
    assert not near_border(np.zeros((5, 5), np.int32)).any()


def test_by_hand():
    """The border lies one pixel further left: 40 of 2,400 pixels, all of them at it."""
    found = figures(halves(19), halves(20))
    assert found["pixels"] == pytest.approx(1 - 40 / 2400)
    assert found["inside"] == 1
    assert found["boundary"] == pytest.approx(1 - 40 / 160)
    assert found["iou"] == pytest.approx((19 / 20 + 40 / 41) / 2)
    by_task = agreement("segment", masks(halves(19)), masks(halves(20)))
    assert by_task == {"agreement": found["iou"], **{name: pytest.approx(value) for name, value in found.items()}}


def test_a_region_inside_counts_there():
    spoilt = halves()
    spoilt[5:15, 40:50] = 0
    assert figures(spoilt, halves())["inside"] == pytest.approx(1 - 100 / (2400 - 160))
    assert figures(spoilt, halves())["boundary"] == 1


def test_agreement_sums_pictures_before_it_divides():
    one, two = halves(10), halves(50)
    found = agreement("segment", masks(one, one), masks(one, two))
    both = [(1 - one).sum() + (1 - np.maximum(one, two)).sum(), one.sum() + (one & two).sum()]
    either = [(1 - one).sum() + (1 - (one & two)).sum(), one.sum() + np.maximum(one, two).sum()]
    assert found["iou"] == pytest.approx(np.mean([b / e for b, e in zip(both, either, strict=True)]))
    assert agreement("segment", masks(np.zeros((2, 2))), masks(np.ones((2, 2))))["agreement"] == 0


def test_pixels_without_a_class_do_not_count():
    total = MaskAgreement().add(np.array([[0, 1]], np.int32), np.array([[0, -1]], np.int32))
    assert (total.pixels, total.equal, total.ious()) == (1, 1, {0: 1.0})


def test_what_is_no_number_agrees_nowhere():
    spoilt = [{**masks(halves())[0], "logits": np.full((1, 2, 10, 15), np.nan, np.float32)}]
    whole = [{**masks(halves())[0], "logits": np.zeros((1, 2, 10, 15), np.float32)}]
    assert agreement("segment", spoilt, whole)["agreement"] == 0
    difference = compare("segment", spoilt[0], whole[0], POST)
    assert difference.broken == ("logits",)
    assert difference.value("pixels") == 0


def test_masks_of_other_sizes_are_told():
    with pytest.raises(BundleError, match="export both at one size"):
        figures(halves(hw=(40, 60)), halves(hw=(40, 61)))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Larger than the input, of another aspect, and one smaller."""
    pytest.importorskip("onnx", reason="onnx is not installed")
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    folder = tmp_path_factory.mktemp("pictures")
    for number, hw in enumerate([(256, 256), (128, 240), (40, 60)]):
        cv2.imwrite(str(folder / f"{number}.png"), picture(blobs(hw, number, cell=hw[0] // 5)))
    return folder


FAULTS = {
    "colours swapped": ("channel", "equal pixels"),
    "a class lost": ("no platelets", "mean IoU"),
    "nothing found": ("nothing", "equal pixels"),
    "two pixels off": ("shifted", "equal at borders"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_planted_faults_are_found(pictures, tmp_path, fault, precision):
    wrong, words = FAULTS[fault]
    sound = write_bundle(tmp_path / "sound")
    if precision == "fp32":
        spoilt = write_bundle(tmp_path / "spoilt", fp32=wrong)
        report = pvt_edge.verify(spoilt, images=pictures, against=sound)
    else:
        report = pvt_edge.verify(write_bundle(tmp_path / "spoilt", {precision: wrong}), images=pictures)
    assert not report
    assert any(words in line for line in report.failures), report.failures


def test_a_rare_class_that_is_lost_is_named_where_the_mean_hides_it(tmp_path):
    (tmp_path / "pictures").mkdir()
    for number in range(15):
        ids = np.minimum(blobs(seed=number, cell=16), 2)
        ids[:24, :24] = 3 if number == 14 else 0
        cv2.imwrite(str(tmp_path / "pictures" / f"{number}.png"), picture(ids))
    bundle = write_bundle(tmp_path / "bundle", {"int8": "no platelets"})
    (line,) = pvt_edge.verify(bundle, images=tmp_path / "pictures").failures
    assert "int8: IoU of Platelets 0.0000" in line


def test_sound_artifacts_pass_and_the_folder_says_all(pictures, tmp_path, pvt_edge_command):
    bundle = write_bundle(tmp_path / "bundle", {"fp16": None}, batch=2)
    out = tmp_path / "out"
    done = pvt_edge_command("verify", str(bundle), "--images", str(pictures), "--out", str(out), "--min-iou", "0.9")
    assert done.returncode == 0, done.stderr
    report = json.loads((out / "report.json").read_text())
    assert report["artifacts"][0]["classes"] == dict.fromkeys(("background", "RBC", "WBC", "Platelets"), 1.0)
    assert report["artifacts"][0]["limits"]["min_iou"] == 0.9
    assert "IoU of each class" in (out / "report.md").read_text()
    assert cv2.imread(str(out / "contact_sheet.jpg")) is not None


def test_another_resize_rule_shows(pictures, tmp_path):
    other = write_bundle(tmp_path / "other", resize="stretch")
    assert not pvt_edge.verify(other, images=pictures, against=write_bundle(tmp_path / "sound", resize="crop"))


def test_ids_without_a_name_fail(pictures, tmp_path):
    report = pvt_edge.verify(write_bundle(tmp_path / "bundle", {"int8": "beyond"}), images=pictures)
    assert any("model.json names 4" in line for line in report.failures)
