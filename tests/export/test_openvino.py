"""OpenVINO's fp32 file against the model, and that its CPU plugin fuses what the exporter arranged for it."""

from collections import Counter

import numpy as np
import pytest

from pvt_edge.errors import ExportError
from pvt_edge.export.agreement import check_parity
from pvt_edge.export.openvino import own_biases, read_model, save_ir
from pvt_edge.runtimes import open_runtime
from pvt_edge.runtimes.openvino import openvino_core

from .made import reference_outputs

openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed")

LEVELS, TOWERS = 3, 2 * 2  # of the lite head: two convolutions for classes, two for boxes
OUTPUTS = ("head.cls_out", "head.reg_out")
NORMS = 4 + 2 * 8 + 6 + 4  # patch embeds, two a block, reductions, stages


@pytest.fixture(scope="module")
def model(lite_openvino):
    """The detector as OpenVINO reads it, each bias its own; clone it, do not change it."""
    model = read_model(lite_openvino)
    own_biases(model)
    return model


@pytest.fixture(scope="module")
def fp32(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("ir") / "openvino" / "fp32.xml"
    weights = save_ir(model, path)
    assert weights == path.with_suffix(".bin")
    return path


def compiled(model) -> "openvino.CompiledModel":
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    return openvino_core().compile_model(model, "CPU", options)


def executed(model) -> list[tuple[str, list[str]]]:
    """(kind, names of the model's operations in it) of every layer the CPU plugin runs."""
    layers = []
    for op in compiled(model).get_runtime_model().get_ordered_ops():
        told = op.get_rt_info()
        if (kind := told["layerType"].astype(str)) != "Const":
            layers.append((kind, told["originalLayersNames"].astype(str).split(",")))
    return layers


def holders(layers: list[tuple[str, list[str]]], operation: str) -> list[str]:
    """The kinds of the layers that hold an operation."""
    return [kind for kind, names in layers if operation in names]


def test_fp32_gives_the_models_answers(fp32, lite_graph, scenes):
    expected = reference_outputs(lite_graph, scenes)
    with open_runtime("openvino", fp32, precision="fp32", threads=1) as runtime:
        assert (runtime.precision, runtime.float_precision) == ("fp32", "fp32")
        assert check_parity(runtime, "images", scenes, expected, "detect")
        for image, wanted in zip(scenes, expected, strict=True):
            found = runtime.infer({"images": image})
            assert [*found] == ["boxes", "scores", "labels"]
            for name in ("boxes", "scores"):
                gap = abs(found[name] - wanted[name]).max() / abs(wanted[name]).max()
                assert gap < 1e-4, name
            assert (found["labels"] == wanted["labels"]).all()


def test_fp32_weights_stay_fp32(fp32, lite_graph):
    weights = sum(parameter.numel() for parameter in lite_graph.parameters()) * 4
    assert fp32.with_suffix(".bin").stat().st_size > 0.9 * weights


def test_every_bias_runs_within_its_convolution(model, lite_openvino):
    shared, own = executed(read_model(lite_openvino)), executed(model)
    for level in range(LEVELS):
        for block in OUTPUTS:
            assert holders(own, f"{block}#{level}") == ["Convolution"]
            assert holders(shared, f"{block}#{level}") != ["Convolution"]  # why own_biases is there
    convolutions = [names for kind, names in own if kind == "Convolution" and names[0].startswith("head.")]
    assert len(convolutions) == LEVELS * (TOWERS + len(OUTPUTS))


def test_own_biases_change_no_answer(model, lite_openvino, scenes):
    before, after = compiled(read_model(lite_openvino)), compiled(model)
    for image in scenes:
        for wanted, found in zip(before([image]).values(), after([image]).values(), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-4)
            assert wanted.std() > 0.01


def test_own_biases_leave_the_names(model, lite_openvino):
    def names(of) -> Counter[str]:
        return Counter(op.get_friendly_name() for op in of.get_ops() if "#" in op.get_friendly_name())

    assert names(model) == names(read_model(lite_openvino))
    assert len(names(model)) > 60


def test_every_norm_runs_as_one_rms(model):
    kinds = Counter(kind for kind, _ in executed(model))
    assert kinds["RMS"] == NORMS
    assert kinds["MVN"] == 0


def test_a_file_that_is_no_model(tmp_path):
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(ExportError, match=r"OpenVINO cannot read broken\.onnx"):
        read_model(path)
