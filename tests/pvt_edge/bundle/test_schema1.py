"""A bundle of schema 1, which names its outputs and does not say what they are.

`schema1.json` is a model.json as pvt-edge 0.1.0 wrote it. The artifacts of such an export have 14 MB; here graphs with
the same inputs and outputs stand in for them.
"""

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

import pvt_edge
from pvt_edge.benchmarks.benchmark import run_benchmark
from pvt_edge.benchmarks.options import Options
from pvt_edge.benchmarks.rows import Choice
from pvt_edge.bundle import read_bundle
from pvt_edge.engines.bundle_build import build_bundle
from pvt_edge.options.build import BuildOptions
from pvt_edge.runtimes import missing
from pvt_edge.scenes import draw_scene

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed")
pytestmark = pytest.mark.skipif(missing("onnxruntime") is not None, reason="ONNX Runtime is not installed")

MANIFEST = json.loads(Path(__file__).with_name("schema1.json").read_text(encoding="utf-8"))


def mean_colour(dtype):
    """images uint8 (1, 64, 64, 3) -> logits (1, 3): the mean of each channel, times a weight of `dtype`."""
    from onnx import TensorProto, helper

    kind = {"fp32": TensorProto.FLOAT, "fp16": TensorProto.FLOAT16}[dtype]
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=kind),
        helper.make_node("Mul", ["pixels", "weight"], ["small"]),
        helper.make_node("ReduceMean", ["small", "axes"], ["mean"], keepdims=0),
        helper.make_node("Cast", ["mean"], ["logits"], to=TensorProto.FLOAT),
    ]
    ports = [
        helper.make_tensor_value_info("images", TensorProto.UINT8, (1, 64, 64, 3)),
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, (1, 3)),
    ]
    constants = [
        helper.make_tensor("weight", kind, (), [0.0625]),
        helper.make_tensor("axes", TensorProto.INT64, (2,), [1, 2]),
    ]
    graph = helper.make_graph(nodes, "mean", ports[:1], ports[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@pytest.fixture
def older(tmp_path):
    """The bundle, each file with the hash that model.json has of it."""
    folder = tmp_path / "b0"
    for part in ("openvino", "tensorrt-rtx"):
        (folder / part).mkdir(parents=True)
    for dtype in ("fp32", "fp16"):
        onnx.save(mean_colour(dtype), folder / f"model.{dtype}.onnx")
    ir = openvino.convert_model(folder / "model.fp32.onnx")
    openvino.save_model(ir, folder / "openvino" / "fp32.xml", compress_to_fp16=False)
    (folder / "tensorrt-rtx" / "fp16.engine").write_bytes(b"an engine")
    manifest = json.loads(json.dumps(MANIFEST))
    for artifact in manifest["artifacts"]:
        for record in (artifact, *artifact["companions"]):
            data = (folder / record["file"]).read_bytes()
            record |= {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    (folder / "model.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed in range(3):
        cv2.imwrite(str(folder / f"{seed}.png"), draw_scene(seed, 64, 96).image)
    return folder


def test_its_model_json():
    assert (MANIFEST["schema_version"], MANIFEST["outputs"]) == (1, ["logits"])


def test_it_loads_and_runs(older, pictures):
    bundle = read_bundle(older)
    assert bundle.manifest.output_names == ("logits",)
    answers = []
    for runtime in ("onnxruntime", "openvino", "opencv"):
        with pvt_edge.load(older, runtime, precision="fp32") as predictor:
            assert predictor.runtime.precision == "fp32"
            assert [(spec.dtype, spec.shape) for spec in predictor.runtime.outputs] == [("float32", (1, 3))]
            answers.append([result.probs.data for result in predictor(pictures)])
    np.testing.assert_allclose(answers[1:], answers[:1] * 2, atol=1e-5)
    with pvt_edge.load(older, "onnxruntime", precision="fp16") as predictor:
        assert predictor.runtime.precision == "fp16"  # read from the file


def test_it_is_verified_and_benchmarked(older, pictures):
    assert pvt_edge.verify(older, images=pictures, artifacts=["onnxruntime", "openvino:fp32"])
    options = Options(
        choice=Choice(runtimes=("onnxruntime", "opencv"), precisions=("fp32",)),
        duration_s=0.01,
        warmup_s=0.0,
        least_rounds=2,
        percentiles=(50,),
        roofline=False,
        layers=False,
    )
    found = run_benchmark(read_bundle(older), options, command="pvt-edge benchmark b0")
    assert [row.name for row in found.benchmark.measured] == ["onnxruntime fp32", "opencv fp32"]


def test_engines_are_built_into_it(older):
    pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")
    built = build_bundle(
        older, library="tensorrt-rtx", options=BuildOptions(target=("sm89",)), on_step=lambda text: None
    )
    (engine,) = [artifact for artifact in built.manifest.artifacts if artifact.runtime == "tensorrt-rtx"]
    assert engine.passport["source_sha256"] == built.artifact("onnxruntime", "fp16").sha256
    again = read_bundle(older)
    assert again.manifest == built.manifest
    assert json.loads((older / "model.json").read_text())["schema_version"] == 2
    assert again.manifest.spec("fp32") is None  # building an engine does not tell what the graphs' outputs are
    with pvt_edge.load(older, "opencv", precision="fp32") as predictor:
        assert predictor.runtime.outputs[0].shape == (1, 3)
