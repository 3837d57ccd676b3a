"""`pvt-edge val` run as users run it, its figures against pycocotools run by hand on the detections it saves."""

import contextlib
import io
import json
import shutil
import sys

import pytest

pytest.importorskip("pycocotools", reason="pycocotools is not installed")

from pvt_edge.errors import RuntimeMissingError
from pvt_edge.evaluation import evaluate
from pvt_edge.scenes import write_scenes

NAMES = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return write_scenes(tmp_path_factory.mktemp("scenes"), 4, seed=12)


def by_hand(annotations, detections, image_ids=None, category_ids=None):
    """The twelve figures of COCOeval, in its order."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(annotations))
        evaluation = COCOeval(truth, truth.loadRes(str(detections)), "bbox")
        if image_ids:
            evaluation.params.imgIds = image_ids
        if category_ids:
            evaluation.params.catIds = category_ids
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [None if value == -1 else value for value in evaluation.stats.tolist()]


def test_every_artifact_equals_pycocotools(pvt_edge_command, cells_bundle, scenes, tmp_path):
    done = pvt_edge_command(
        *("val", str(cells_bundle), "--data", str(scenes), "--runtime", "all"),
        *("--json", str(tmp_path / "val.json"), "--save-detections", str(tmp_path / "new" / "dets.json")),
    )
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "val.json").read_text())
    assert (content["pictures"], content["settings"]) == (4, {"conf": 0.01, "iou": 0.6, "max_det": 100})
    ran = {f"{row['runtime']} {row['precision']}": row for row in content["rows"]}
    assert {"openvino fp32", "openvino int8", "onnxruntime fp32", "onnxruntime int8"} <= {*ran}
    for name, row in ran.items():
        assert list(row["figures"]) == NAMES
        saved = tmp_path / "new" / f"dets.{name.replace(' ', '-')}.json"
        assert row["detections_file"] == str(saved)
        assert len(json.loads(saved.read_text())) == row["detections"] > 50
        assert list(row["figures"].values()) == by_hand(scenes, saved)
        for category, (label, figures) in enumerate(row["classes"].items(), 1):
            assert figures["AP"] == pytest.approx(by_hand(scenes, saved, category_ids=[category])[0], abs=1e-12), label
        assert name in done.stdout
    assert ran["openvino int8"]["figures"] != ran["openvino fp32"]["figures"]
    assert "score above 0.01, NMS IoU 0.6, at most 100 detections a picture" in done.stdout


def test_names_are_no_markup(pvt_edge_command, cells_bundle, scenes, tmp_path):
    names = ["cell [small]", "[/cell]", "[red]"]
    bundle = shutil.copytree(cells_bundle, tmp_path / "b0")
    manifest = json.loads((bundle / "model.json").read_text())
    renamed = dict(zip(manifest["labels"], names, strict=True))
    (bundle / "model.json").write_text(json.dumps({**manifest, "labels": names}))
    data = json.loads(scenes.read_text())
    for category in data["categories"]:
        category["name"] = renamed[category["name"]]
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps(data))
    images = ("--images", str(scenes.parent / "images"))
    done = pvt_edge_command("val", str(bundle), "--data", str(labels), *images, "--runtime", "onnxruntime")
    assert done.returncode == 0, done.stderr
    inspected = pvt_edge_command("inspect", str(bundle))
    assert inspected.returncode == 0, inspected.stderr
    for name in names:
        assert name in done.stdout
        assert name in inspected.stdout


def test_limits_and_thresholds(pvt_edge_command, cells_bundle, scenes, tmp_path):
    options = ("--limit", "2", "--conf", "0.3", "--iou", "0.4", "--max-det", "20", "--runtime", "openvino")
    saved, plots = tmp_path / "dets.json", tmp_path / "new" / "plots"
    done = pvt_edge_command(
        *("val", str(cells_bundle), "--data", str(scenes), *options, "--json", "-"),
        *("--save-detections", str(saved), "--plots", str(plots)),
    )
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)  # nothing but JSON
    assert content["settings"] == {"conf": 0.3, "iou": 0.4, "max_det": 20}
    assert (content["pictures"], content["pictures_in_data"], len(content["image_ids"])) == (2, 4, 2)
    detections = json.loads(saved.read_text())
    assert min(row["score"] for row in detections) > 0.3
    assert len(detections) <= 40
    assert list(content["rows"][0]["figures"].values()) == by_hand(scenes, saved, content["image_ids"])
    assert {path.name for path in plots.iterdir()} == {"val.json", "confusion.png", "precision_recall.png", "f1.png"}
    assert json.loads((plots / "val.json").read_text()) == content
    confusion, best = content["rows"][0]["confusion"], content["rows"][0]["curves"]["best"]
    assert confusion["conf"] == 0.3
    assert sum(sum(row[:-1]) for row in confusion["counts"]) == len(detections)
    assert f"with --conf {best['conf']:g}" in done.stderr
    assert "2 of 4 pictures" in done.stderr
    assert "score above 0.3, NMS IoU 0.4, at most 20 detections a picture" in done.stderr


def test_plots_need_matplotlib_and_say_so_first(cells_bundle, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(RuntimeMissingError, match=r"pvt-edge\[plots\]"):
        evaluate(cells_bundle, tmp_path / "absent.json", plots=tmp_path / "plots")


@pytest.mark.parametrize(("precision", "ap"), [("int8", 0.621), ("fp32", 0.6206)])
def test_real_images(pvt_edge_command, cells_bundle, bccd, tmp_path, precision, ap):
    """The bundled weights on the 87 pictures they never saw."""
    saved = tmp_path / "dets.json"
    done = pvt_edge_command(
        *("val", str(cells_bundle), "--data", str(bccd / "instances_val.json"), "--runtime", "openvino"),
        *("--precision", precision, "--json", "-", "--save-detections", str(saved)),
    )
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["rows"]
    assert row["figures"]["AP"] == pytest.approx(ap, abs=0.012 if precision == "int8" else 0.001)
    assert list(row["figures"].values()) == by_hand(bccd / "instances_val.json", saved)


def test_a_score_threshold_costs_ap(pvt_edge_command, cells_bundle, scenes):
    aps = []
    for conf in ("0.01", "0.7"):
        done = pvt_edge_command(
            "val", str(cells_bundle), "--data", str(scenes), "--runtime", "openvino", "--conf", conf, "--json", "-"
        )
        aps.append(json.loads(done.stdout)["rows"][0]["figures"]["AP"])
    assert aps[1] < aps[0] - 0.02


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the file is empty"),
        ("not json", "it is not JSON"),
        ("[]", "it holds a list"),
        ('{"images": [], "annotations": [], "categories": []}', "lists no pictures"),
        (
            '{"images": [{"id": 1, "file_name": "a.jpg"}], "categories": [{"id": 1, "name": "RBC"}], '
            '"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, -3, NaN]}]}',
            "annotation 1 has the bbox [1, 2, -3, nan], which is not finite",
        ),
        (
            '{"images": [{"id": 1, "file_name": "a.jpg"}], "categories": [], "annotations": []}',
            "1 of 1 pictures are missing",
        ),
    ],
    ids=["empty", "no JSON", "a list", "no pictures", "broken box", "no file"],
)
def test_broken_data_is_one_line(pvt_edge_command, cells_bundle, tmp_path, text, told):
    (tmp_path / "instances.json").write_text(text)
    done = pvt_edge_command("val", str(cells_bundle), "--data", str(tmp_path / "instances.json"))
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("pvt-edge: error: ")
    assert told in line


@pytest.mark.parametrize("name", ["instances.json", "link.json"])
def test_a_report_does_not_overwrite_the_data(pvt_edge_command, cells_bundle, tmp_path, name):
    (tmp_path / "instances.json").write_text("broken")  # which would be told later
    (tmp_path / "link.json").symlink_to("instances.json")
    done = pvt_edge_command(
        "val", str(cells_bundle), "--data", str(tmp_path / "instances.json"), "--json", str(tmp_path / name)
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert f"cannot write {tmp_path / name}: it is the data that is read" in done.stderr
    assert (tmp_path / "instances.json").read_text() == "broken"


def test_a_report_without_a_place_is_told_first(pvt_edge_command, cells_bundle):
    done = pvt_edge_command("val", str(cells_bundle), "--data", "absent.json", "--json", "/nonexistent/x.json")
    assert done.returncode == 1
    assert "cannot write '/nonexistent/x.json', which is in no folder that exists" in done.stderr


@pytest.mark.parametrize(
    "options", [(), ("--data", "x.json", "--conf", "2"), ("--data", "x.json", "--limit", "0")], ids=str
)
def test_wrong_usage(pvt_edge_command, cells_bundle, options):
    assert pvt_edge_command("val", str(cells_bundle), *options).returncode == 2
