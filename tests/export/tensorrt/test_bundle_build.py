"""Exports for TensorRT and `pvt-edge build`, whole: the command, the bundle, and its refusals."""

import json
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest

import pvt_edge
from pvt_edge.bundle import read_bundle
from pvt_edge.engines.bundle_build import build_bundle
from pvt_edge.errors import BundleError, ExportError, RuntimeMissingError
from pvt_edge.options.build import BuildOptions
from pvt_edge.runtimes import cuda
from pvt_edge.runtimes.onnx_file import read_onnx

from ..made import build as build_model


def has_gpu() -> bool:
    try:
        cuda.probe_cuda()
    except RuntimeMissingError:
        return False
    return True


without_gpu = pytest.mark.skipif(has_gpu(), reason="there is a GPU here, and engines are built")


@pytest.fixture(scope="module")
def exported(tmp_path_factory, lite):
    """A bundle with graphs for TensorRT, by export_model; nothing in it is for the CPU's INT8."""
    out = tmp_path_factory.mktemp("exported") / "b0"
    pictures = tmp_path_factory.mktemp("pictures")
    from pvt_edge.scenes import write_scenes

    write_scenes(pictures, 16, seed=5)
    pvt_edge.export_model(
        lite,
        out,
        formats=("onnx", "tensorrt"),
        precisions=("fp32", "fp16", "int8"),
        imgsz=(64, 96),
        calib=pictures / "images",
        tune=False,
        labels=tuple(f"class_{i}" for i in range(lite.num_classes)),
    )
    return out


@pytest.fixture
def bundle(exported, tmp_path):
    """A copy to build in."""
    return shutil.copytree(exported, tmp_path / "b0")


def test_the_bundle(exported):
    manifest = read_bundle(exported).manifest
    held = {artifact.file: artifact for artifact in manifest.artifacts if artifact.runtime == "onnxruntime"}
    assert set(held) == {"model.fp32.onnx", "model.fp16.onnx", "model.int8.onnx"}
    assert {p: read_onnx(exported / f"model.{p}.onnx").precision for p in ("fp32", "fp16", "int8")} == {
        "fp32": "fp32",
        "fp16": "fp16",
        "int8": "int8",
    }
    assert manifest.tensorrt.graphs == {"fp16": "model.fp16.onnx", "int8": "model.int8.onnx"}
    plan = manifest.tensorrt.precision_plan
    assert plan["stages.0.blocks.0.attn.q"] == plan["stages.0.blocks.0.attn.sr"] == "int8"
    assert plan["stages.0.blocks.0.attn.products"] == plan["stages.0.blocks.0.mlp.dwconv"] == "float"
    assert manifest.precision_plan is None  # no search for the CPU was asked for


def test_its_report(exported):
    report = json.loads((exported / "report.json").read_text())
    assert report["search"] is None
    assert [trial["name"] for trial in report["tensorrt"]["trials"]][:2] == ["fp16", "int8"]
    ranges = report["tensorrt"]["audit"]["ranges"]
    assert {row["kind"] for row in ranges} == {"norm", "softmax", "residual", "reduction", "other"}
    text = (exported / "report.md").read_text()
    for heading in ("## Graphs for TensorRT", "## Overflow audit", "## Calibration", "## Artifacts"):
        assert heading in text
    assert "Pinned to float32: none." in text


def test_its_graphs_run_on_the_cpu(exported):
    image = np.full((64, 96, 3), 120, np.uint8)
    scores = {}
    for precision in ("fp32", "fp16", "int8"):
        with pvt_edge.load(exported, "onnxruntime", precision=precision) as predictor:
            scores[precision] = predictor.runtime.infer({"images": image[None]})["scores"]
    assert np.abs(np.sort(scores["fp16"]) - np.sort(scores["fp32"])).max() < 0.01
    assert np.abs(np.sort(scores["int8"]) - np.sort(scores["fp32"])).max() < 0.2


def test_build_for_other_gpus(bundle):
    told = []
    built = build_bundle(
        bundle, library="tensorrt-rtx", options=BuildOptions(target=("sm86", "sm89")), on_step=told.append
    )
    engines = {a.file: a for a in built.manifest.artifacts if a.runtime == "tensorrt-rtx"}
    assert set(engines) == {"tensorrt-rtx/fp16.engine", "tensorrt-rtx/int8.engine"}
    for precision in ("fp16", "int8"):
        passport = engines[f"tensorrt-rtx/{precision}.engine"].passport
        source = built.artifact("onnxruntime", precision)
        assert passport["source_sha256"] == source.sha256
        assert passport["target"] == "sm86,sm89"
        assert passport["library"] == "tensorrt-rtx"
        assert passport["precision"] == precision
        assert all(isinstance(value, str) for value in passport.values())
    assert (bundle / "report.md").is_file()
    assert read_bundle(bundle).manifest == built.manifest
    assert told[0] == "building tensorrt-rtx fp16"

    told.clear()
    before = {path: path.stat().st_mtime_ns for path in bundle.rglob("*")}
    build_bundle(bundle, library="tensorrt-rtx", options=BuildOptions(target=("sm86", "sm89")), on_step=told.append)
    assert told == ["every engine is there and fits this machine; --rebuild builds them again"]
    assert {path: path.stat().st_mtime_ns for path in bundle.rglob("*")} == before
    build_bundle(bundle, library="tensorrt-rtx", options=BuildOptions(target=("sm120",)), on_step=told.append)
    passports = [a.passport for a in read_bundle(bundle).manifest.artifacts if a.passport]
    assert [passport["target"] for passport in passports] == ["sm120", "sm120"]


def test_a_build_that_fails_leaves_the_bundle(bundle):
    (bundle / "model.int8.onnx").write_bytes(b"broken")
    before = sorted(path.name for path in bundle.rglob("*"))
    with pytest.raises(BundleError, match=r"model\.int8\.onnx was edited"):
        build_bundle(bundle, library="tensorrt-rtx", options=BuildOptions(target=("sm86",)))
    assert sorted(path.name for path in bundle.rglob("*")) == before
    assert [path.name for path in bundle.parent.iterdir()] == ["b0"]


def test_an_interrupted_build_leaves_the_bundle(bundle):
    before = (bundle / "model.json").read_bytes()

    def interrupt(text):
        if "int8" in text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_bundle(bundle, library="tensorrt-rtx", options=BuildOptions(target=("sm86",)), on_step=interrupt)
    assert (bundle / "model.json").read_bytes() == before
    assert not (bundle / "tensorrt-rtx").exists()
    assert [path.name for path in bundle.parent.iterdir()] == ["b0"]


@without_gpu
def test_without_a_gpu(bundle):
    with pytest.raises(RuntimeMissingError, match="there is no NVIDIA driver here: install NVIDIA's driver"):
        build_bundle(bundle)
    with pytest.raises(ExportError, match=r"must be told for which: give --target, such as sm86,sm89,sm120"):
        build_bundle(bundle, library="tensorrt-rtx")
    with pytest.raises(RuntimeMissingError):
        pvt_edge.load(bundle, "tensorrt-rtx") if (bundle / "tensorrt-rtx").exists() else build_bundle(bundle)


@without_gpu
def test_auto_takes_the_cpu_where_there_is_no_gpu(bundle):
    build_bundle(bundle, library="tensorrt-rtx", options=BuildOptions(target=("sm86",)))
    with pvt_edge.load(bundle) as predictor:
        assert predictor.runtime.name == "onnxruntime"
    with pytest.raises(RuntimeMissingError, match="there is no NVIDIA driver here"):
        pvt_edge.load(bundle, "tensorrt-rtx", precision="fp16")


def test_a_bundle_without_graphs(tmp_path):
    model = build_model("classify", "b0", classes=3)
    pvt_edge.export_model(model, tmp_path / "plain", formats=("onnx",), imgsz=(64, 64))
    with pytest.raises(BundleError, match=r"has no graph for TensorRT: export again with --format onnx,tensorrt"):
        build_bundle(tmp_path / "plain", library="tensorrt-rtx", options=BuildOptions(target=("sm86",)))


def test_dynamic_batch(tmp_path):
    model = build_model("classify", "b0", classes=3)
    bundle = pvt_edge.export_model(
        model,
        tmp_path / "any",
        formats=("tensorrt-rtx",),
        precisions=("fp16",),
        imgsz=(64, 64),
        dynamic_batch=True,
        engine=BuildOptions(target=("sm86",), batches=(1, 2, 8)),
    )
    (engine,) = [artifact for artifact in bundle.manifest.artifacts if artifact.runtime == "tensorrt-rtx"]
    assert engine.passport["profile"] == "1/2/8"


@pytest.mark.parametrize(
    ("formats", "precisions", "told"),
    [
        (("openvino",), ("fp32", "fp16"), "float16 is a precision of ONNX and TensorRT"),
        (("tensorrt",), ("fp32",), "TensorRT engines are built in float16 or INT8"),
        (("tensorrt-rtx",), ("fp16",), "give --target"),
    ],
)
@without_gpu
def test_what_cannot_be_asked_for(tmp_path, formats, precisions, told):
    model = build_model("classify", "b0", classes=3)
    with pytest.raises(ExportError, match=told):
        pvt_edge.export_model(model, tmp_path / "o", formats=formats, precisions=precisions, imgsz=(64, 64))
    assert not (tmp_path / "o").exists()


@without_gpu
@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("build", "BUNDLE"), 1, "there is no NVIDIA driver here"),
        (("build", "BUNDLE", "--format", "tensorrt-rtx", "--target", "sm87"), 1, "cannot build for 'sm87'"),
        (("build", "BUNDLE", "--format", "tensort"), 1, "unknown library 'tensort': did you mean 'tensorrt'"),
        (("build", "BUNDLE", "--hardware-compat", "amper"), 1, "did you mean 'ampere+'"),
        (("export", "--variant", "b0", "--format", "tensorrt", "--hardware-compat", "all"), 1, "unknown hardware"),
        (("build", "BUNDLE", "--batch", "4"), 2, "lowest,best,highest"),
        (("build", "BUNDLE", "--batch", "4,x"), 2, "is no batch"),
        (("build", "nothing"), 1, "no bundle at"),
        (("export", "--variant", "b0", "--batch", "1,2,4"), 2, "is for --dynamic-batch"),
        (("export", "--variant", "b0", "--format", "tensorrt-rtx"), 1, "give --target"),
    ],
)
def test_commands_that_are_refused(pvt_edge_command, bundle, arguments, code, told):
    done = pvt_edge_command(*(str(bundle) if part == "BUNDLE" else part for part in arguments))
    assert done.returncode == code
    assert told in " ".join(done.stderr.replace("│", " ").split())
    if code == 1:
        assert len(done.stderr.splitlines()) == 1


def test_the_command_builds(pvt_edge_command, bundle, tmp_path):
    bundle = bundle.rename(tmp_path / "b0 [small]")  # as markup it would be gone
    report = tmp_path / "report.json"
    done = pvt_edge_command(
        "build", str(bundle), "--format", "tensorrt-rtx", "--target", "sm86", "--json", str(report)
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "tensorrt-rtx/int8.engine" in done.stdout
    assert f"wrote {bundle} in " in done.stdout
    assert f"next: pvt-edge predict {shlex.quote(str(bundle))}" in done.stdout
    assert len(done.stdout.splitlines()) < 20
    assert json.loads(report.read_text())["manifest"]["artifacts"]


def test_a_build_needs_neither_torch_nor_onnx(bundle):
    script = (
        "import sys\n"
        "for name in ('torch', 'onnx', 'onnxruntime', 'openvino', 'cv2', 'onnxsim'): sys.modules[name] = None\n"
        "from pvt_edge.engines.bundle_build import build_bundle\n"
        "from pvt_edge.options.build import BuildOptions\n"
        f"build_bundle({str(bundle)!r}, library='tensorrt-rtx', options=BuildOptions(target=('sm86',)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd="/", check=False)
    assert done.returncode == 0, done.stderr[-800:]
    assert (bundle / "tensorrt-rtx" / "int8.engine").is_file()
