"""Which rows a bundle has, and what is said of those that it has not."""

import json
import shutil

import pytest

from pvt_edge.benchmarks.opening import TorchModel
from pvt_edge.benchmarks.rows import Choice, check_any, find_torch_model, plan_rows, row_name
from pvt_edge.bundle import read_bundle
from pvt_edge.bundle.schema import PostprocessSpec
from pvt_edge.errors import RuntimeMissingError, UnknownNameError
from pvt_edge.runtimes import missing
from pvt_edge.runtimes.openvino import OpenVinoRuntime

pytestmark = pytest.mark.skipif(missing("openvino") is not None, reason="OpenVINO is not installed")
CELLS = TorchModel("b0", "detect", "cells")


@pytest.fixture
def changed(cells_bundle, tmp_path):
    """Makes a copy of the bundle whose model.json says other things."""

    def make(**changes):
        folder = tmp_path / "bundle"
        shutil.copytree(cells_bundle, folder)
        manifest = json.loads((folder / "model.json").read_text())
        (folder / "model.json").write_text(json.dumps({**manifest, **changes}))
        return read_bundle(folder)

    return make


def test_an_empty_bundle_has_reasons_only(changed):
    bundle = changed(artifacts=[], accuracy=None)
    plans = plan_rows(bundle, Choice(), "no weights")
    assert all(plan.opening is None and plan.row.reason for plan in plans)
    reasons = {plan.name: plan.row.reason for plan in plans}
    assert reasons["torch fp32"] == "no weights"
    assert reasons["openvino"] == "not in the bundle: export with --format openvino"
    with pytest.raises(RuntimeMissingError, match=r"nothing here to benchmark: torch fp32: no weights; onnxruntime: "):
        check_any(plans)


def test_cells(cells_bundle):
    plans = {plan.name: plan for plan in plan_rows(read_bundle(cells_bundle), Choice(), CELLS)}
    rounded = [f"openvino {precision}" for precision in OpenVinoRuntime.float_precisions("auto")]
    live = [name for name, plan in plans.items() if plan.opening]
    assert [name for name in live if name.startswith(("torch", "onnx", "openvino"))] == [
        *("torch fp32", "onnxruntime fp32", "onnxruntime int8", "openvino fp32"),
        *rounded,
        "openvino int8",
    ]
    int8 = plans["openvino int8"]
    assert int8.opening.path == str(cells_bundle / "openvino" / "int8.xml")
    assert int8.row.model_bytes == sum(
        (cells_bundle / "openvino" / f"int8.{end}").stat().st_size for end in ("xml", "bin")
    )
    assert int8.row.accuracy["AP"] > 0.5
    assert plans["onnxruntime fp32"].row.accuracy != int8.row.accuracy
    if "openvino bf16" in rounded:
        assert plans["openvino bf16"].opening.path == plans["openvino fp32"].opening.path
        assert plans["openvino bf16"].row.accuracy is None  # nobody measured it


def test_opencv_reads_the_fp32_file_of_onnx_runtime(cells_bundle):
    if missing("opencv") is not None:
        pytest.skip("OpenCV is not installed")
    (plan,) = plan_rows(read_bundle(cells_bundle), Choice(runtimes=("opencv",)), CELLS)
    assert (plan.name, plan.opening.path) == ("opencv fp32", str(cells_bundle / "model.fp32.onnx"))


def test_what_is_chosen_is_all_there_is(cells_bundle):
    choice = Choice(runtimes=("onnxruntime", "openvino"), precisions=("int8",))
    names = [plan.name for plan in plan_rows(read_bundle(cells_bundle), choice, CELLS)]
    assert names == ["onnxruntime int8", "openvino int8"]


def test_a_static_batch_says_how_to_get_another(cells_bundle):
    choice = Choice(runtimes=("openvino", "torch"), precisions=("fp32",), batches=(1, 4))
    plans = {plan.name: plan for plan in plan_rows(read_bundle(cells_bundle), choice, CELLS)}
    assert list(plans) == ["openvino fp32", "torch fp32", "openvino batch 4", "torch fp32 batch 4"]
    reason = "its files have a static batch of 1: export with --batch 4, or with --dynamic-batch"
    assert plans["openvino batch 4"].row.reason == reason
    assert plans["torch fp32 batch 4"].opening.shape == (4, 480, 640, 3)


def test_an_edited_file_fails_alone(changed):
    bundle = changed()
    with (bundle.folder / "model.int8.onnx").open("ab") as file:
        file.write(b"x")
    plans = {plan.name: plan for plan in plan_rows(bundle, Choice(runtimes=("onnxruntime",)), CELLS)}
    assert plans["onnxruntime fp32"].opening is not None
    failed = plans["onnxruntime int8"]
    assert (failed.opening, failed.row.status) == (None, "failed")
    assert "was edited" in failed.row.reason


def test_names_that_do_not_exist(cells_bundle):
    with pytest.raises(UnknownNameError, match="unknown runtime 'openvin': did you mean 'openvino'"):
        plan_rows(read_bundle(cells_bundle), Choice(runtimes=("openvin",)), CELLS)
    with pytest.raises(UnknownNameError, match="unknown precision 'int4': did you mean 'int8'"):
        plan_rows(read_bundle(cells_bundle), Choice(precisions=("int4",)), CELLS)


def test_engines_are_to_be_built(changed):
    if missing("tensorrt-rtx") is not None:
        pytest.skip("TensorRT-RTX is not installed")
    bundle = changed(tensorrt={"graphs": {"fp16": "model.fp16.onnx"}})
    (plan,) = plan_rows(bundle, Choice(runtimes=("tensorrt-rtx",)), CELLS)
    assert plan.row.reason == f"no engine yet: pvt-edge build {bundle.folder} --format tensorrt-rtx"


def test_the_trained_model_behind_a_bundle(cells_bundle, changed):
    assert find_torch_model(read_bundle(cells_bundle), None) == TorchModel("b0", "detect", "cells")
    manifest = json.loads((cells_bundle / "model.json").read_text())
    bundle = changed(provenance={**manifest["provenance"], "weights": "./mine.pth"})
    assert find_torch_model(bundle, None) == (
        "the bundle holds no torch weights (it was made of ./mine.pth): give them with --weights"
    )
    assert find_torch_model(bundle, "mine.pth", "lite") == TorchModel("b0", "detect", "mine.pth", 3, "lite")


@pytest.mark.parametrize(
    ("task", "post", "count"),
    [("classify", None, 2), ("features", None, None), ("segment", None, 2), ("segment", PostprocessSpec(), 1)],
)
def test_as_many_classes_as_the_model_was_made_with(changed, task, post, count):
    """Of a segmenter of one class model.json names the background, too."""
    one = changed(task=task, labels=["rest", "cell"], postprocess=post and post.model_dump(mode="json"))
    assert find_torch_model(one, "mine.pth").num_classes == count


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (("pvt-edge", "openvino", "", 1), "openvino"),
        (("pvt-edge", "openvino", "int8", 1), "openvino int8"),
        (("stock", "openvino", "int8", 4), "stock openvino int8 batch 4"),
        (("torch", "torch-compile", "fp32", 1), "torch-compile fp32"),
    ],
)
def test_row_name(given, name):
    assert row_name(*given) == name
