"""Which of a file's models is loaded: envelopes, averaged weights beside others, what lies beside the model."""

import copy

import pytest
import torch

from pvt_edge.checkpoints import load_weights
from pvt_edge.checkpoints.candidates import says_averaged
from pvt_edge.checkpoints.opening import summarise_checkpoint
from pvt_edge.checkpoints.translation import from_native
from pvt_edge.errors import WeightsError


@pytest.fixture(scope="session")
def states(b0):
    """(not averaged, averaged) of one classifier in timm's names; they differ in every tensor."""
    current = from_native(b0.state_dict(), "timm")
    return current, {name: tensor + 0.5 for name, tensor in current.items()}


@pytest.fixture
def blank(build):
    """A new b0 classifier of zeros."""
    return build("classify", "b0")


def under(prefix, state):
    return {prefix + name: tensor for name, tensor in state.items()}


def flat(state):
    """As mmcv's EMAHook names its buffers."""
    return {f"ema_{name.replace('.', '_')}": tensor for name, tensor in state.items()}


def taken(model, states) -> str:
    bias = model.state_dict()["head.bias"]
    return next(
        kind for kind, state in zip(("current", "averaged"), states, strict=True) if bias.equal(state["head.bias"])
    )


@pytest.mark.parametrize(
    "envelope",
    [
        *("net", "network", "weights", "params", "student", "teacher", "model_ema", "ema", "generator", "my_model"),
        *("state_dict_ema", "ema_state_dict", "params_ema", "best_model_state", "backbone", "model.state_dict"),
        "ckpt.net.w",
    ],
)
def test_the_model_is_found_in_any_envelope(envelope, states, blank, tmp_path):
    content = states[0]
    for key in reversed(envelope.split(".")):
        content = {key: content, "epoch": 3}
    torch.save(content, tmp_path / "a.pth")
    report = load_weights(blank, tmp_path / "a.pth")
    assert taken(blank, states) == "current"
    assert report.entry == envelope
    assert report.averaged == says_averaged(envelope)
    assert report.others == ()


STEPS = {"steps": torch.tensor(3)}
BOTH = {  # content of (current, averaged) -> which is taken by default, the other's entry
    "timm": (lambda c, a: {"state_dict": c, "state_dict_ema": a}, "averaged", "state_dict"),
    "DeiT": (lambda c, a: {"model": c, "model_ema": a, "args": {}}, "current", "model_ema"),
    "DeiT, wrapped": (lambda c, a: {"model": c, "model_ema": {"module": a}}, "current", "model_ema.module"),
    "names of others": (lambda c, a: {"params": c, "params_ema": a}, "averaged", "params"),
    "an ema alone beside": (lambda c, a: {"model": c, "ema": a, "updates": 3}, "averaged", "model"),
    "teacher": (lambda c, a: {"student": under("module.", c), "teacher": a}, "averaged", "student"),
    "Lightning callback": (
        lambda c, a: {"state_dict": under("model.", c), "callbacks": {"EMA": {"ema_state_dict": a}}},
        *("averaged", "state_dict"),
    ),
    "Lightning WeightAveraging": (
        lambda c, a: {"state_dict": under("model.", a), "current_model_state": under("model.", c)},
        *("averaged", "current_model_state"),
    ),
    "Lightning module": (
        lambda c, a: {
            "state_dict": {**under("model.", c), **under("ema_model.module.", a), "ema_model.n_averaged": torch.ones(1)}
        },
        *("averaged", "state_dict.model"),
    ),
    "under no prefix": (lambda c, a: {**c, **under("ema.", a)}, "averaged", ""),
    "mmengine": (
        lambda c, a: {"state_dict": a, "ema_state_dict": {**under("module.", c), **STEPS}},
        *("averaged", "ema_state_dict"),
    ),
    "mmcv": (lambda c, a: {"meta": {}, "state_dict": {**a, **flat(c)}}, "averaged", "state_dict.ema_*"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BOTH)
def test_averaged_weights_beside_others(kind, states, blank, tmp_path):
    content, default, other = BOTH[kind]
    path = tmp_path / "last.pth"
    torch.save(content(*states), path)
    report = load_weights(blank, path)
    assert taken(blank, states) == default
    assert report.averaged == (default == "averaged")
    assert report.others == (other,)
    option = "--no-ema (ema=False in Python)" if report.averaged else "--ema (ema=True in Python)"
    assert option in report.summary()
    for ema, kept in ((True, "averaged"), (False, "current")):
        load_weights(blank, path, ema=ema)
        assert taken(blank, states) == kept


@pytest.mark.parametrize(
    ("key", "ema", "reason"),
    [
        ("state_dict", True, "holds no averaged weights: leave --ema"),
        ("state_dict_ema", False, "holds no other than averaged weights: leave --no-ema"),
    ],
)
def test_weights_that_are_not_there(key, ema, reason, states, blank, tmp_path):
    torch.save({key: states[0]}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match=reason):
        load_weights(blank, tmp_path / "a.pth", ema=ema)


@pytest.mark.parametrize(
    "content",
    [
        lambda state: {"rgb": state, "depth": state},
        lambda state: {**under("rgb.", state), **under("depth.", state)},
        lambda state: {**under("encoder_q.", state), **under("encoder_k.", state)},
    ],
    ids=["entries", "prefixes", "contrastive"],
)
def test_two_models_are_not_guessed_between(content, states, blank, tmp_path):
    torch.save(content(states[0]), tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="save the one to load alone"):
        load_weights(blank, tmp_path / "a.pth")


def test_averaged_model_of_torch(states, b0, blank, tmp_path):
    averaged = torch.optim.swa_utils.AveragedModel(copy.deepcopy(b0))
    torch.save(averaged.state_dict(), tmp_path / "swa.pth")
    report = load_weights(blank, tmp_path / "swa.pth")
    assert report.left_out == ("n_averaged",)
    assert report.averaged


@pytest.mark.parametrize("form", [{}, {"_use_new_zipfile_serialization": False}], ids=["zip", "legacy"])
@pytest.mark.parametrize(
    "wrap",
    [lambda m: m, lambda m: {"ema": m, "epoch": 1}, torch.nn.DataParallel],
    ids=["alone", "as EMA", "DataParallel"],
)
def test_whole_module(wrap, form, b0, blank, states, tmp_path):
    torch.save(wrap(copy.deepcopy(b0)), tmp_path / "a.pt", **form)
    load_weights(blank, tmp_path / "a.pt")
    assert taken(blank, states) == "current"


BESIDE = {
    "Lightning": ("model.", ("criterion.weight", "val_acc.tp", "train_f1.fp", "lossWeight")),
    "under no prefix": ("", ("criterion.weight", "val_acc.tp", "loss_fn.pos_weight", "metrics.MeanMetric.value")),
    "thop": ("", ("total_ops", "stages.0.blocks.0.attn.total_params")),
    "thop in a wrapper": ("module.", ("module.stages.0.blocks.0.attn.q.total_ops",)),
    "another part of Lightning's module": ("net.", ("decoder.weight",)),
}


@pytest.mark.parametrize("kind", BESIDE)
def test_what_lies_beside_the_model_is_left_out_and_said(kind, states, blank, tmp_path):
    prefix, names = BESIDE[kind]
    beside = {name: torch.ones(1) for name in names}
    torch.save({"state_dict": {**under(prefix, states[0]), **beside}}, tmp_path / "last.ckpt")
    report = load_weights(blank, tmp_path / "last.ckpt")
    assert set(report.left_out) == beside.keys()
    assert "left out of the file" in report.summary()
    assert taken(blank, states) == "current"


@pytest.mark.parametrize(
    ("prefix", "layer"),
    [
        ("", "fc"),
        ("", "classifier"),
        ("", "head.fc"),
        ("", "classifier.1"),
        ("module.", "module.fc"),
        ("model.", "fc"),
        ("model.", "model.head_cls"),
        ("backbone.", "fc"),
        ("backbone.", "lastLinear"),
        ("encoder.", "cls_head.out"),
    ],
)
def test_class_layer_of_another_name(prefix, layer, states, blank, tmp_path):
    state = under(prefix, {name: tensor for name, tensor in states[0].items() if not name.startswith("head.")})
    head = {f"{layer}.{leaf}": states[0][f"head.{leaf}"] for leaf in ("weight", "bias")}
    torch.save({"state_dict": {**state, **head, "criterion.fc.weight": torch.ones(7, 256)}}, tmp_path / "a.ckpt")
    report = load_weights(blank, tmp_path / "a.ckpt")
    assert taken(blank, states) == "current"
    assert report.class_layer == layer
    assert layer in report.summary()
    assert report.kept == ()
    assert report.left_out == ("criterion.fc.weight",)
    assert summarise_checkpoint(tmp_path / "a.ckpt").num_classes == 7


@pytest.mark.parametrize("hidden", ["fc1", "head.0", "neck.fc"])
def test_a_hidden_layer_is_no_class_layer(hidden, states, blank, tmp_path):
    state = {name: tensor for name, tensor in states[0].items() if not name.startswith("head.")}
    state |= {f"{hidden}.weight": torch.ones(64, 256), f"{hidden}.bias": torch.ones(64)}
    state |= {"fc2.weight": torch.ones(7, 64), "fc2.bias": torch.ones(7)}
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="unexpected 4"):
        load_weights(blank, tmp_path / "a.pth")


def test_class_layer_of_another_name_stays_out_of_a_detector(states, build, tmp_path):
    state = {name.replace("head.", "fc."): tensor for name, tensor in states[0].items()}
    torch.save(state, tmp_path / "a.pth")
    report = load_weights(build("detect", "b0"), tmp_path / "a.pth")
    assert set(report.left_out) == {"fc.weight", "fc.bias"}
    assert report.class_layer is None
