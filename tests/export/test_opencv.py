"""The exported graphs in OpenCV's DNN engine: the answers of ONNX Runtime, to float rounding."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from pvt_edge.export.graph import DeployGraph
from pvt_edge.export.onnx import export_onnx
from pvt_edge.runtimes import open_runtime
from pvt_edge.variants import get_variant

from .made import build, pictures

pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
if not hasattr(cv2.dnn, "ENGINE_NEW"):
    pytest.skip(f"this OpenCV is {cv2.__version__}", allow_module_level=True)

# task, variant, classes, head, (height, width), batch; -1 is a dynamic one. One block a stage has every operator.
GRAPHS = {
    "classify": ("classify", "b2-li", 1000, "lite", (64, 96), 1),
    "features": ("features", "b2-li", 3, "lite", (96, 64), 2),
    "detect": ("detect", "b2-li", 3, "lite", (64, 96), 1),
    "retinanet": ("detect", "b0", 80, "retinanet", (64, 64), -1),
}
TOLERANCE = 1e-5  # of the largest value of an output; 2e-6 were seen


@pytest.mark.parametrize("name", GRAPHS)
def test_opencv_agrees_with_onnx_runtime(name, tmp_path):
    task, variant, classes, head, imgsz, batch = GRAPHS[name]
    graph = DeployGraph(build(task, replace(get_variant(variant), depths=(1, 1, 1, 1)), classes, head), imgsz)
    export_onnx(graph, tmp_path / "m.onnx", batch=abs(batch), dynamic_batch=batch == -1)
    with (
        open_runtime("opencv", tmp_path / "m.onnx") as runtime,
        open_runtime("onnxruntime", tmp_path / "m.onnx") as reference,
    ):
        assert runtime.inputs == reference.inputs
        assert runtime.outputs == reference.outputs
        for size in (batch,) if batch > 0 else (1, 3, 2):
            images = np.concatenate(pictures(size, *imgsz))
            found, wanted = runtime.infer({"images": images}), reference.infer({"images": images})
            for row in range(size):
                agree({k: v[row] for k, v in found.items()}, {k: v[row] for k, v in wanted.items()})


def agree(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    """Outputs of one picture; scores fall, so near ties may change places, and candidates are looked up by box."""
    if "boxes" in wanted:
        np.testing.assert_allclose(found["scores"], wanted["scores"], rtol=0, atol=TOLERANCE)
        rows = [nearest(found, *row) for row in zip(wanted["boxes"], wanted["scores"], wanted["labels"], strict=True)]
        found = {name: array[rows] for name, array in found.items()}
    for name, values in wanted.items():
        assert found[name].dtype == values.dtype
        np.testing.assert_allclose(found[name], values, rtol=0, atol=TOLERANCE * np.abs(values).max(), err_msg=name)


def nearest(found: dict[str, np.ndarray], box: np.ndarray, score: float, label: int) -> int:
    """The row of the candidate of that class that is most alike; boxes clipped to the picture may be the same."""
    distance = np.abs(found["boxes"] - box).max(axis=1) + 100 * np.abs(found["scores"] - score)
    return int(np.where(found["labels"] == label, distance, np.inf).argmin())
