"""The exported ONNX files: their form, and what ONNX Runtime gives for them."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from pvt_edge.checkpoints.preprocessing import normalise
from pvt_edge.errors import ExportError
from pvt_edge.export import onnx as onnx_export
from pvt_edge.export.graph import DeployGraph
from pvt_edge.export.onnx import OPSET, SHAPE_OPERATORS, export_onnx

from .made import build, pictures

onnx = pytest.importorskip("onnx", reason="ONNX is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")

# (C_i, H/2^(i+2), W/2^(i+2)) of b2-li at 96x160, of which neither side is a multiple of 224
STAGES = {"stage1": (64, 24, 40), "stage2": (128, 12, 20), "stage3": (320, 6, 10), "stage4": (512, 3, 5)}
# candidates of the lite head at 64x96 with 3 classes: min(300, 8*12*3) + 4*6*3 + 2*3*3
CANDIDATES = 378
CASES = {  # outputs without batch; LayerNorms: 4 after patch embeds, 2 a block, 1 a reduction, 4 of stages
    "detect": ({"boxes": (CANDIDATES, 4), "scores": (CANDIDATES,), "labels": (CANDIDATES,)}, 4 + 2 * 8 + 6 + 4),
    "features": (STAGES, 4 + 2 * 16 + 16 + 4),
    "classify": ({"logits": (10,)}, 4 + 2 * 8 + 6 + 4),
}


class Case:
    """A graph, its file, what a session gives for it, and its pictures (1, H, W, 3)."""

    def __init__(self, graph: DeployGraph, path: Path) -> None:
        self.graph, self.path = graph, path
        self.model = onnx.load(path)
        self.session = open_session(path)
        self.pictures = pictures(2, *graph.imgsz)

    def operators(self) -> Counter[str]:
        return Counter(node.op_type for node in self.model.graph.node)


def open_session(path: Path) -> "onnxruntime.InferenceSession":
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def answers(graph: DeployGraph, image: np.ndarray) -> list[np.ndarray]:
    with torch.inference_mode():
        return [tensor.numpy() for tensor in graph(torch.from_numpy(image))]


def relative(found: np.ndarray, wanted: np.ndarray) -> float:
    assert found.shape == wanted.shape
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


@pytest.fixture(scope="module")
def cases(lite_graph, lite_onnx, classifier, tmp_path_factory):
    """The three cases, each exported when first asked for."""
    made = {}

    def get(task: str) -> Case:
        if task not in made and task == "detect":
            made[task] = Case(lite_graph, lite_onnx)
        elif task not in made:
            model = classifier if task == "classify" else build("features", "b2-li")
            graph = DeployGraph(model, (64, 64) if task == "classify" else (96, 160))
            path = tmp_path_factory.mktemp(task) / "model.onnx"
            export_onnx(graph, path)
            made[task] = Case(graph, path)
        return made[task]

    return get


@pytest.fixture(params=CASES)
def case(request, cases):
    return cases(request.param)


@pytest.fixture
def task(case):
    return next(name for name, (outputs, _) in CASES.items() if tuple(outputs) == case.graph.output_names)


def sizes(value) -> list[int | str]:
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


def test_one_file_with_the_weights_inside(case):
    assert [path.name for path in case.path.parent.iterdir()] == [case.path.name]
    external = onnx.TensorProto.EXTERNAL
    assert all(tensor.data_location != external for tensor in case.model.graph.initializer)
    weights = sum(p.numel() for p in case.graph.parameters()) * 4
    assert 0.9 * weights < case.path.stat().st_size < 1.3 * weights + 1e6


def test_opset_and_domains(case):
    assert [(entry.domain, entry.version) for entry in case.model.opset_import] == [("", OPSET)]
    assert {node.domain for node in case.model.graph.node} <= {"", "ai.onnx"}
    assert not case.model.functions


def test_inputs_and_outputs(case, task):
    (images,) = case.model.graph.input
    assert images.name == "images"
    assert images.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert sizes(images) == [1, *case.graph.imgsz, 3]
    expected = CASES[task][0]
    assert [(out.name, sizes(out)) for out in case.model.graph.output] == [
        (name, [1, *shape]) for name, shape in expected.items()
    ]
    kinds = {out.name: out.type.tensor_type.elem_type for out in case.model.graph.output}
    wanted = {name: onnx.TensorProto.INT64 if name == "labels" else onnx.TensorProto.FLOAT for name in expected}
    assert kinds == wanted


def test_every_layer_norm_is_one_operator(case, task):
    found = case.operators()
    assert found["LayerNormalization"] == CASES[task][1]
    assert not {"ReduceVariance", "Sqrt", "Pow"} & found.keys()
    assert found["ReduceMean"] == (task == "classify")  # the mean over the last map
    assert found["Softmax"] == sum(len(stage.blocks) for stage in _backbone(case.graph).stages)


def _backbone(graph: DeployGraph):
    return getattr(graph.model, "backbone", graph.model)


def test_no_shapes_are_computed(case, task):
    found = case.operators()
    assert not {*SHAPE_OPERATORS, "Mod", "Scan", "Where", "Tile", "ScatterND"} & found.keys()
    assert found["Gather"] == (task == "detect")  # the anchors of all levels
    assert all(node.op_type != "Attention" for node in case.model.graph.node)
    inferred = onnx.shape_inference.infer_shapes(case.model, strict_mode=True, data_prop=True)
    free = [value.name for value in inferred.graph.value_info if any(isinstance(s, str) for s in sizes(value))]
    assert free == []


def test_the_cast_comes_first_and_is_the_only_one(case):
    assert case.operators()["Cast"] == 1
    assert [node.op_type for node in case.model.graph.node if "images" in node.input] == ["Cast"]


def test_onnxruntime_gives_the_graphs_answers(case):
    for image in case.pictures:
        found = case.session.run(list(case.graph.output_names), {"images": image})
        for name, got, want in zip(case.graph.output_names, found, answers(case.graph, image), strict=True):
            assert relative(got, want) < 1e-4, name


def test_pixels_are_bgr(cases, classifier):
    case = cases("classify")
    image = case.pictures[0]
    (logits,) = case.session.run(None, {"images": image})
    with torch.inference_mode():
        wanted = classifier(normalise(torch.from_numpy(image))).numpy()
        swapped = classifier(normalise(torch.from_numpy(image[..., ::-1].copy()))).numpy()
    assert relative(logits, wanted) < 1e-4
    assert relative(logits, swapped) > 1e-2  # the picture is coloured enough for a swap to show


def test_dynamic_batch(lite_graph, tmp_path):
    path = tmp_path / "free.onnx"
    export_onnx(lite_graph, path, batch=100, dynamic_batch=True)  # more than the tracer is told of
    model = onnx.load(path)
    assert [sizes(value)[0] for value in (*model.graph.input, *model.graph.output)] == ["batch"] * 4
    assert [sizes(value)[1:] for value in model.graph.output] == [[CANDIDATES, 4], [CANDIDATES], [CANDIDATES]]
    session, images = open_session(path), pictures(5, *lite_graph.imgsz)
    wanted = [answers(lite_graph, image) for image in images]
    for batch in (1, 2, 5):
        found = session.run(list(lite_graph.output_names), {"images": np.concatenate(images[:batch])})
        for row in range(batch):
            for got, want in zip(found, wanted[row], strict=True):
                assert relative(got[row : row + 1], want) < 1e-4, (batch, row)


def test_static_batch(classifier, tmp_path):
    graph, path = DeployGraph(classifier, (32, 64)), tmp_path / "two.onnx"
    export_onnx(graph, path, batch=2)
    images = np.concatenate(pictures(2, 64, 64))[:, :32]
    session = open_session(path)
    assert session.get_inputs()[0].shape == [2, 32, 64, 3]
    assert relative(session.run(None, {"images": images})[0], answers(graph, images)[0]) < 1e-4


class Undecided(torch.nn.Module):
    """A graph whose way depends on the picture."""

    imgsz, target, output_names = (4, 4), "onnxruntime", ("out",)

    def forward(self, images):
        return (images + 1 if images.sum() > 9 else images,)


def test_what_the_tracer_cannot_do_is_told(lite_graph, tmp_path):
    with pytest.raises(ExportError, match=r"torch.onnx.export failed: .*data-dependent"):
        export_onnx(Undecided(), tmp_path / "model.onnx")
    with pytest.raises(ExportError, match=r"torch.onnx.export failed: .*(memory|size)"):
        export_onnx(lite_graph, tmp_path / "model.onnx", batch=10**12)
    assert list(tmp_path.iterdir()) == []


def test_a_graph_that_computes_shapes_is_refused():
    from onnx import TensorProto, helper

    node = helper.make_node("Shape", ["images"], ["out"])
    graph = helper.make_graph(
        [node],
        "shapes",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, [1, 2, 2, 3])],
        [helper.make_tensor_value_info("out", TensorProto.INT64, [4])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    with pytest.raises(ExportError, match=r"computes shapes: \['Shape'\]"):
        onnx_export._check_form(model, dynamic_batch=False)
    onnx_export._check_form(model, dynamic_batch=True)
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 5
    with pytest.raises(ExportError, match=r"onnx\.checker refuses"):
        onnx_export._check_form(model, dynamic_batch=True)
    model.graph.node[0].op_type = "NoSuchOperator"
    with pytest.raises(ExportError, match=r"onnx\.checker refuses"):
        onnx_export._check_form(model, dynamic_batch=True)
