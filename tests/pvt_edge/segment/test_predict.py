"""A segmenter's bundle from the picture to the mask, by call and by command."""

import csv
import json

import cv2
import numpy as np
import pytest
from PIL import Image

import pvt_edge
from pvt_edge.errors import BundleError, RuntimeInputError
from pvt_edge.pictures.resizing import mask_to_original, plan

from .made import HW, NAMES, blobs, picture, write_bundle, write_data

pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("segment") / "bundle")


@pytest.mark.parametrize("dtype", ["UINT8", "INT32", "INT64"])
@pytest.mark.parametrize("batch", [1, 3])
def test_masks_of_any_whole_type_and_batch(tmp_path, dtype, batch):
    ids = [blobs(seed=seed) for seed in range(2)]
    with pvt_edge.load(write_bundle(tmp_path / "bundle", dtype=dtype, batch=batch)) as predictor:
        found = predictor([picture(one) for one in ids])
        assert all(np.array_equal(one.mask, want) for one, want in zip(found, ids, strict=True))
        assert {one.mask.dtype for one in found} == {np.dtype(np.uint8)}
        streamed = predictor.stream(write_data(tmp_path / "data") / "images")
        assert np.array_equal(next(iter(streamed)).mask, ids[0])


@pytest.mark.parametrize("resize", ["letterbox", "stretch", "crop"])
@pytest.mark.parametrize("scale", [2, 3])
def test_masks_lie_where_the_picture_shows_them(tmp_path, resize, scale):
    """Pictures so many times the input's size, with blobs that survive the resize, so that all but borders is exact."""
    hw = (HW[0] * scale, HW[0] * scale * 2)  # wider than the input
    with pvt_edge.load(write_bundle(tmp_path / "bundle", resize=resize)) as predictor:
        ids = blobs(hw, cell=16 * scale)
        found = predictor(picture(ids)).mask
        placement = plan(hw, HW, predictor.manifest.resize)
    seen = mask_to_original(np.zeros(HW, np.uint8), placement, 255) == 0
    assert found.shape == hw
    assert (found[~seen] == 255).all()
    near = cv2.dilate(ids, np.ones((5, 5))) != cv2.erode(ids, np.ones((5, 5)))
    assert np.array_equal(found[seen & ~near], ids[seen & ~near])
    assert (~seen).any() == (resize == "crop")


def test_logits_are_read_on_the_host(tmp_path):
    ids = blobs(cell=16)
    with pvt_edge.load(write_bundle(tmp_path / "bundle", logits=True)) as predictor:
        found = predictor(picture(ids)).mask
    near = cv2.dilate(ids, np.ones((9, 9))) != cv2.erode(ids, np.ones((9, 9)))
    assert np.array_equal(found[~near], ids[~near])


def test_classes_leave_the_others_out_and_thresholds_are_refused(bundle):
    ids = blobs()
    with pvt_edge.load(bundle) as predictor:
        found = predictor(picture(ids), classes=["WBC", 3])
        assert np.array_equal(found.mask, np.where(ids >= 2, ids, 255))
        assert set(found.areas()) == {"WBC", "Platelets"}
        with pytest.raises(RuntimeInputError, match="conf is a detector's, this bundle's task is segment"):
            predictor(picture(ids), conf=0.5)


def test_ids_without_a_name_are_no_answer(tmp_path):
    bundle = write_bundle(tmp_path / "bundle", labels=NAMES[:2])
    with pvt_edge.load(bundle) as predictor, pytest.raises(BundleError, match="export again"):
        predictor(picture(np.full(HW, 3)))


def test_the_command_writes_overlays_masks_json_and_areas(bundle, pvt_edge_command, tmp_path):
    data = write_data(tmp_path / "data", count=2, hw=(128, 192))
    places = {name: str(tmp_path / name) for name in ("overlay", "masks", "out.jsonl", "out.csv")}
    done = pvt_edge_command(
        *("predict", str(bundle), str(data / "images"), "--save", places["overlay"], "--save-masks", places["masks"]),
        *("--json", places["out.jsonl"], "--csv", places["out.csv"], "--classes", "RBC,WBC"),
    )
    assert done.returncode == 0, done.stderr
    assert "mean areas: RBC" in done.stderr
    assert "background" not in done.stderr
    with Image.open(tmp_path / "masks" / "1.png") as image:
        mask = np.array(image)
    assert (mask.shape, set(np.unique(mask)) - {1, 2, 255}) == ((128, 192), set())
    assert (tmp_path / "overlay" / "1.jpg").is_file()
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    areas = {row["name"]: row["area"] for row in lines[1]["predictions"]}
    assert areas == {name: round(float((mask == i).mean()), 6) for i, name in ((1, "RBC"), (2, "WBC"))}
    with open(tmp_path / "out.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["source"].endswith("1.png")]
    assert {row["name"]: float(row["area"]) for row in rows} == areas


def test_the_command_writes_polygons_and_overlays_of_another_opacity(bundle, pvt_edge_command, tmp_path):
    ids = np.zeros(HW, np.uint8)
    ids[16:48, 32:64] = 2
    cv2.imwrite(str(tmp_path / "cell.png"), picture(ids))
    out, clear = tmp_path / "out.jsonl", tmp_path / "clear.png"
    options = ("--polygons", "--json", str(out), "--opacity", "0", "--save", str(clear))
    done = pvt_edge_command("predict", str(bundle), str(tmp_path / "cell.png"), *options)
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads(out.read_text())["predictions"]}
    assert rows["WBC"]["segmentation"] == [[32, 16, 32, 47, 63, 47, 63, 16]]
    assert np.array_equal(cv2.imread(str(clear))[40:], picture(ids)[40:])  # below the legend


@pytest.mark.parametrize("options", [("--save-masks", "out"), ("--opacity", "0.3"), ("--polygons",)])
def test_options_of_masks_are_refused_by_another_task(pvt_edge_command, tmp_path, options):
    bundle = write_bundle(tmp_path / "bundle", task="features")
    done = pvt_edge_command("predict", str(bundle), "synthetic://cells", *options)
    assert done.returncode == 1
    assert f"{options[0]} is for segmenters" in done.stderr
