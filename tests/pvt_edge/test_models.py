"""The native models against published numbers: sizes, shapes, anchors, box coder and pyramid."""

import math

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from pvt_edge.models import Model, build_model
from pvt_edge.models.anchors import MAX_LOG_RATIO, cell_anchors, clip, decode, encode, level_anchors
from pvt_edge.models.detector import FPN
from pvt_edge.models.pvt_v2 import PVTv2
from pvt_edge.models.retinanet import HEADS, RetinaHead
from pvt_edge.variants import VARIANTS, get_variant


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """On a busy machine, threads that wait for each other take most of the time of small tensors."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class ParametersOnMeta(TorchFunctionMode):
    """Allocates parameters without data: counting them needs none."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in (torch.empty, torch.zeros, torch.ones):
            kwargs = {**(kwargs or {}), "device": "meta"}
        return func(*args, **(kwargs or {}))


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


SIZES = {  # of the 1000-class classifier and of its backbone: github.com/whai362/PVT, timm's table
    "b0": (3_666_760, 3_409_760),
    "b1": (14_009_000, 13_496_000),
    "b2": (25_362_856, 24_849_856),
    "b2-li": (22_553_512, 22_040_512),
    "b3": (45_238_696, 44_725_696),
    "b4": (62_556_072, 62_043_072),
    "b5": (81_956_008, 81_443_008),
    "v1-tiny": (13_229_288, 12_716_288),
    "v1-small": (24_485_864, 23_972_864),
    "v1-medium": (44_208_104, 43_695_104),
    "v1-large": (61_369_320, 60_856_320),
}
V1_DENSE = {"v1-tiny": 12_714_240, "v1-small": 23_970_816, "v1-medium": 43_693_056, "v1-large": 60_854_272}  # mmdet's
# of RetinaNet with 80 classes, in millions: arXiv 2106.13797, table 3
DETECTOR_MILLIONS = {
    "b0": 12.95,
    "b1": 23.75,
    "b2-li": 32.29,
    "b2": 35.10,
    "b3": 54.98,
    "b4": 72.29,
    "b5": 91.69,
    "v1-tiny": 22.96,
    "v1-small": 34.22,
    "v1-medium": 53.94,
    "v1-large": 71.10,
}


def test_every_variant_has_its_size_here():
    assert list(SIZES) == list(VARIANTS)
    assert sorted(DETECTOR_MILLIONS) == sorted(VARIANTS)


@pytest.mark.parametrize("name", SIZES)
def test_parameters_of_the_classifier(name):
    with ParametersOnMeta():
        model = build_model(get_variant(name), "classify")
    assert (count(model), count(model.backbone)) == SIZES[name]
    assert get_variant(name).params == SIZES[name][0]


@pytest.mark.parametrize("name", V1_DENSE)
def test_parameters_of_v1_without_a_class_token(name):
    with ParametersOnMeta():
        model = build_model(get_variant(name), "features")
    assert count(model) == V1_DENSE[name]
    assert [tuple(stage.pos_embed.shape[1:]) for stage in model.stages] == [
        (3136, 64),
        (784, 128),
        (196, 320),
        (49, 512),
    ]


@pytest.mark.parametrize("name", DETECTOR_MILLIONS)
def test_parameters_of_the_detector(name):
    with ParametersOnMeta():
        model = build_model(get_variant(name), "detect")
    assert count(model.neck) == (3_074_048 if name == "b0" else 3_786_752)
    assert count(model.head) == 6_463_220
    assert round(count(model) / 1e6, 2) == DETECTOR_MILLIONS[name]
    assert model.head.cls_out.weight.shape == (720, 256, 3, 3)
    assert model.head.reg_out.weight.shape == (36, 256, 3, 3)


def test_stage_shapes_at_640():
    with torch.inference_mode():
        maps = PVTv2(get_variant("b0")).eval()(torch.zeros(1, 3, 640, 640))
    assert [tuple(m.shape) for m in maps] == [
        (1, 32, 160, 160),
        (1, 64, 80, 80),
        (1, 160, 40, 40),
        (1, 256, 20, 20),
    ]


def test_stage_shapes_of_an_odd_size_round_up():
    with torch.inference_mode():
        maps = PVTv2(get_variant("b0")).eval()(torch.zeros(2, 3, 97, 130))
    assert [tuple(m.shape[2:]) for m in maps] == [(25, 33), (13, 17), (7, 9), (4, 5)]


@pytest.mark.parametrize("name", ["b0", "b2-li"])
def test_keys_are_49_in_every_stage_at_224(name):
    backbone, x = PVTv2(get_variant(name)).eval(), torch.zeros(1, 3, 224, 224)
    lengths = []
    with torch.inference_mode():
        for stage in backbone.stages:
            tokens, h, w = stage.patch_embed(x)
            lengths.append(stage.blocks[0].attn.reduce(tokens, h, w).shape[1])
            x = tokens.transpose(1, 2).unflatten(2, (h, w))
    assert lengths == [49, 49, 49, 49]


# --- anchors, as mmdet's AnchorGenerator with octave_base_scale=4, scales_per_octave=3, ratios (.5, 1, 2)

RETINANET = HEADS["retinanet"]
P3_ANCHORS_WH = [
    (45.25, 22.63), (57.02, 28.51), (71.84, 35.92),
    (32.00, 32.00), (40.32, 40.32), (50.80, 50.80),
    (22.63, 45.25), (28.51, 57.02), (35.92, 71.84),
]  # fmt: skip


@pytest.mark.parametrize("level", range(5))
def test_anchor_sizes_and_order(level):
    boxes = cell_anchors(RETINANET, level)
    sizes = (boxes[:, 2:] - boxes[:, :2]) / 2**level
    assert sizes.numpy() == pytest.approx(torch.tensor(P3_ANCHORS_WH).numpy(), abs=0.01)
    assert (boxes[:, :2] + boxes[:, 2:]).abs().max() < 1e-9  # around the cell's corner, not its middle


def test_anchor_centres_are_row_major_multiples_of_the_stride():
    boxes = level_anchors((2, 3), 16, cell_anchors(RETINANET, 1)).reshape(6, 9, 4)
    centres = (boxes[:, 0, :2] + boxes[:, 0, 2:]) / 2
    expected = [[0, 0], [16, 0], [32, 0], [0, 16], [16, 16], [32, 16]]
    assert torch.allclose(centres, torch.tensor(expected).double(), atol=1e-9)


@pytest.mark.parametrize(
    ("image_hw", "expected"),
    [((640, 640), 76_725), ((512, 512), 49_104), ((800, 1344), 201_600), ((480, 640), 57_600)],
)
def test_anchor_counts(image_hw, expected):
    config, count = RETINANET, 0
    assert config.anchors_per_cell == 9
    for level, stride in enumerate(config.strides):
        hw = (math.ceil(image_hw[0] / stride), math.ceil(image_hw[1] / stride))
        count += len(level_anchors(hw, stride, cell_anchors(config, level)))
    assert count == expected


# --- box coder


def test_clamp():
    assert pytest.approx(4.135166556742356, abs=1e-15) == MAX_LOG_RATIO


@pytest.mark.parametrize(
    ("delta", "box"),
    [
        ((0, 0, 0, 0), (10, 20, 30, 60)),
        ((0.5, -0.25, 0, 0), (20, 10, 40, 50)),  # dx, dy in widths and heights of the anchor
        ((0, 0, math.log(2), math.log(0.5)), (0, 30, 40, 50)),
        ((0, 0, 100, -100), (20 - 625, 39.68, 20 + 625, 40.32)),  # 1000/16 = 62.5 times, both ways
    ],
)
def test_decode(delta, box):
    anchor = torch.tensor([[10.0, 20, 30, 60]], dtype=torch.float64)
    assert decode(torch.tensor([delta], dtype=torch.float64), anchor)[0].tolist() == pytest.approx(box, abs=1e-9)


def test_encode_is_the_inverse_of_decode():
    generator = torch.Generator().manual_seed(0)
    anchors = level_anchors((8, 8), 8, cell_anchors(RETINANET, 0))
    deltas = torch.randn(len(anchors), 4, generator=generator, dtype=torch.float64)
    assert torch.allclose(encode(decode(deltas, anchors), anchors), deltas, atol=1e-12)
    deltas[:, 2:] = 50
    assert torch.allclose(encode(decode(deltas, anchors), anchors)[:, 2:], torch.tensor(MAX_LOG_RATIO).double())


def test_clip():
    boxes = torch.tensor([[-5.0, -6, 700, 500], [1, 2, 3, 4]])
    assert clip(boxes, torch.tensor([640, 480, 640, 480])).tolist() == [[0, 0, 640, 480], [1, 2, 3, 4]]


# --- pyramid and head


def pyramid() -> tuple[FPN, tuple[torch.Tensor, ...]]:
    """An FPN of one channel and random maps whose sides are not multiples of each other."""
    torch.manual_seed(0)
    maps = tuple(
        torch.randn(1, c, *hw) for c, hw in zip((2, 3, 4, 5), ((20, 26), (10, 13), (5, 7), (3, 4)), strict=True)
    )
    return FPN((2, 3, 4, 5), width=6, levels=5).eval(), maps


def test_pyramid_shapes():
    fpn, maps = pyramid()
    assert [tuple(m.shape) for m in fpn(maps)] == [
        *((1, 6, 10, 13), (1, 6, 5, 7), (1, 6, 3, 4), (1, 6, 2, 2), (1, 6, 1, 1))
    ]


def test_p6_comes_from_the_raw_last_map_and_p7_has_no_relu():
    fpn, maps = pyramid()
    outs = fpn(maps)
    p6 = nn.functional.conv2d(maps[3], fpn.output[3].weight, fpn.output[3].bias, stride=2, padding=1)
    assert torch.equal(outs[3], p6)
    assert (p6 < 0).any()
    p7 = nn.functional.conv2d(p6, fpn.output[4].weight, fpn.output[4].bias, stride=2, padding=1)
    assert torch.equal(outs[4], p7)


def test_top_down_is_nearest_to_the_finer_maps_size():
    fpn, maps = pyramid()
    c3, c4, c5 = (conv(m) for conv, m in zip(fpn.lateral, maps[1:], strict=True))

    def enlarge(x: torch.Tensor, hw: tuple[int, int]) -> torch.Tensor:
        rows = torch.arange(hw[0]) * x.shape[2] // hw[0]
        columns = torch.arange(hw[1]) * x.shape[3] // hw[1]
        return x[:, :, rows][..., columns]

    p4 = c4 + enlarge(c5, (5, 7))
    p3 = c3 + enlarge(p4, (10, 13))
    for given, merged, conv in zip(fpn(maps), (p3, p4, c5), fpn.output, strict=False):
        assert torch.allclose(given, conv(merged), atol=1e-6)


def test_first_map_is_unused():
    fpn, maps = pyramid()
    changed = (maps[0] + 1, *maps[1:])
    assert all(torch.equal(a, b) for a, b in zip(fpn(maps), fpn(changed), strict=True))


def test_head_towers_end_in_relu_and_are_shared_over_levels():
    torch.manual_seed(0)
    head = RetinaHead(HEADS["retinanet"], num_classes=3).eval()
    x = torch.randn(1, 256, 3, 4)
    logits, deltas = head([x, x])
    assert [tuple(t.shape) for t in (*logits, *deltas)] == [(1, 27, 3, 4)] * 2 + [(1, 36, 3, 4)] * 2
    assert torch.equal(logits[0], logits[1])
    tower = x
    for layer in head.cls:
        tower = nn.functional.conv2d(tower, layer.conv.weight, layer.conv.bias, padding=1).clamp(min=0)
    assert torch.allclose(logits[0], head.cls_out(tower), atol=1e-6)


def test_fresh_detector_gives_every_class_the_prior():
    head = RetinaHead(HEADS["retinanet"], num_classes=3)
    head.initialise()
    assert head.cls_out.bias.sigmoid().tolist() == pytest.approx([0.01] * 27)


def test_the_package_hides_none_of_its_files():
    import pvt_edge.models.model as file

    assert file.Model is Model
