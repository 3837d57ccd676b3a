"""What loads, what stays out, what is refused in which words; a refused file leaves the model as it was."""

import copy
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pvt_edge.checkpoints import WeightsReport, load_weights, save_weights
from pvt_edge.checkpoints.loading import get_epsilons
from pvt_edge.checkpoints.translation import from_native
from pvt_edge.errors import WeightsError

CONTAINERS = {
    "official": "",
    "timm": "",
    "mmdet": "backbone.",
    "transformers": "pvt_v2.encoder.",
    "native": "backbone.",
}
EPSILONS = {
    "official": (1e-5, 1e-6),
    "timm": (1e-5, 1e-6),
    "mmdet": (1e-6, 1e-6),
    "transformers": (1e-6, 1e-6),
}


def snapshot(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def epsilons(model: nn.Module) -> tuple[float, float]:
    embed, block = get_epsilons(getattr(model, "backbone", model))
    return embed.pop(), block.pop()


def refusal(model: nn.Module, path: Path, **options) -> str:
    """The message of the WeightsError that loading raises, after which the model is as before."""
    before, eps = snapshot(model), epsilons(model)
    with pytest.raises(WeightsError) as caught:
        load_weights(model, path, **options)
    assert same(snapshot(model), before), "the model was touched"
    assert epsilons(model) == eps
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    return message.removeprefix(f"{path}: ")


@pytest.fixture
def blank(build):
    """A new b0 classifier of zeros."""
    return build("classify", "b0")


@pytest.mark.parametrize("envelope", [None, "state_dict", "model", "module"])
@pytest.mark.parametrize("dialect", ["official", "timm", "transformers", "native"])
def test_classifier_of_each_dialect(dialect, envelope, b0, blank, tmp_path):
    tensors = from_native(b0.state_dict(), dialect, CONTAINERS[dialect])
    torch.save({envelope: tensors} if envelope else tensors, tmp_path / "a.pth")
    report = load_weights(blank, tmp_path / "a.pth")
    assert same(blank.state_dict(), b0.state_dict())
    assert (report.dialect, report.variant, report.path) == (dialect, "b0", tmp_path / "a.pth")
    assert set(report.loaded) == set(b0.state_dict())
    assert report.left_out == report.kept == report.reinitialised == ()
    assert epsilons(blank) == EPSILONS.get(dialect, (1e-5, 1e-6))


@pytest.mark.parametrize("prefix", ["module.", "model.", "student.module."])
@pytest.mark.parametrize("dialect", ["official", "timm", "transformers", "native"])
def test_prefixes_of_wrappers(dialect, prefix, b0, blank, tmp_path):
    tensors = from_native(b0.state_dict(), dialect, CONTAINERS[dialect])
    torch.save({prefix + name: tensor for name, tensor in tensors.items()}, tmp_path / "a.pth")
    load_weights(blank, tmp_path / "a.pth")
    assert same(blank.state_dict(), b0.state_dict())


@pytest.mark.parametrize("dialect", ["mmdet", "official", "timm", "native"])
def test_detector_of_each_dialect(dialect, b0_detector, build, tmp_path):
    tensors = from_native(b0_detector.state_dict(), dialect, "backbone.")
    torch.save({"state_dict": tensors, "meta": {"CLASSES": ("a",), "epoch": 12}}, tmp_path / "a.pth")
    model = build("detect", "b0")
    report = load_weights(model, tmp_path / "a.pth")
    assert same(model.state_dict(), b0_detector.state_dict())
    assert report.dialect == dialect
    assert set(report.loaded) == set(model.state_dict())
    assert report.left_out == report.kept == ()
    assert epsilons(model) == EPSILONS.get(dialect, (1e-5, 1e-6))
    q, fc1 = ("backbone.stages.0.blocks.0.attn.q.weight", "backbone.stages.0.blocks.0.mlp.fc1.weight")
    assert (q in report.reshaped, fc1 in report.reshaped) == ((dialect == "mmdet"),) * 2


@pytest.mark.parametrize("container", ["", "backbone.", "module.backbone."])
def test_mmdet_backbone_alone(container, b0, build, tmp_path):
    state = {name: tensor for name, tensor in b0.state_dict().items() if name.startswith("backbone.")}
    torch.save({"state_dict": from_native(state, "mmdet", container)}, tmp_path / "a.pth")
    model = build("features", "b0")
    report = load_weights(model, tmp_path / "a.pth")
    assert same(model.state_dict(), b0.backbone.state_dict())
    assert report.left_out == report.kept == ()


def test_linear_variant(build, fill, tmp_path):
    source, model = fill(build("classify", "b2-li")), build("classify", "b2-li")
    torch.save(from_native(source.state_dict(), "official"), tmp_path / "pvt_v2_b2_li.pth")
    assert load_weights(model, tmp_path / "pvt_v2_b2_li.pth").variant == "b2-li"
    assert same(model.state_dict(), source.state_dict())


def test_lite_detector_round_trip(build, fill, tmp_path):
    source, model = (fill(build("detect", "b0", head="lite")), build("detect", "b0", head="lite"))
    source.head.cls[0].norms[0].num_batches_tracked.fill_(12)
    save_weights(source, tmp_path / "a.safetensors")
    load_weights(model, tmp_path / "a.safetensors")
    assert same(model.state_dict(), source.state_dict())
    assert model.head.cls[0].norms[0].num_batches_tracked.item() == 12


# --- heads that have no place, heads that are not there


@pytest.mark.parametrize("dialect", ["official", "timm", "transformers", "native"])
@pytest.mark.parametrize("task", ["features", "detect"])
def test_classifiers_head_is_left_out(task, dialect, b0, build, fill, tmp_path):
    torch.save(from_native(b0.state_dict(), dialect, CONTAINERS[dialect]), tmp_path / "a.pth")
    model = fill(build(task, "b0"), seed=3)
    before = snapshot(model)
    report = load_weights(model, tmp_path / "a.pth")
    head = "classifier" if dialect == "transformers" else "head"
    assert set(report.left_out) == {f"{head}.weight", f"{head}.bias"}
    backbone = getattr(model, "backbone", model)
    assert same(backbone.state_dict(), b0.backbone.state_dict())
    own_heads = {name for name in before if name.startswith(("neck.", "head."))}
    assert set(report.kept) == own_heads
    assert all(torch.equal(model.state_dict()[name], before[name]) for name in own_heads)


@pytest.mark.parametrize("dialect", ["mmdet", "official", "native"])
def test_detectors_neck_and_head_are_left_out_of_features(dialect, b0_detector, build, tmp_path):
    tensors = from_native(b0_detector.state_dict(), dialect, "backbone.")
    torch.save({"state_dict": tensors}, tmp_path / "a.pth")
    model = build("features", "b0")
    report = load_weights(model, tmp_path / "a.pth")
    assert same(model.state_dict(), b0_detector.backbone.state_dict())
    assert set(report.left_out) == {name for name in tensors if not name.startswith("backbone.")}
    assert len(report.left_out) == 36
    assert report.kept == ()


@pytest.mark.parametrize("task", ["classify", "detect"])
def test_backbone_alone_leaves_the_models_heads(task, b0, build, fill, tmp_path):
    torch.save(from_native(b0.backbone.state_dict(), "official"), tmp_path / "a.pth")
    model = fill(build(task, "b0"), seed=3)
    before = snapshot(model)
    report = load_weights(model, tmp_path / "a.pth")
    assert set(report.kept) == {name for name in before if not name.startswith("backbone.")}
    assert set(report.loaded) == {name for name in before if name.startswith("backbone.")}
    assert all(torch.equal(model.state_dict()[name], before[name]) for name in report.kept)
    assert same(model.backbone.state_dict(), b0.backbone.state_dict())


def test_neck_without_head_is_refused(b0_detector, build, tmp_path):
    state = {name: tensor for name, tensor in b0_detector.state_dict().items() if not name.startswith("head.")}
    torch.save(from_native(state, "mmdet", "backbone."), tmp_path / "a.pth")
    message = refusal(build("detect", "b0"), tmp_path / "a.pth")
    assert message.startswith("does not fit the model: missing 20 (head.cls.0.conv.weight, head.cls.0.conv.bias, ")


def test_detector_into_classifier_is_refused(b0_detector, blank, tmp_path):
    torch.save(from_native(b0_detector.state_dict(), "mmdet", "backbone."), tmp_path / "a.pth")
    message = refusal(blank, tmp_path / "a.pth")
    assert "missing 2 (head.weight, head.bias); unexpected 36 (neck.lateral_convs.0.conv.weight, " in message
    assert message.endswith("; it is a detector's: give --task detect (task='detect' in Python)")


# --- files that do not fit


def official(model: nn.Module) -> dict[str, torch.Tensor]:
    return from_native(model.state_dict(), "official")


def without(*names):
    return lambda tensors: {k: v for k, v in tensors.items() if k not in names}


def extra(**more):
    return lambda tensors: tensors | {k.replace("__", "."): v for k, v in more.items()}


def changed(name, change):
    return lambda tensors: tensors | {name: change(tensors[name])}


def with_value(value):
    def change(tensor):
        tensor = tensor.clone()
        tensor.view(-1)[1] = value
        return tensor

    return change


FC1, NORM = "block2.0.mlp.fc1.weight", "norm4.weight"
MISFITS = {
    "missing tensor": (
        without(NORM),
        r"does not fit the model: missing 1 \(backbone\.stages\.3\.norm\.weight\)$",
    ),
    "missing tensors": (
        without(*(f"block{s}.1.norm1.weight" for s in range(1, 5)), NORM),
        r"missing 5 \(backbone\.stages\.0\.blocks\.1\.norm1\.weight, .*, .*, \.\.\.\)$",
    ),
    "half a head": (without("head.bias"), r"missing 1 \(head\.bias\)$"),
    "unexpected tensor": (
        extra(block1__0__gamma__weight=torch.ones(32)),
        r"unexpected 1 \(block1\.0\.gamma\.weight\)$",
    ),
    "unexpected leaf": (extra(norm1__scale=torch.ones(32)), r"unexpected 1 \(norm1\.scale\)$"),
    "fifth stage": (extra(norm5__weight=torch.ones(32)), r"unexpected 1 \(norm5\.weight\)$"),
    "block in a fifth stage": (
        extra(block5__0__norm1__weight=torch.ones(32)),
        r"unexpected 1 \(block5\.0\.norm1\.weight\)$",
    ),
    "second head": (extra(aux__head__weight=torch.ones(7, 256)), r"unexpected 1 \(aux\.head\.weight\)$"),
    "segmentation head": (extra(decode_head__conv_seg__weight=torch.ones(1)), r"unexpected 1 \(decode_head"),
    "a number with a zero in front": (
        lambda tensors: {k.replace("block1.0.norm1.bias", "block1.00.norm1.bias"): v for k, v in tensors.items()},
        r"unexpected 1 \(block1\.00\.norm1\.bias\)$",
    ),
    "a block twice": (
        extra(block1__00__norm1__bias=torch.ones(32)),
        r"unexpected 1 \(block1\.00",
    ),
    "another shape": (
        changed(FC1, lambda t: t[:, :-1].contiguous()),
        r"of another shape 1 \(backbone\.stages\.1\..*\.fc1\.weight \(512, 63\), the model's \(512, 64\)\)$",
    ),
    "a scalar": (
        changed(NORM, lambda t: t[0].clone()),
        r"of another shape 1 \(.*norm\.weight \(\), the model's \(256,\)\)$",
    ),
    "a fifth dimension": (changed(FC1, lambda t: t[:, :, None, None, None]), "of another shape 1"),
    "integers": (
        changed(FC1, lambda t: t.to(torch.int8)),
        r"fc1\.weight is torch\.int8 where floating point weights",
    ),
    "booleans": (changed(FC1, lambda t: t > 0), r"fc1\.weight is torch\.bool where floating point"),
    "complex numbers": (
        changed(FC1, lambda t: t.to(torch.complex64)),
        r"torch\.complex64 where floating point",
    ),
    "NaN": (
        changed(FC1, with_value(float("nan"))),
        r"NaN or infinite values in 1 \(backbone\.stages\.1\.blocks\.0\.mlp",
    ),
    "infinity": (
        changed(NORM, with_value(float("inf"))),
        r"NaN or infinite values in 1 \(backbone\.stages\.3\.norm",
    ),
    "minus infinity": (
        changed("head.bias", with_value(-float("inf"))),
        r"NaN or infinite values in 1 \(head\.bias\)",
    ),
    "beyond float32": (
        changed(NORM, lambda t: t.double() * 1e300),
        r"NaN or infinite values in 1 \(.*\) \(torch\.float64 to torch\.float32\)",
    ),
    "PVT v1": (
        extra(pos_embed1=torch.ones(1, 3136, 64)),
        r"holds a PVT-v1, the model b0 is a PVT-v2",
    ),
    "PVT v1 of mmdet": (
        lambda _: {
            "layers.0.0.projection.weight": torch.ones(1),
            "layers.0.1.0.pos_embed": torch.ones(1, 3136, 64),
        },
        r"holds a PVT-v1, the model b0 is a PVT-v2",
    ),
    "another architecture": (
        lambda _: {"conv1.weight": torch.ones(64, 3, 7, 7), "bn1.weight": torch.ones(64)},
        r"no PVT in a known dialect \(native, official, mmdet, transformers, timm, timm-features\); its tensors are 2",
    ),
}


@pytest.mark.parametrize("kind", MISFITS)
def test_misfits(kind, b0, blank, tmp_path):
    change, message = MISFITS[kind]
    torch.save(change(official(b0)), tmp_path / "a.pth")
    found = refusal(blank, tmp_path / "a.pth")
    assert re.search(message, found), found


@pytest.mark.parametrize("name", ["attention.key.weight", "attention.value.bias"])
def test_key_without_its_value(name, b0, blank, tmp_path):
    tensors = from_native(b0.state_dict(), "transformers", "pvt_v2.encoder.")
    del tensors[f"pvt_v2.encoder.layers.0.blocks.0.{name}"]
    save_file(tensors, tmp_path / "a.safetensors")
    other = {"attention.key.weight": "value.weight", "attention.value.bias": "key.bias"}[name]
    message = refusal(blank, tmp_path / "a.safetensors")
    leaf = name.split(".")[-1]
    assert f"missing 1 (backbone.stages.0.blocks.0.attn.kv.{leaf})" in message
    assert f"unexpected 1 (pvt_v2.encoder.layers.0.blocks.0.attention.{other})" in message


def test_key_of_another_shape_than_its_value(b0, blank, tmp_path):
    tensors = from_native(b0.state_dict(), "transformers", "pvt_v2.encoder.")
    name = "pvt_v2.encoder.layers.0.blocks.0.attention.key.weight"
    tensors[name] = tensors[name][:, :-1].clone()
    torch.save(tensors, tmp_path / "a.pth")
    message = refusal(blank, tmp_path / "a.pth")
    assert "missing 1 (backbone.stages.0.blocks.0.attn.kv.weight); unexpected 2 (" in message


def test_two_tensors_for_one_place(b0, build, tmp_path):
    tensors = from_native(b0.state_dict(), "official", "backbone.")
    torch.save({"backbone.head.weight": tensors["head.weight"], **tensors}, tmp_path / "a.pth")
    model = build("classify", "b0")
    assert refusal(model, tmp_path / "a.pth").endswith("unexpected 1 (head.weight)")


def test_in_proj_not_in_thirds(b0_detector, build, tmp_path):
    tensors = from_native(b0_detector.state_dict(), "mmdet", "backbone.")
    name = "backbone.layers.1.1.1.attn.attn.in_proj_bias"
    tensors[name] = tensors[name][:-1].clone()
    torch.save(tensors, tmp_path / "a.pth")
    message = refusal(build("detect", "b0"), tmp_path / "a.pth")
    assert "missing 2 (backbone.stages.1.blocks.1.attn.q.bias, " in message
    assert f"unexpected 1 ({name})" in message


@pytest.mark.parametrize(
    ("in_file", "of_model", "dialect"),
    [
        ("b2", "b0", "official"),
        ("b2", "b0", "mmdet"),
        ("b2", "b0", "transformers"),
        ("b0", "b1", "timm"),
        ("b1", "b2", "native"),
        ("b2", "b2-li", "transformers"),
        ("b3", "b0", "official"),
        ("b4", "b0", "official"),
        ("b5", "b0", "official"),
    ],
)
def test_another_variant_is_named(in_file, of_model, dialect, build, tmp_path):
    state = build("features", in_file).state_dict()
    # one number for all elements of a tensor keeps b5's file small
    state = {name: torch.zeros(1).expand(tensor.shape) for name, tensor in state.items()}
    torch.save(from_native(state, dialect), tmp_path / "a.pth")
    message = refusal(build("features", of_model), tmp_path / "a.pth")
    assert (
        message == f"holds {in_file}, the model is {of_model}: give --variant {in_file} (variant={in_file!r} in Python)"
    )


def test_linear_file_into_plain_model(build, tmp_path):
    torch.save(from_native(build("features", "b2-li").state_dict(), "timm"), tmp_path / "a.pth")
    assert refusal(build("features", "b2"), tmp_path / "a.pth").startswith("holds b2-li, the model is b2: ")


def test_unknown_size_lists_what_differs(build, tmp_path):
    state = {k: v for k, v in build("features", "b1").state_dict().items() if not k.startswith("stages.1.blocks.1.")}
    torch.save(from_native(state, "timm"), tmp_path / "a.pth")
    assert "of another shape" in refusal(build("features", "b0"), tmp_path / "a.pth")


def test_module_of_another_kind(tmp_path):
    with pytest.raises(WeightsError, match="belong to a model made by create_model, not to a Linear"):
        load_weights(nn.Linear(2, 2), tmp_path / "a.pth")


# --- classes


def test_other_class_count_of_a_classifier(b0, build, fill, tmp_path):
    torch.save(official(b0), tmp_path / "a.pth")
    model = fill(build("classify", "b0", num_classes=1000), seed=3)
    assert refusal(model, tmp_path / "a.pth") == (
        "has 7 classes, the model 1000: give --num-classes 7 (num_classes=7 in Python); "
        "load_weights(..., reinit_head=True) keeps the model's own class layer"
    )
    head = snapshot(model.head)
    report = load_weights(model, tmp_path / "a.pth", reinit_head=True)
    assert report.reinitialised == ("head.weight", "head.bias")
    assert not set(report.reinitialised) & set(report.loaded)
    assert report.left_out == report.kept == ()
    assert same(snapshot(model.head), head)
    assert same(model.backbone.state_dict(), b0.backbone.state_dict())


def test_other_class_count_of_a_detector(b0_detector, build, fill, tmp_path):
    torch.save(from_native(b0_detector.state_dict(), "mmdet", "backbone."), tmp_path / "a.pth")
    model = fill(build("detect", "b0", num_classes=80), seed=3)
    assert refusal(model, tmp_path / "a.pth").startswith("has 7 classes, the model 80: ")
    layer = snapshot(model.head.cls_out)
    report = load_weights(model, tmp_path / "a.pth", reinit_head=True)
    assert report.reinitialised == ("head.cls_out.weight", "head.cls_out.bias")
    assert same(snapshot(model.head.cls_out), layer)
    assert torch.equal(model.head.reg_out.weight, b0_detector.head.reg_out.weight)
    assert torch.equal(model.head.cls[3].conv.weight, b0_detector.head.cls[3].conv.weight)


def test_reinit_head_keeps_the_class_layer_even_when_it_would_fit(b0, build, fill, tmp_path):
    torch.save(official(b0), tmp_path / "a.pth")
    model = fill(build("classify", "b0"), seed=3)
    head = snapshot(model.head)
    assert load_weights(model, tmp_path / "a.pth", reinit_head=True).reinitialised == (
        "head.weight",
        "head.bias",
    )
    assert same(snapshot(model.head), head)


def test_reinit_head_excuses_nothing_else(b0, build, tmp_path):
    torch.save(without(NORM)(official(b0)), tmp_path / "a.pth")
    message = refusal(build("classify", "b0", num_classes=3), tmp_path / "a.pth", reinit_head=True)
    assert message == "does not fit the model: missing 1 (backbone.stages.3.norm.weight)"


def test_reinit_head_of_a_backbone_alone_is_kept(b0, blank, tmp_path):
    torch.save(from_native(b0.backbone.state_dict(), "official"), tmp_path / "a.pth")
    report = load_weights(blank, tmp_path / "a.pth", reinit_head=True)
    assert report.kept == ("head.weight", "head.bias")
    assert report.reinitialised == ()


def test_other_anchors_are_another_shape_not_another_class_count(b0_detector, build, tmp_path):
    tensors = from_native(b0_detector.state_dict(), "mmdet", "backbone.")
    for leaf in ("weight", "bias"):
        tensors[f"bbox_head.retina_reg.{leaf}"] = tensors[f"bbox_head.retina_reg.{leaf}"][:4].clone()
        tensors[f"bbox_head.retina_cls.{leaf}"] = tensors[f"bbox_head.retina_cls.{leaf}"][:9].clone()
    torch.save(tensors, tmp_path / "a.pth")
    message = refusal(build("detect", "b0"), tmp_path / "a.pth")
    assert "of another shape 4 (head.cls_out.weight (9, 256, 3, 3), the model's (63, 256, 3, 3), " in message


# --- dtypes and epsilons


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_converted(dtype, b0, blank, tmp_path):
    torch.save({name: tensor.to(dtype) for name, tensor in official(b0).items()}, tmp_path / "a.pth")
    load_weights(blank, tmp_path / "a.pth")
    for name, tensor in blank.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, b0.state_dict()[name].to(dtype).float())


def test_half_model_keeps_its_dtype(b0, blank, tmp_path):
    torch.save(official(b0), tmp_path / "a.pth")
    load_weights(blank.half(), tmp_path / "a.pth")
    assert {tensor.dtype for tensor in blank.state_dict().values()} == {torch.float16}
    assert torch.equal(blank.head.weight, b0.head.weight.half())


def test_values_beyond_a_half_models_range(b0, blank, tmp_path):
    torch.save(changed(NORM, with_value(1e6))(official(b0)), tmp_path / "a.pth")
    assert "(torch.float32 to torch.float16)" in refusal(blank.half(), tmp_path / "a.pth")


def test_mode_and_gradients_stay(b0, blank, tmp_path):
    torch.save(official(b0), tmp_path / "a.pth")
    blank.train()
    blank.head.weight.requires_grad_(False)
    parameter = blank.backbone.stages[0].norm.weight
    load_weights(blank, tmp_path / "a.pth")
    assert blank.training
    assert not blank.head.weight.requires_grad
    assert parameter.requires_grad
    assert parameter is blank.backbone.stages[0].norm.weight


def test_epsilon_reaches_every_norm(b0, blank, tmp_path):
    torch.save(from_native(b0.state_dict(), "official"), tmp_path / "a.pth")
    for module in blank.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = 0.5
    load_weights(blank, tmp_path / "a.pth")
    found = {name: m.eps for name, m in blank.named_modules() if isinstance(m, nn.LayerNorm)}
    assert len(found) == 4 + 6 + 16 + 4  # patch embeds, spatial reductions of stages 1-3, blocks, stages
    for name, eps in found.items():
        assert eps == (1e-5 if name.endswith(("patch_embed.norm", "attn.norm")) else 1e-6), name


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        (None, (1e-5, 1e-6)),  # the model's defaults
        ({"embed_eps": "1e-06", "block_eps": "1e-06"}, (1e-6, 1e-6)),
        ({"embed_eps": "2e-05"}, (2e-5, 1e-6)),
    ],
)
def test_native_epsilons_come_from_the_metadata(metadata, expected, b0, blank, tmp_path):
    save_file(dict(b0.state_dict()), tmp_path / "a.safetensors", metadata)
    load_weights(blank, tmp_path / "a.safetensors")
    assert epsilons(blank) == expected


@pytest.mark.parametrize("text", ["", "small", "nan", "inf", "-1e-6", "0"])
def test_nonsense_epsilons_are_refused(text, b0, blank, tmp_path):
    save_file(dict(b0.state_dict()), tmp_path / "a.safetensors", {"block_eps": text})
    assert f"its metadata say block_eps={text!r}, which is no epsilon" in refusal(blank, tmp_path / "a.safetensors")


def test_unreadable_file_leaves_the_model(blank, tmp_path):
    (tmp_path / "a.pth").write_bytes(b"<html>")
    assert refusal(blank, tmp_path / "a.pth").startswith("is a web page")


# --- the report


def test_summary():
    report = WeightsReport(
        path=Path("runs/b0.pth"),
        dialect="timm",
        variant="b0",
        loaded=("a", "b", "c"),
        left_out=("head.weight", "head.bias"),
        kept=("neck.a", "neck.b", "head.a"),
        reinitialised=("head.cls_out.weight",),
    )
    assert report.summary() == (
        "b0.pth: b0 in the timm dialect, 3 tensors loaded; left out of the file: 2 (head.weight, head.bias); "
        "kept as the model had them: 3 (neck, head); class layer not loaded: 1 (head.cls_out.weight)"
    )
    assert WeightsReport(Path("b"), "native", "b1", ("x",)).summary() == "b: b1 in the native dialect, 1 tensors loaded"


def test_report_accounts_for_every_tensor(b0, build, tmp_path):
    tensors = official(b0)
    torch.save(tensors, tmp_path / "a.pth")
    model = copy.deepcopy(build("detect", "b0"))
    report = load_weights(model, tmp_path / "a.pth")
    assert sorted((*report.loaded, *report.kept)) == sorted(model.state_dict())
    assert len(report.loaded) + len(report.left_out) == len(tensors)
