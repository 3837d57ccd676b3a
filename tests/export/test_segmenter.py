"""Segmenters as exports have them: deploy form and class map against the training form, and the files written."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import pvt_edge
from pvt_edge.bundle.schema import PostprocessSpec
from pvt_edge.errors import PvtEdgeError
from pvt_edge.export.deploy.form import to_deploy_form
from pvt_edge.export.deploy.segmenter import PoolPyramid
from pvt_edge.export.exporter import export_model
from pvt_edge.export.tasks import get_task_export
from pvt_edge.models.segment_heads import PPM_SIDES
from pvt_edge.runtimes import open_runtime
from pvt_edge.scenes import draw_scene

from .made import build, noise

EXACT = 1e-9
LOGIT = -0.8473  # whose sigmoid is 0.3, the threshold of one class
SEGMENT = get_task_export("segment")


@torch.no_grad()
def mixed(model, images):
    """The model with equal mean logits in each class for these images, so that each is the largest somewhere."""
    model.head.classes.bias += LOGIT - model(images).mean(dim=(0, 2, 3))
    return model


HEADS = ("linear", "lite:16", "fpn:16", "upernet:16")


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(("variant", "imgsz", "classes"), [("b0", (96, 160), 5), ("pvt-v1-tiny", (64, 96), 1)])
@torch.inference_mode()
def test_equals_the_training_form(head, variant, imgsz, classes):
    images = noise(2, 3, *imgsz)
    model = mixed(build("segment", variant, classes, head).double(), images)
    deployed = to_deploy_form(model, imgsz)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in deployed.modules())
    wanted, found = model(images), deployed(images)
    assert found.shape == (2, classes, imgsz[0] // 4, imgsz[1] // 4)
    assert (found - wanted).abs().max() < EXACT
    mask, ours = SEGMENT.decode(model, imgsz)(wanted)[0], SEGMENT.deploy_decode(model, imgsz)(found)[0]
    assert mask.shape == (2, *imgsz)
    assert torch.equal(mask, ours)
    assert len(mask.unique()) == max(classes, 2)


@pytest.mark.parametrize("map_hw", [(1, 2), (7, 7), (8, 10), (15, 20), (16, 16), (20, 20)])
def test_pool_pyramid(map_hw):
    x = noise(2, 3, *map_hw)
    for side, found in zip(PPM_SIDES, PoolPyramid(map_hw, x)(x), strict=True):
        assert found.shape == (2, 3, side, side)
        assert (found - F.adaptive_avg_pool2d(x, side)).abs().max() < EXACT


@pytest.mark.parametrize(("classes", "dtype"), [(2, torch.uint8), (256, torch.uint8), (257, torch.int32)])
def test_type_of_ids(classes, dtype):
    model = build("segment", "b0", classes, "linear")
    logits = noise(1, classes, 2, 2)
    logits[0, -1, 0, 0] = 99
    mask = SEGMENT.decode(model, (8, 8))(logits)[0]
    assert mask.dtype == dtype
    assert mask[0, 0, 0] == classes - 1


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.9, 1.0])
def test_threshold_of_one_class(threshold):
    model, post = build("segment", "b0", 1, "linear"), PostprocessSpec(threshold=threshold)
    logits = 3 * noise(1, 1, 8, 8)
    grown = F.interpolate(logits, size=(32, 32), mode="bilinear", align_corners=False)[:, 0]
    wanted = (grown.sigmoid() > threshold).to(torch.uint8)
    assert torch.equal(SEGMENT.decode(model, (32, 32), post)(logits)[0], wanted)
    assert torch.equal(SEGMENT.deploy_decode(model, (32, 32), post)(logits)[0], wanted)


@pytest.mark.parametrize("classes", [1, 2, 4, 8, 9, 30, 300])
@pytest.mark.parametrize("imgsz", [(32, 32), (64, 96)])
def test_openvinos_class_map_is_the_same(classes, imgsz):
    model = build("segment", "b0", classes, "linear")
    logits = noise(2, classes, imgsz[0] // 4, imgsz[1] // 4)
    wanted = SEGMENT.decode(model, imgsz, logits=True)(logits)
    found = SEGMENT.deploy_decode(model, imgsz, logits=True, target="openvino")(logits)
    assert [(one.dtype, one.shape) for one in found] == [(one.dtype, one.shape) for one in wanted]
    assert all(map(torch.equal, found, wanted))


@pytest.mark.parametrize("classes", [6, 12])
def test_of_equal_logits_openvinos_takes_the_lowest_id(classes):
    model = build("segment", "b0", classes, "linear")
    logits = noise(1, classes // 2, 8, 8).repeat(1, 2, 1, 1)
    mask = SEGMENT.deploy_decode(model, (32, 32), target="openvino")(logits)[0]
    assert mask.max() == classes // 2 - 1


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    """A bundle of four classes with logits, of ONNX and OpenVINO."""
    model = build("segment", "b0", 4, "upernet:16")
    mixed(model, noise(1, 3, 64, 96).float())
    out = tmp_path_factory.mktemp("segment") / "four"
    return model, export_model(model, out, imgsz=(64, 96), tune="off", logits=True)


def test_outputs_of_a_bundle(four):
    _, bundle = four
    assert [(o.name, o.dtype, o.shape) for o in bundle.manifest.outputs] == [
        ("mask", "uint8", (1, 64, 96)),
        ("logits", "float32", (1, 4, 16, 24)),
    ]
    assert bundle.manifest.postprocess is None
    assert bundle.manifest.agreement.metrics["openvino-fp32"]["pixels"] > 0.999


def test_the_graph_has_fixed_sizes_and_half_pixels(four):
    import onnx

    graph = onnx.load(str(four[1].folder / "model.fp32.onnx")).graph
    kinds = {node.op_type for node in graph.node}
    assert not kinds & {"Shape", "AveragePool", "TopK", "BatchNormalization"}
    resizes = [
        {a.name: onnx.helper.get_attribute_value(a) for a in n.attribute} for n in graph.node if "Resize" in n.op_type
    ]
    modes = {row["coordinate_transformation_mode"] for row in resizes if row["mode"] == b"linear"}
    assert modes == {b"half_pixel"}


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_bundle_answers_as_the_model(four, runtime):
    model, bundle = four
    picture = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    result = pvt_edge.load(bundle.folder, runtime=runtime, precision="fp32")(picture)
    from pvt_edge.checkpoints.preprocessing import normalise

    with torch.inference_mode():
        logits = model(normalise(torch.from_numpy(picture[None])))
    wanted = SEGMENT.decode(model, (64, 96))(logits)[0][0].numpy()
    first = result[0] if isinstance(result, list) else result
    assert (first.mask == wanted).mean() > 0.999


def test_openvino_rounds_no_class_map(four):
    """What bf16 rounds are the logits: the class map is exactly theirs."""
    model, bundle = four
    runtime = open_runtime("openvino", bundle.folder / "openvino/fp32.xml", precision="auto")
    picture = draw_scene(8_500, 64, 96).image[None]
    found = runtime.infer({"images": picture})
    wanted = SEGMENT.decode(model, (64, 96))(torch.from_numpy(found["logits"]))[0]
    assert np.array_equal(found["mask"], wanted.numpy())


def test_one_class_has_two_labels(tmp_path):
    model = build("segment", "b0", 1, "lite:16")
    post = PostprocessSpec(threshold=0.5)
    bundle = export_model(
        model, tmp_path / "one", imgsz=(64, 64), labels=["polyp"], formats=["openvino"], postprocess=post
    )
    assert bundle.manifest.labels == ("background", "polyp")
    assert bundle.manifest.postprocess.threshold == 0.5
    assert [(o.name, o.dtype, o.shape) for o in bundle.manifest.outputs] == [("mask", "uint8", (1, 64, 64))]


def test_logits_are_a_segmenters(tmp_path):
    with pytest.raises(PvtEdgeError, match="segmenter"):
        export_model(build("classify", "b0"), tmp_path / "out", logits=True)
    assert not (tmp_path / "out").exists()


def test_int8_of_the_whole_head():
    from pvt_edge.export.precision.recipes import RECORDED, moves
    from pvt_edge.models import kind_of

    heads = {
        "lite": ("lateral.0.conv", "smooth.1.conv"),
        "fpn": ("lateral.3", "output.0", "scale.3.2.conv"),
        "upernet": ("ppm.3.conv", "bottleneck.conv", "fuse.conv", "output.2.conv"),
    }
    for kind, names in heads.items():
        blocks = [f"head.{name}" for name in (*names, "classes")]
        assert all(kind_of(block) for block in blocks), kind
        assert RECORDED.blocks(blocks) == set(blocks), kind
        assert set().union(*moves(blocks)) == set(blocks), kind


def test_scenes_judge_a_segmenter(tmp_path):
    from pvt_edge.bundle.schema import ResizeSpec
    from pvt_edge.export.precision.judge import labelled_judge
    from pvt_edge.scenes import write_scenes

    folder = write_scenes(tmp_path, 1, height=64, width=96).parent
    labels = ("background", "RBC", "WBC", "Platelets")
    judge = labelled_judge("segment", folder, None, labels, (64, 96), ResizeSpec(mode="letterbox"), None)
    assert judge.metric.name == "miou"
    assert len(judge.inputs) == 1
