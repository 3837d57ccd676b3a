"""`pvt-edge benchmark` run as users run it."""

import json
import shutil
import subprocess

import pytest

from pvt_edge.benchmarks.against import read_baseline
from pvt_edge.benchmarks.folder import check_folder
from pvt_edge.runtimes import missing
from pvt_edge.scenes import write_scenes
from pvt_edge.weights import get_bundled

pytestmark = pytest.mark.skipif(
    bool(missing("openvino") or missing("onnxruntime")), reason="OpenVINO and ONNX Runtime are not both installed"
)
QUICK = ("--duration", "0.3", "--warmup", "0")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Two scenes: those that are drawn by default take seconds."""
    return write_scenes(tmp_path_factory.mktemp("pictures"), 2, seed=9).parent / "images"


@pytest.fixture(scope="module")
def run(pvt_edge_script, cells_bundle, pictures, tmp_path_factory):
    """A whole run of two runtimes in int8: what it printed, and its folder."""
    out = tmp_path_factory.mktemp("benchmark") / "run [small]"  # as markup it would be gone
    command = [
        *(pvt_edge_script, "benchmark", cells_bundle, "--runtime", "openvino,onnxruntime,tensorrt"),
        *("--precision", "int8", "--percentile", "50,99", "--out", out, "--json", "-"),
        *("--images", pictures, *QUICK),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done, out


def test_what_is_written(run):
    done, out = run
    benchmark = read_baseline(out / "benchmark.json")
    assert benchmark.model_dump(mode="json") == json.loads(done.stdout)
    rows = {row.name: row for row in benchmark.rows}
    assert list(rows) == ["openvino int8", "onnxruntime int8", "tensorrt"]
    assert rows["tensorrt"].status == "absent"
    for row in benchmark.measured:
        assert list(row.inference.percentiles) == ["50", "99"]
        assert row.cold_start.peak_rss_mib > row.cold_start.idle_rss_mib
        assert row.floor.bound in ("arithmetic", "memory")
    assert sum(rows["openvino int8"].layers_ms.values()) > 0
    assert benchmark.peaks.tera_operations["int8"] > 0
    assert benchmark.command.startswith("pvt-edge benchmark ")
    assert benchmark.command.endswith("--duration 0.3 --warmup 0")
    assert benchmark.timer.share_of_2_ms < 0.01
    assert {path.name for path in (out / "plots").iterdir()} == {"latency.png", "accuracy.png", "layers.png"}
    samples = json.loads((out / "samples.json").read_text())
    assert len(samples["openvino int8"]["infer"]) == rows["openvino int8"].inference.calls


def test_what_is_said(run):
    done, out = run
    for words in (
        "2 rows, about ",
        "inference alone, ms",
        "from JPEG to result",
        "openvino int8",
        "tensorrt not run: ",
        "Roofline: ",
        "Noise: ",
    ):
        assert words in done.stderr
    assert f"wrote {out}" in done.stderr
    assert f"--against '{out / 'benchmark.json'}'" in done.stderr
    assert "# Benchmark of PVT-v2 b0, detect, 480x640" in (out / "benchmark.md").read_text()


def test_against_a_run_whose_ratios_differ(run, pvt_edge_command, cells_bundle, pictures, tmp_path):
    baseline = json.loads((run[1] / "benchmark.json").read_text())
    baseline["rows"][0]["inference"]["p50"] /= 40  # far beyond what a busy machine does
    path = tmp_path / "baseline.json"
    path.write_text(json.dumps(baseline))
    arguments = ("benchmark", str(cells_bundle), "--runtime", "openvino,onnxruntime", "--precision", "int8", *QUICK)
    quick = ("--no-cold-start", "--images", str(pictures), "--out", str(tmp_path / "again"))
    done = pvt_edge_command(*arguments, *quick, "--against", str(path), "--max-ratio", "10")
    assert done.returncode == 1, done.stderr
    assert "ratios of 2 rows, within 10x: NOT as recorded" in done.stdout
    assert "moved: openvino int8: " in done.stdout
    assert "x slower)" in done.stdout
    assert (tmp_path / "again" / "benchmark.json").is_file()


@pytest.mark.parametrize(
    ("edit", "words"),
    [({"hint": "throughput"}, "of another hint: throughput"), ({"height": 96}, "of another input: 96x640")],
    ids=["hint", "size"],
)
def test_against_another_kind_of_run_is_refused_first(run, pvt_edge_command, cells_bundle, tmp_path, edit, words):
    baseline = json.loads((run[1] / "benchmark.json").read_text())
    for part in ("model", "settings"):
        baseline[part].update({name: value for name, value in edit.items() if name in baseline[part]})
    path = tmp_path / "baseline.json"
    path.write_text(json.dumps(baseline))
    out = tmp_path / "again"
    done = pvt_edge_command("benchmark", str(cells_bundle), "--against", str(path), "--out", str(out))
    assert done.returncode == 1
    assert words in done.stderr
    assert "cold start" not in done.stdout
    assert not out.exists()


USAGE = {
    "nothing": ((), "give one of: a bundle's folder, --variant, --variants"),
    "two things": (("out/b0", "--variant", "b0"), "give one of"),
    "no end": (("b", "--duration", "inf"), "inf seconds measure nothing"),
    "no number": (("b", "--duration", "nan"), "nan seconds measure nothing"),
    "warm-up": (("b", "--warmup", "inf"), "inf seconds never end"),
    "no ratio": (("b", "--max-ratio", "nan"), "nan allows nothing"),
    "batches of a study": (("--variants", "b0", "--batch", "2"), "not for the study"),
    "no variants": (("--variants", ","), "name at least one"),
    "no time": (("b", "--duration", "0"), "0 seconds measure nothing"),
    "percentile": (("b", "--percentile", "50,101"), "is no list of percentiles from 0 to 100"),
    "no percentile": (("b", "--percentile", "p50"), "is no list of percentiles"),
    "batch": (("b", "--batch", "1,0"), "is no list of batches"),
    "hint": (("b", "--hint", "speed"), "neither latency nor throughput"),
    "streams": (("b", "--streams", "2"), "streams are for --hint throughput"),
    "ratio": (("b", "--max-ratio", "1"), "allows nothing"),
    "size of a bundle": (("b", "--imgsz", "640"), "a bundle says that itself"),
    "labels of a study": (("--variants", "b0", "--data", "x.json"), "not for the study"),
    "against a study": (("--variants", "b0", "--against", "x"), "not for the study"),
    "weights of a study": (("--variants", "b0", "--weights", "cells"), "a study is of random weights"),
}


@pytest.mark.parametrize(("arguments", "words"), USAGE.values(), ids=USAGE)
def test_wrong_usage(pvt_edge_command, arguments, words):
    done = pvt_edge_command("benchmark", *arguments)
    assert done.returncode == 2, done.stderr
    assert words in " ".join(done.stderr.replace("│", " ").split())


ERRORS = {
    "no bundle": (("absent",), "no bundle at"),
    "runtime": (("BUNDLE", "--runtime", "openvinno"), "unknown runtime 'openvinno': did you mean 'openvino'"),
    "compare": (("BUNDLE", "--compare", "stock,vit-x"), "unknown model to compare with 'vit-x': did you mean 'vit-s'"),
    "a classifier beside a detector": (("BUNDLE", "--compare", "deit-s"), "nothing to compare detect with"),
    "a classifier beside detectors": (
        ("--variants", "b0", "--task", "detect", "--compare", "deit-s"),
        "nothing to compare detect with",
    ),
    "precision": (("BUNDLE", "--precision", "int7"), "unknown precision 'int7': did you mean 'int8'"),
    "nothing runs": (("BUNDLE", "--runtime", "tensorrt"), "nothing here to benchmark: tensorrt: "),
    "batch": (("BUNDLE", "--runtime", "openvino", "--batch", "4"), "export with --batch 4, or with --dynamic-batch"),
    "pictures": (("BUNDLE", "--images", "absent"), "there is no absent; "),
    "json": (("BUNDLE", "--json", "absent/x.json"), "is in no folder that exists: choose another place with --json"),
    "labels": (("BUNDLE", "--data", "absent.json"), "absent.json"),
    "baseline": (("BUNDLE", "--against", "absent.json"), "cannot read the baseline absent.json"),
    "variant": (("--variants", "b0,b9"), "unknown variant 'b9'"),
    "size": (("--variants", "b0", "--imgsz", "224,100"), "is not a multiple of 32"),
    "weights": (("--variant", "b2"), "no weights come with the package for b2"),
}


@pytest.mark.parametrize(("arguments", "words"), ERRORS.values(), ids=ERRORS)
def test_errors(pvt_edge_command, cells_bundle, arguments, words, tmp_path):
    given = [str(cells_bundle) if argument == "BUNDLE" else argument for argument in arguments]
    done = pvt_edge_command("benchmark", *given)
    assert done.returncode == 1, done.stdout
    (line,) = done.stderr.splitlines()[-1:]
    assert line.startswith("pvt-edge: error: ")
    assert words in line
    assert not (tmp_path / "cwd" / "out").exists()


@pytest.mark.parametrize("arguments", [("BUNDLE",), ("--variant", "b0"), ("--variants", "b0")], ids=" ".join)
def test_a_default_place_that_cannot_be_written_is_told_first(pvt_edge_command, cells_bundle, tmp_path, arguments):
    (tmp_path / "cwd").mkdir()
    (tmp_path / "cwd" / "out").touch()
    given = [str(cells_bundle) if argument == "BUNDLE" else argument for argument in arguments]
    done = pvt_edge_command("benchmark", *given, *QUICK, "--quick")
    assert done.returncode == 1
    assert "cannot write out/benchmark-" in done.stderr
    assert "choose another place with --out" in done.stderr
    assert done.stdout == ""


def test_an_empty_bundle(pvt_edge_command, cells_bundle, tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    manifest = json.loads((cells_bundle / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**manifest, "artifacts": []}))
    done = pvt_edge_command("benchmark", str(folder), "--runtime", "openvino,onnxruntime")
    assert done.returncode == 1
    assert "nothing here to benchmark: openvino: not in the bundle: export with --format openvino" in done.stderr


def test_a_broken_file_is_its_rows_end_alone(pvt_edge_command, cells_bundle, pictures, tmp_path):
    folder = tmp_path / "b0"
    shutil.copytree(cells_bundle, folder)
    (folder / "model.int8.onnx").write_bytes(b"nothing")
    out = tmp_path / "run"
    done = pvt_edge_command(
        *("benchmark", str(folder), "--runtime", "openvino,onnxruntime", "--precision", "int8", *QUICK),
        *("--no-cold-start", "--images", str(pictures), "--out", str(out)),
    )
    assert done.returncode == 0, done.stderr
    assert "onnxruntime int8 FAILED: " in done.stdout
    assert "was edited" in done.stdout
    assert [row.name for row in read_baseline(out / "benchmark.json").measured] == ["openvino int8"]


def test_the_study_of_a_variant(pvt_edge_command, tmp_path):
    if missing("torch") is not None:
        pytest.skip("torch is not installed")
    pytest.importorskip("transformers", reason="transformers is not installed")
    out = tmp_path / "study"
    done = pvt_edge_command(
        *("benchmark", "--variants", "b0,B0", "--imgsz", "64,64", "--runtime", "openvino", "--precision", "fp32"),
        *("--compare", "resnet-18,swin-t", "--duration", "0.05", "--out", str(out), "--json", "-"),
    )
    assert done.returncode == 0, done.stderr
    study = json.loads((out / "study.json").read_text())
    assert study == json.loads(done.stdout)
    b0, resnet, swin = study["entries"]
    assert [(e["variant"], e["height"], e["width"]) for e in (b0, resnet)] == [("b0", 64, 64), ("resnet-18", 64, 64)]
    assert b0["model"]["macs"] == pytest.approx(0.57e9 * (64 / 224) ** 2, rel=0.1)
    assert b0["model"]["parameters"] == 3_666_760
    assert resnet["compared"]["macs"] == pytest.approx(1.82e9 * (64 / 224) ** 2, rel=0.02)
    assert resnet["compared"]["parameters"] == 11_689_512
    assert [row["name"] for row in resnet["rows"]] == ["resnet-18 openvino fp32"]
    assert "needs an input of 224" in swin["reason"]
    assert all(row["inference"]["calls"] >= 5 for entry in (b0, resnet) for row in entry["rows"])
    assert study["weights"] == "random"
    check_folder(out, "study.json")  # may be written over
    text = (out / "study.md").read_text()
    assert "| variant | input | M params | G MACs | top-1 | MiB fp32 | MiB int8 | openvino fp32 |" in text
    assert "weights random: they do not change the time" in text
    assert "swin-t 64x64 not run: " in text


def test_a_study_of_another_head_and_one_of_nothing(pvt_edge_command, tmp_path):
    if missing("torch") is not None:
        pytest.skip("torch is not installed")
    options = ("--task", "detect", "--head", "lite", "--imgsz", "64", "--precision", "fp32", "--duration", "0.05")
    study = ("benchmark", "--variants", "b0", *options)
    done = pvt_edge_command(*study, "--runtime", "openvino", "--out", str(tmp_path / "study"), "--json", "-")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["entries"][0]["model"]["parameters"] < 4e6  # RetinaNet's own has 13 M
    done = pvt_edge_command(*study, "--runtime", "tensorrt", "--out", str(tmp_path / "nothing"))
    assert done.returncode == 1
    assert "b0 64x64 FAILED: nothing here to benchmark: tensorrt" in done.stdout


def test_weights_of_the_folder_one_stands_in(pvt_edge_command, cells_bundle, pictures, tmp_path):
    if missing("torch") is not None:
        pytest.skip("torch is not installed")
    here = tmp_path / "cwd"
    here.mkdir(exist_ok=True)
    shutil.copy(get_bundled("cells").path, here / "mine.safetensors")
    done = pvt_edge_command(
        *("benchmark", str(cells_bundle), "--runtime", "torch", "--weights", "mine.safetensors", *QUICK),
        *("--images", str(pictures), "--out", str(tmp_path / "run")),
    )
    assert done.returncode == 0, done.stderr
    assert [row.name for row in read_baseline(tmp_path / "run" / "benchmark.json").measured] == ["torch fp32"]
