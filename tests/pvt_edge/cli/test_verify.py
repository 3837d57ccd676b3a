"""`pvt-edge verify`, run as users run it: the exit code is the gate."""

import json
import shutil

import cv2
import pytest

from pvt_edge.scenes import draw_scene


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    for i in range(2):
        cv2.imwrite(str(folder / f"scene_{i}.png"), draw_scene(8_100 + i).image)
    return folder


def test_all_artifacts_of_a_sound_bundle(pvt_edge_command, cells_bundle, scenes, tmp_path):
    out = tmp_path / "proof"
    done = pvt_edge_command("verify", str(cells_bundle), "--images", str(scenes), "--out", str(out), "--json", "-")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["within"] is True
    assert report["reference"]["artifact"] == "onnxruntime fp32"
    assert [len(row["pictures"]) for row in report["artifacts"]] == [2] * len(report["artifacts"])
    assert "Within tolerance against onnxruntime fp32 on 2 pictures: " in done.stderr
    assert sorted(path.name for path in out.iterdir()) == ["contact_sheet.jpg", "report.json", "report.md"]
    del report["folder"]
    assert json.loads((out / "report.json").read_text()).items() >= report.items()


def test_outside_tolerance_is_exit_1_and_a_line_says_why(pvt_edge_command, cells_bundle, scenes, tmp_path):
    done = pvt_edge_command(
        *("verify", str(cells_bundle), "--images", str(scenes / "*.png"), "--artifact", "openvino:int8"),
        *("--max-box-px", "0.001", "--out", str(tmp_path / "proof")),
    )
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("pvt-edge: outside tolerance: openvino int8: box drift 0.")
    assert "above the most allowed, 0.001; worst on scene_" in line
    assert "Outside tolerance against onnxruntime fp32 on 2 pictures: openvino int8." in done.stdout
    assert "outside" in done.stdout


def test_no_sheet_is_told_of_where_nothing_was_compared(pvt_edge_command, cells_bundle, scenes, tmp_path):
    copy, out = tmp_path / "b0", tmp_path / "proof"
    shutil.copytree(cells_bundle, copy)
    (copy / "model.int8.onnx").write_bytes(b"no model")
    arguments = ("--images", str(scenes), "--artifact", "onnxruntime:int8", "--out", str(out))
    done = pvt_edge_command("verify", str(copy), *arguments)
    assert done.returncode == 1
    assert "Failed before it could be compared with onnxruntime fp32: onnxruntime int8." in done.stdout
    assert f"wrote {out}/report.md and .json\n" in done.stdout
    assert sorted(path.name for path in out.iterdir()) == ["report.json", "report.md"]


def test_the_report_lies_beside_the_bundle_by_default(pvt_edge_command, cells_bundle, scenes, tmp_path):
    (tmp_path / "b0").symlink_to(cells_bundle)  # the bundle's own folder is shared with other tests
    arguments = ("--images", str(scenes), "--artifact", "openvino:fp32", "--limit", "1")
    done = pvt_edge_command("verify", str(tmp_path / "b0"), *arguments)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "b0-verify" / "report.md").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ((), 2, "--images"),
        (("--images", "nowhere"), 1, "there is no nowhere"),
        (("--images", "{scenes}", "--artifact", "openvion"), 1, "did you mean 'openvino'"),
        (("--images", "{scenes}", "--min-f1", "2"), 2, "--min-f1"),
        (("--images", "{scenes}", "--seed", "-1"), 2, "--seed"),
        (("--images", "{scenes}", "--json", "{out}/x.json"), 1, "which is replaced whole"),
        (("--images", "{scenes}", "--json", "nowhere/x.json"), 1, "choose another place with --json"),
        (("--images", "{scenes}", "--min-top1", "0.9"), 1, "min_top1 does not judge a detect bundle"),
        (("--images", "{scenes}", "--against", "nowhere"), 1, "no bundle at"),
    ],
)
def test_wrong_use(pvt_edge_command, cells_bundle, scenes, tmp_path, arguments, code, told):
    given = [argument.format(scenes=scenes, out=tmp_path / "proof") for argument in arguments]
    done = pvt_edge_command("verify", str(cells_bundle), *given, "--out", str(tmp_path / "proof"))
    assert done.returncode == code
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "proof").exists()
