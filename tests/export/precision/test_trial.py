"""A compiled placement: the answers it gives, the layers it tells, the calls it times."""

from collections import Counter

import numpy as np
import openvino
import pytest

from pvt_edge.export.openvino import save_ir
from pvt_edge.export.precision.layers import find_blocks
from pvt_edge.export.precision.placement import place
from pvt_edge.export.precision.trial import ROUND, Trial, has_bf16, measure
from pvt_edge.runtimes import open_runtime

from .network import network

PRECISIONS = [
    ("fp32", False),
    pytest.param("bf16", True, marks=pytest.mark.skipif(not has_bf16(), reason="no bfloat16 on this CPU")),
]


def test_has_bf16_is_what_the_plugin_says():
    assert has_bf16() == ("BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))


@pytest.mark.parametrize(("precision", "bf16"), PRECISIONS)
def test_a_trial_answers_as_the_runtime_does(detector, scenes, tmp_path, precision, bf16):
    trial = Trial(detector, bf16=bf16)
    assert trial.threads >= 1
    save_ir(detector, tmp_path / "model.xml")
    with open_runtime("openvino", tmp_path / "model.xml", precision=precision) as runtime:
        for picture in scenes[:2]:
            found, wanted = trial.run(picture), runtime.infer({"images": picture})
            assert list(found) == list(wanted) == ["boxes", "scores", "labels"]
            for name, values in wanted.items():
                assert found[name].dtype == values.dtype
                assert found[name] == pytest.approx(values, rel=1e-5, abs=1e-5)


@pytest.mark.skipif(not has_bf16(), reason="no bfloat16 on this CPU")
def test_bf16_is_another_precision(small, scenes):
    exact, rounded = (Trial(small, bf16=bf16).run(scenes[0])["logits"] for bf16 in (False, True))
    assert 1e-5 < np.abs(rounded - exact).max() < 0.05


def test_int8_answers_as_the_runtime_does(tiny, tiny_ranges, scenes, tmp_path):
    model = place(tiny, find_blocks(tiny)[1:9], tiny_ranges)
    save_ir(model, tmp_path / "int8.xml")
    with open_runtime("openvino", tmp_path / "int8.xml") as runtime:
        wanted = runtime.infer({"images": scenes[0]})["logits"]
    assert Trial(model, bf16=has_bf16()).run(scenes[0])["logits"] == pytest.approx(wanted, rel=1e-5, abs=1e-6)


def test_outputs_outlive_the_next_run(small, scenes):
    trial = Trial(small, bf16=False)
    first = trial.run(scenes[0])["logits"]
    kept = first.copy()
    second = trial.run(scenes[1])["logits"]
    assert (first == kept).all()
    assert (first != second).any()


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_a_static_batch_is_filled(scenes, batch):
    trial = Trial(network(batch=batch), bf16=False)
    assert trial.batch == batch
    logits = trial.run(scenes[0])["logits"]
    assert logits.shape == (1, 5)
    assert logits == pytest.approx(Trial(network(), bf16=False).run(scenes[0])["logits"], rel=1e-4, abs=1e-5)


def test_a_dynamic_batch_is_one(dynamic, scenes):
    trial = Trial(dynamic, bf16=False)
    assert trial.batch == 1
    assert trial.run(scenes[0])["logits"].shape == (1, 3)


def test_layers_are_told_with_their_operations(tiny, tiny_ranges, scenes):
    fc1, dwconv = (f"stages.1.blocks.0.mlp.{name}" for name in ("fc1", "dwconv"))
    model = place(tiny, {fc1, dwconv}, tiny_ranges)
    layers = Trial(model, bf16=False, counters=True).layer_ms(scenes[0], runs=2)
    assert all(ms >= 0 for _, _, ms in layers)
    told = {name: kind for names, kind, _ in layers for name in names.split(",")}
    operations = {f"{block}#0" for block in find_blocks(tiny) if not block.endswith("head")}
    assert operations <= set(told)
    assert told[f"{fc1}#0"].split()[0] == "Convolution"
    assert told[f"{fc1}#0"].lower().endswith("i8")
    assert told["stages.0.blocks.0.mlp.fc1#0"].endswith("f32")


def test_runs_are_measured_in_equal_numbers():
    calls, order = Counter(), []

    def run(name: str):
        def call() -> None:
            calls[name] += 1
            order.append(name)

        return call

    found = measure({"a": run("a"), "b": run("b"), "c": run("c")}, 0.02)
    counts = {name: latency.inferences for name, latency in found.items()}
    assert list(counts) == ["a", "b", "c"]
    assert len(set(counts.values())) == 1
    assert counts["a"] >= ROUND
    assert calls == {name: count + ROUND for name, count in counts.items()}  # the first turn warms up
    assert order[: 3 * ROUND + 1] == [*"a" * ROUND, *"b" * ROUND, *"c" * ROUND, "a"]
    for latency in found.values():
        assert 0 <= latency.p50 <= latency.p90 <= latency.p99


def test_no_seconds_are_one_turn():
    assert measure({"a": lambda: None}, 0.0)["a"].inferences == ROUND
    assert measure({}, 0.0) == {}


def test_a_real_model_is_measured(small, scenes):
    trial = Trial(small, bf16=False)
    found = measure({"small": lambda: trial.run(scenes[0])}, 0.02)
    assert found["small"].p50 > 0
