"""The table of names against literals written by hand from each library's own state_dicts."""

import pytest
import torch

from pvt_edge.checkpoints.dialects import DIALECTS, get_dialect
from pvt_edge.checkpoints.naming import detect, root_of
from pvt_edge.checkpoints.translation import from_native, to_native
from pvt_edge.errors import WeightsError
from pvt_edge.variants import VARIANTS

# ours, official, timm, mmdet, transformers: stage 1 with its block 0, stage 4 with its block 1, the head
NAMES = """
stages.0.patch_embed.proj       patch_embed1.proj        patch_embed.proj                layers.0.0.projection              layers.0.patch_embedding.proj
stages.0.patch_embed.norm       patch_embed1.norm        patch_embed.norm                layers.0.0.norm                    layers.0.patch_embedding.layer_norm
stages.0.blocks.0.norm1         block1.0.norm1           stages.0.blocks.0.norm1         layers.0.1.0.norm1                 layers.0.blocks.0.layer_norm_1
stages.0.blocks.0.norm2         block1.0.norm2           stages.0.blocks.0.norm2         layers.0.1.0.norm2                 layers.0.blocks.0.layer_norm_2
stages.0.blocks.0.attn.proj     block1.0.attn.proj       stages.0.blocks.0.attn.proj     layers.0.1.0.attn.attn.out_proj    layers.0.blocks.0.attention.proj
stages.0.blocks.0.attn.sr       block1.0.attn.sr         stages.0.blocks.0.attn.sr       layers.0.1.0.attn.sr               layers.0.blocks.0.attention.spatial_reduction
stages.0.blocks.0.attn.norm     block1.0.attn.norm       stages.0.blocks.0.attn.norm     layers.0.1.0.attn.norm             layers.0.blocks.0.attention.layer_norm
stages.0.blocks.0.mlp.fc1       block1.0.mlp.fc1         stages.0.blocks.0.mlp.fc1       layers.0.1.0.ffn.layers.0          layers.0.blocks.0.mlp.dense1
stages.0.blocks.0.mlp.dwconv    block1.0.mlp.dwconv.dwconv stages.0.blocks.0.mlp.dwconv  layers.0.1.0.ffn.layers.1          layers.0.blocks.0.mlp.dwconv.dwconv
stages.0.blocks.0.mlp.fc2       block1.0.mlp.fc2         stages.0.blocks.0.mlp.fc2       layers.0.1.0.ffn.layers.4          layers.0.blocks.0.mlp.dense2
stages.0.norm                   norm1                    stages.0.norm                   layers.0.2                         layers.0.layer_norm
stages.3.patch_embed.proj       patch_embed4.proj        stages.3.downsample.proj        layers.3.0.projection              layers.3.patch_embedding.proj
stages.3.patch_embed.norm       patch_embed4.norm        stages.3.downsample.norm        layers.3.0.norm                    layers.3.patch_embedding.layer_norm
stages.3.blocks.1.norm1         block4.1.norm1           stages.3.blocks.1.norm1         layers.3.1.1.norm1                 layers.3.blocks.1.layer_norm_1
stages.3.blocks.1.norm2         block4.1.norm2           stages.3.blocks.1.norm2         layers.3.1.1.norm2                 layers.3.blocks.1.layer_norm_2
stages.3.blocks.1.attn.proj     block4.1.attn.proj       stages.3.blocks.1.attn.proj     layers.3.1.1.attn.attn.out_proj    layers.3.blocks.1.attention.proj
stages.3.blocks.1.mlp.fc1       block4.1.mlp.fc1         stages.3.blocks.1.mlp.fc1       layers.3.1.1.ffn.layers.0          layers.3.blocks.1.mlp.dense1
stages.3.blocks.1.mlp.dwconv    block4.1.mlp.dwconv.dwconv stages.3.blocks.1.mlp.dwconv  layers.3.1.1.ffn.layers.1          layers.3.blocks.1.mlp.dwconv.dwconv
stages.3.blocks.1.mlp.fc2       block4.1.mlp.fc2         stages.3.blocks.1.mlp.fc2       layers.3.1.1.ffn.layers.4          layers.3.blocks.1.mlp.dense2
stages.3.norm                   norm4                    stages.3.norm                   layers.3.2                         layers.3.layer_norm
"""  # noqa: E501
LINEAR_ONLY = """
stages.3.blocks.1.attn.sr       block4.1.attn.sr         stages.3.blocks.1.attn.sr       layers.3.1.1.attn.sr               layers.3.blocks.1.attention.spatial_reduction
stages.3.blocks.1.attn.norm     block4.1.attn.norm       stages.3.blocks.1.attn.norm     layers.3.1.1.attn.norm             layers.3.blocks.1.attention.layer_norm
"""  # noqa: E501
QKV = {
    "official": """block1.0.attn.q.weight block1.0.attn.q.bias block1.0.attn.kv.weight block1.0.attn.kv.bias
        block4.1.attn.q.weight block4.1.attn.q.bias block4.1.attn.kv.weight block4.1.attn.kv.bias""",
    "timm": """stages.0.blocks.0.attn.q.weight stages.0.blocks.0.attn.q.bias
        stages.0.blocks.0.attn.kv.weight stages.0.blocks.0.attn.kv.bias
        stages.3.blocks.1.attn.q.weight stages.3.blocks.1.attn.q.bias
        stages.3.blocks.1.attn.kv.weight stages.3.blocks.1.attn.kv.bias""",
    "mmdet": """layers.0.1.0.attn.attn.in_proj_weight layers.0.1.0.attn.attn.in_proj_bias
        layers.3.1.1.attn.attn.in_proj_weight layers.3.1.1.attn.attn.in_proj_bias""",
    "transformers": """layers.0.blocks.0.attention.query.weight layers.0.blocks.0.attention.query.bias
        layers.0.blocks.0.attention.key.weight layers.0.blocks.0.attention.key.bias
        layers.0.blocks.0.attention.value.weight layers.0.blocks.0.attention.value.bias
        layers.3.blocks.1.attention.query.weight layers.3.blocks.1.attention.query.bias
        layers.3.blocks.1.attention.key.weight layers.3.blocks.1.attention.key.bias
        layers.3.blocks.1.attention.value.weight layers.3.blocks.1.attention.value.bias""",
}
COLUMNS = ("official", "timm", "mmdet", "transformers")
DETECTOR = {
    "neck.lateral.0": "neck.lateral_convs.0.conv",
    "neck.lateral.1": "neck.lateral_convs.1.conv",
    "neck.lateral.2": "neck.lateral_convs.2.conv",
    "neck.output.0": "neck.fpn_convs.0.conv",
    "neck.output.1": "neck.fpn_convs.1.conv",
    "neck.output.2": "neck.fpn_convs.2.conv",
    "neck.output.3": "neck.fpn_convs.3.conv",
    "neck.output.4": "neck.fpn_convs.4.conv",
    "head.cls.0.conv": "bbox_head.cls_convs.0.conv",
    "head.cls.1.conv": "bbox_head.cls_convs.1.conv",
    "head.cls.2.conv": "bbox_head.cls_convs.2.conv",
    "head.cls.3.conv": "bbox_head.cls_convs.3.conv",
    "head.reg.0.conv": "bbox_head.reg_convs.0.conv",
    "head.reg.1.conv": "bbox_head.reg_convs.1.conv",
    "head.reg.2.conv": "bbox_head.reg_convs.2.conv",
    "head.reg.3.conv": "bbox_head.reg_convs.3.conv",
    "head.cls_out": "bbox_head.retina_cls",
    "head.reg_out": "bbox_head.retina_reg",
}
CORNERS = (
    "stages.0.patch",
    "stages.0.blocks.0",
    "stages.0.norm",
    "stages.3.patch",
    "stages.3.blocks.1",
    "stages.3.norm",
)

V2 = {row.name: row for row in DIALECTS if row.family == "pvt-v2"}


def rows(table: str, dialect: str) -> dict[str, str]:
    """{our tensor: theirs} of a table of modules above."""
    column = 1 + COLUMNS.index(dialect)
    lines = [line.split() for line in table.strip().splitlines()]
    return {f"{row[0]}.{leaf}": f"{row[column]}.{leaf}" for row in lines for leaf in ("weight", "bias")}


@pytest.fixture(scope="module")
def corners(build, fill):
    """The function (variant) -> the tensors of a backbone's stage 1, block 0 and stage 4, block 1."""

    def take(variant: str) -> dict[str, torch.Tensor]:
        state = fill(build("features", variant)).state_dict()
        return {name: tensor for name, tensor in state.items() if name.startswith(CORNERS)}

    return take


@pytest.mark.parametrize("dialect", COLUMNS)
def test_names_are_those_of_the_library(dialect, corners):
    ours = corners("b0")
    theirs = from_native(ours, dialect)
    expected = rows(NAMES, dialect)
    assert set(theirs) == set(expected.values()) | set(QKV[dialect].split())
    for name, their_name in expected.items():
        assert torch.equal(theirs[their_name].flatten(), ours[name].flatten()), name
    back = to_native(theirs, get_dialect(dialect))
    assert back.unexpected == []
    assert set(back.tensors) == {f"backbone.{name}" for name in ours}


@pytest.mark.parametrize("dialect", ["official", "timm", "transformers"])
def test_linear_variant_reduces_in_stage_4_too(dialect, corners):
    theirs = from_native(corners("b2-li"), dialect)
    expected = rows(NAMES + LINEAR_ONLY.lstrip(), dialect)
    assert set(theirs) == set(expected.values()) | set(QKV[dialect].split())


@pytest.mark.parametrize("variant", ["b0", "b2-li"])
def test_timm_gives_features_with_its_stages_one_by_one(variant, corners):
    """FeatureListNet joins the names of a flattened nn.Sequential by an underscore."""
    theirs = from_native(corners(variant), "timm")
    flat = {name.replace("stages.", "stages_", 1): tensor for name, tensor in theirs.items()}
    assert "stages_3.downsample.proj.weight" in flat
    assert from_native(corners(variant), "timm-features").keys() == flat.keys()
    back = to_native({f"encoder.model.{name}": flat[name] for name in flat}, V2["timm-features"], "encoder.model.")
    assert (back.unexpected, back.tensors.keys()) == ([], {f"backbone.{name}" for name in corners(variant)})


def test_mmdet_cannot_say_linear(build):
    with pytest.raises(WeightsError, match="mmdet dialect has no linear attention, so b2-li"):
        from_native(build("features", "b2-li").state_dict(), "mmdet")


@pytest.mark.parametrize("dialect", COLUMNS)
def test_detector_names_are_mmdets(dialect, b0_detector):
    theirs = from_native(b0_detector.state_dict(), dialect, "backbone.")
    heads = {f"{name}.{leaf}" for name in DETECTOR.values() for leaf in ("weight", "bias")}
    assert {name for name in theirs if not name.startswith("backbone.")} == heads
    for ours, name in DETECTOR.items():
        assert torch.equal(theirs[f"{name}.weight"], b0_detector.state_dict()[f"{ours}.weight"])


@pytest.mark.parametrize(
    ("dialect", "container", "head"),
    [("official", "", "head"), ("timm", "", "head"), ("transformers", "pvt_v2.encoder.", "classifier")],
)
def test_classifier_head_lies_beside_the_backbone(dialect, container, head, b0):
    theirs = from_native(b0.state_dict(), dialect, container)
    assert {name for name in theirs if name.startswith(head + ".")} == {f"{head}.weight", f"{head}.bias"}
    assert all(name.startswith((container, head)) for name in theirs)


def test_batch_norm_in_a_head_has_no_foreign_name(build):
    with pytest.raises(WeightsError, match=r"mmdet dialect has no name for head\.cls\.0\.norms\.0\.weight"):
        from_native(build("detect", "b0", head="lite").state_dict(), "mmdet")


@pytest.mark.parametrize("variant", [name for name, row in VARIANTS.items() if row.family == "pvt-v2"])
@pytest.mark.parametrize("dialect", V2)
def test_round_trip_is_a_bijection(dialect, variant, build):
    if dialect == "mmdet" and variant == "b2-li":
        pytest.skip("mmdet has no linear attention")
    # a number apiece instead of a tensor: (rows, 1) with the row's own value keeps b5 small
    state = {
        name: torch.arange(tensor.shape[0], dtype=torch.float32)[:, None] + 1e5 * i
        for i, (name, tensor) in enumerate(build("classify", variant).state_dict().items())
        if "head" not in name
    }
    theirs = from_native(state, dialect, "backbone.")
    found = detect(theirs)
    assert found is not None
    assert found == (get_dialect(dialect), "backbone.")
    back = to_native(theirs, *found)
    assert back.unexpected == []
    assert back.tensors.keys() == state.keys()
    assert all(torch.equal(back.tensors[name], state[name]) for name in state)
    assert sorted(source for name in state for source in set(back.sources[name])) == sorted(
        {
            "q+kv": list(theirs),
            "q+k+v": list(theirs),
            "in_proj": [*theirs, *(n for n in theirs if "in_proj" in n)],
        }[get_dialect(dialect).qkv]
    )


def test_in_proj_rows_are_q_then_k_then_v():
    dim = 4
    stack = torch.arange(12.0).reshape(12, 1).expand(12, dim).contiguous()
    name = "layers.0.1.0.attn.attn.in_proj_"
    back = to_native({name + "weight": stack, name + "bias": stack[:, 0].contiguous()}, get_dialect("mmdet")).tensors
    attn = "backbone.stages.0.blocks.0.attn."
    assert back[attn + "q.weight"][:, 0].tolist() == [0, 1, 2, 3]
    assert back[attn + "kv.weight"][:, 0].tolist() == [4, 5, 6, 7, 8, 9, 10, 11]
    assert back[attn + "q.bias"].tolist() == [0, 1, 2, 3]
    assert back[attn + "kv.bias"].tolist() == [4, 5, 6, 7, 8, 9, 10, 11]
    again = from_native(back, "mmdet")
    assert torch.equal(again[name + "weight"], stack)


def test_key_and_value_are_stacked_key_first():
    key, value = torch.zeros(4, 4), torch.ones(4, 4)
    at = "layers.2.blocks.5.attention."
    tensors = {at + "value.weight": value, at + "key.weight": key}  # the file's order must not matter
    back = to_native(tensors, get_dialect("transformers"))
    assert back.tensors["backbone.stages.2.blocks.5.attn.kv.weight"][:, 0].tolist() == [
        0,
        0,
        0,
        0,
        1,
        1,
        1,
        1,
    ]
    again = from_native(back.tensors, "transformers")
    assert torch.equal(again[at + "key.weight"], key)
    assert torch.equal(again[at + "value.weight"], value)


def test_mmdets_fully_connected_layers_are_convolutions(corners):
    state = corners("b0")
    theirs = from_native(state, "mmdet")
    assert theirs["layers.0.1.0.ffn.layers.0.weight"].shape == (256, 32, 1, 1)
    assert theirs["layers.0.1.0.ffn.layers.4.weight"].shape == (32, 256, 1, 1)
    back = to_native(theirs, get_dialect("mmdet"))
    assert torch.equal(
        back.tensors["backbone.stages.0.blocks.0.mlp.fc1.weight"], state["stages.0.blocks.0.mlp.fc1.weight"]
    )
    assert "backbone.stages.0.blocks.0.mlp.fc1.weight" in back.reshaped
    assert "backbone.stages.0.blocks.0.mlp.dwconv.weight" not in back.reshaped


EPSILONS = {  # LayerNorm epsilon after patch embeds and spatial reductions, and everywhere else
    "native": (None, None),
    "official": (1e-5, 1e-6),
    "timm": (1e-5, 1e-6),
    "timm-features": (1e-5, 1e-6),
    "mmdet": (1e-6, 1e-6),
    "transformers": (1e-6, 1e-6),
}


def test_epsilons():
    assert {name: (row.embed_eps, row.block_eps) for name, row in V2.items()} == EPSILONS


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], None),
        (["conv1.weight"], None),
        (["xpatch_embed1.proj.weight"], None),
        (["patch_embed1.proj.weight"], ("official", "")),
        (["module.patch_embed1.proj.weight"], ("official", "module.")),
        (["patch_embed.proj.weight", "stages.1.downsample.proj.weight"], ("timm", "")),
        (["encoder.model.stages_1.downsample.proj.weight"], ("timm-features", "encoder.model.")),
        (["module.backbone.layers.0.0.projection.weight"], ("mmdet", "module.backbone.")),
        (["pvt_v2.encoder.layers.0.patch_embedding.proj.weight"], ("transformers", "pvt_v2.encoder.")),
        (["stages.0.patch_embed.proj.weight"], ("native", "")),
        (["ema.patch_embed1.proj.weight", "patch_embed1.proj.weight"], ("official", "")),
    ],
)
def test_detect(names, expected):
    found = detect(names)
    assert (found and (found[0].name, found[1])) == expected


@pytest.mark.parametrize(
    ("prefix", "root"),
    [
        ("", ""),
        ("module.", "module."),
        ("backbone.", ""),
        ("module.backbone.", "module."),
        ("mybackbone.", "mybackbone."),
        ("encoder.", ""),
        ("model.encoder.model.", "model."),
        ("pvt_v2.encoder.", ""),
        ("a.pvt_v2.encoder.", "a."),
    ],
)
def test_root_of(prefix, root):
    assert root_of(prefix) == root
