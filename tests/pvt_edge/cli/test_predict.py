"""`pvt-edge predict` and `inspect` on the bundled model, run as users run them."""

import json
import shutil

import cv2
import numpy as np
import pytest

import pvt_edge
from pvt_edge.scenes import draw_scene, scene_clip


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    for i in range(3):
        cv2.imwrite(str(folder / f"{i}.png"), draw_scene(70 + i).image)
    return folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, (640, 480))
    for scene in scene_clip(5, 8):
        writer.write(scene.image)
    writer.release()
    return path


def lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_folder(pvt_edge_command, cells_bundle, scenes, tmp_path):
    done = pvt_edge_command(
        *("predict", str(cells_bundle), str(scenes), "--save", str(tmp_path / "drawn")),
        *("--json", str(tmp_path / "out.jsonl")),
    )
    assert done.returncode == 0, done.stderr
    rows = lines((tmp_path / "out.jsonl").read_text())
    assert [row["path"].rsplit("/", 1)[-1] for row in rows] == ["0.png", "1.png", "2.png"]
    for i, row in enumerate(rows):
        truth = draw_scene(70 + i)
        reds = sum(found["name"] == "RBC" for found in row["predictions"])
        assert reds == pytest.approx((truth.labels == 0).sum(), abs=6)
        drawn = cv2.imread(str(tmp_path / "drawn" / f"{i}.jpg"))
        assert drawn.shape == (480, 640, 3)
        assert np.abs(drawn.astype(int) - truth.image).mean() > 0.5  # boxes were drawn
    found = sum(len(row["predictions"]) for row in rows)
    assert f"3 pictures with openvino int8: {found:,} objects: " in done.stderr


def test_json_on_stdout_and_thresholds(pvt_edge_command, cells_bundle, scenes):
    done = pvt_edge_command("predict", str(cells_bundle), str(scenes / "0.png"), "--json", "-", "--conf", "0.6")
    (row,) = lines(done.stdout)
    assert row["predictions"]
    assert all(found["confidence"] > 0.6 for found in row["predictions"])
    done = pvt_edge_command(
        *("predict", str(cells_bundle), str(scenes / "0.png"), "--json", "-", "--classes", "WBC", "--max-det", "1")
    )
    (row,) = lines(done.stdout)
    assert [found["name"] for found in row["predictions"]] in ([], ["WBC"])


def test_video(pvt_edge_command, cells_bundle, clip, tmp_path):
    done = pvt_edge_command("predict", str(cells_bundle), str(clip), "--save", str(tmp_path / "out.mp4"), "--json", "-")
    assert done.returncode == 0, done.stderr
    assert [row["frame"]["id"] for row in lines(done.stdout)] == list(range(8))
    saved = cv2.VideoCapture(str(tmp_path / "out.mp4"))
    assert int(saved.get(cv2.CAP_PROP_FRAME_COUNT)) == 8
    assert saved.get(cv2.CAP_PROP_FPS) == pytest.approx(25)
    boxes = sum(len(row["predictions"]) for row in lines(done.stdout))
    assert f"8 frames with openvino int8: {boxes:,} boxes (" in done.stderr


def test_a_tracked_video_counts_objects_and_not_their_boxes(pvt_edge_command, cells_bundle, clip):
    done = pvt_edge_command("predict", str(cells_bundle), str(clip), "--track", "--json", "-")
    assert done.returncode == 0, done.stderr
    found = [row for frame in lines(done.stdout) for row in frame["predictions"]]
    tracks = {row["track_id"] for row in found} - {None}
    assert 0 < len(tracks) < len(found) / 3
    assert f"8 frames with openvino int8: {len(tracks):,} objects in {len(found):,} boxes: " in done.stderr


def test_classes_by_name_before_id_on_the_command_line_and_in_a_file(pvt_edge_command, cells_bundle, scenes, tmp_path):
    bundle = shutil.copytree(cells_bundle, tmp_path / "renamed")
    content = json.loads((bundle / "model.json").read_text())
    content["labels"] = ["1", "blue, large", "0"]
    (bundle / "model.json").write_text(json.dumps(content))
    (tmp_path / "options.toml").write_text("classes = [1]")
    arguments = ("predict", str(bundle), str(scenes / "0.png"), "--json", "-", "--conf", "0.01")
    for options, expected in (
        (("--classes", "1,blue, large"), None),
        (("--classes", "blue, large", "--classes", "0"), {1, 2}),
        (("--config", str(tmp_path / "options.toml")), {0}),
    ):
        done = pvt_edge_command(*arguments, *options)
        if expected is None:
            assert "unknown class 'blue': did you mean 'blue, large'" in done.stderr
            continue
        assert {found["class"] for row in lines(done.stdout) for found in row["predictions"]} == expected
        assert ("note: --classes 1 is the class of that name" in done.stderr) == (0 in expected)


@pytest.mark.parametrize(
    ("runtime", "precision"),
    [
        ("openvino", "fp32"),
        ("onnxruntime", "fp32"),
        ("openvino", "int8"),
        ("onnxruntime", "int8"),
        ("opencv", "fp32"),
    ],
)
def test_runtimes_agree(pvt_edge_command, cells_bundle, scenes, runtime, precision):
    arguments = ("predict", str(cells_bundle), str(scenes), "--json", "-", "--conf", "0.5")
    done = pvt_edge_command(*arguments, "--runtime", runtime, "--precision", precision)
    assert done.returncode == 0, done.stderr
    with pvt_edge.load(cells_bundle, runtime="onnxruntime") as reference:
        expected = [len(r.boxes) for r in reference(str(scenes), conf=0.5)]
    found = [len(row["predictions"]) for row in lines(done.stdout)]
    assert found == pytest.approx(expected, abs=0 if precision == "fp32" else 3)


def test_unreadable_images_are_skipped_and_named(pvt_edge_command, cells_bundle, scenes, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"not a picture")
    (tmp_path / "good.png").write_bytes((scenes / "0.png").read_bytes())
    done = pvt_edge_command("predict", str(cells_bundle), str(tmp_path))
    assert done.returncode == 0
    assert "broken.jpg" in done.stderr
    assert "1 picture, 1 skipped" in done.stderr


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: None, "no images"),
        (lambda folder: (folder / "a.jpg").write_bytes(b"x"), "a.jpg"),
    ],
    ids=["empty folder", "all unreadable"],
)
def test_nothing_to_read_is_an_error(pvt_edge_command, cells_bundle, tmp_path, make, said):
    make(tmp_path)
    done = pvt_edge_command("predict", str(cells_bundle), str(tmp_path))
    assert done.returncode == 1
    assert said in done.stderr


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--classes", "RCB", "did you mean 'RBC'"),
        ("--runtime", "openvion", "did you mean 'openvino'"),
        ("--precision", "int4", "did you mean 'int8'"),
        ("--save", "/proc/x/out.mp4", "/proc/x"),
        ("--json", "/proc/x.jsonl", "/proc/x.jsonl"),
    ],
)
def test_wrong_values_say_the_mend(pvt_edge_command, cells_bundle, scenes, option, value, said):
    done = pvt_edge_command("predict", str(cells_bundle), str(scenes), option, value)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_inspect(pvt_edge_command, cells_bundle):
    done = pvt_edge_command("inspect", str(cells_bundle))
    assert done.returncode == 0
    for said in ("PVT-v2 b0, detect", "uint8 (1, 480, 640, 3) BGR", "RBC, WBC, Platelets", "openvino/int8.xml"):
        assert said in done.stdout
    content = json.loads(pvt_edge_command("inspect", str(cells_bundle), "--json", "-").stdout)
    assert content["schema_version"] == 2


def test_an_edited_artifact_is_refused(pvt_edge_command, cells_bundle, scenes, tmp_path):
    copy = tmp_path / "copy"
    for path in cells_bundle.rglob("*"):
        if path.is_file():
            target = copy / path.relative_to(cells_bundle)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    weights = copy / "openvino" / "int8.bin"
    content = bytearray(weights.read_bytes())
    content[1000] ^= 1
    weights.write_bytes(content)
    for command in (("predict", str(copy), str(scenes)), ("inspect", str(copy))):
        done = pvt_edge_command(*command)
        assert done.returncode == 1
        assert "int8.bin was edited" in done.stderr
    done = pvt_edge_command("predict", str(copy), str(scenes), "--precision", "fp32")  # that one is whole
    assert done.returncode == 0


def test_twelve_bits_in_sixteen(pvt_edge_command, cells_bundle, tmp_path):
    cv2.imwrite(str(tmp_path / "a.tif"), draw_scene(71).image.astype(np.uint16) * 16)
    dark = pvt_edge_command("predict", str(cells_bundle), str(tmp_path / "a.tif"), "--json", "-")
    assert "--pixel-max 4095" in dark.stderr
    lit = pvt_edge_command("predict", str(cells_bundle), str(tmp_path / "a.tif"), "--json", "-", "--pixel-max", "4095")
    assert "--pixel-max" not in lit.stderr
    (row,) = lines(lit.stdout)
    assert len(row["predictions"]) > 20
    with pvt_edge.load(cells_bundle, pixel_max=4095) as predictor:
        result = predictor(tmp_path / "a.tif")
        assert len(result.boxes) == len(row["predictions"])
        assert len(predictor(draw_scene(71).image.astype(np.uint16) * 16).boxes) == len(row["predictions"])


def test_a_full_disk_is_not_called_written(pvt_edge_command, cells_bundle, scenes, mount_disk):
    disk = mount_disk("16k")
    done = pvt_edge_command(
        *("predict", str(cells_bundle), str(scenes), "--save", f"{disk}/drawn"),
        *("--json", f"{disk}/out.jsonl", "--csv", f"{disk}/out.csv"),
    )
    assert done.returncode == 1
    assert "No space left" in done.stderr
    assert "wrote" not in done.stderr
    assert f"incomplete: {disk}/out.jsonl" in done.stderr


def test_a_second_run_goes_over_the_first_and_over_nothing_else(pvt_edge_command, cells_bundle, scenes, tmp_path):
    run = (
        "predict",
        str(cells_bundle),
        str(scenes / "0.png"),
        "--save",
        f"{tmp_path}/",
        "--json",
        f"{tmp_path}/o.jsonl",
    )
    for _ in range(2):
        assert pvt_edge_command(*run).returncode == 0
    (tmp_path / "0.jpg").write_bytes((scenes / "1.png").read_bytes())
    done = pvt_edge_command(*run)
    assert done.returncode == 1
    assert "0.jpg is there already" in done.stderr
    assert (tmp_path / "0.jpg").read_bytes() == (scenes / "1.png").read_bytes()
