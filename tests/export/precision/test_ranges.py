"""Ranges against numpy's minimum and maximum of the tensors themselves."""

import numpy as np
import pytest

from pvt_edge.export.precision.layers import find_layers, observe, producer

from .network import network, values_at


def read_tensors(model) -> dict[str, str]:
    """Key of a layer's input -> the operation that computed it, by walking the graph once more."""
    return {
        key: producer(layer.op.input_value(index)).get_node().get_friendly_name()
        for layer in find_layers(model)
        for key, index in layer.inputs
    }


def extremes(model, batches) -> dict[str, np.ndarray]:
    """(batches, 2): lowest and highest value of what each layer reads."""
    tensors = read_tensors(model)
    names = list(dict.fromkeys(tensors.values()))
    rows = [[(values.min(), values.max()) for values in values_at(model, names, batch)] for batch in batches]
    found = dict(zip(names, np.array(rows, np.float64).transpose(1, 0, 2), strict=True))
    return {key: found[name] for key, name in tensors.items()}


@pytest.mark.parametrize("case", ["small", "tiny"])
def test_ranges_are_the_mean_extremes(case, request, scenes):
    model = request.getfixturevalue(case)
    ranges = request.getfixturevalue(f"{case}_ranges")
    assert list(ranges) == [key for layer in find_layers(model) for key, _ in layer.inputs]
    for key, rows in extremes(model, scenes).items():
        assert ranges[key] == pytest.approx(rows.mean(axis=0), rel=1e-4, abs=1e-5), key


def test_one_picture():
    picture = np.random.default_rng(0).integers(0, 256, (1, 64, 96, 3), np.uint8)
    found = observe(network(), [picture], "images")
    low, high = found["stages.0.patch_embed#0:0"]
    assert (low, high) == pytest.approx(((picture.min() - 128.0) / 64, (picture.max() - 128.0) / 64))


def test_an_odd_picture_does_not_set_the_range(small, scenes):
    glare = np.full_like(scenes[0], 255)
    glare[:, ::2] = 0
    pictures = [*scenes, *scenes, glare]
    found, rows = observe(small, pictures, "images"), extremes(small, pictures)
    head, logits = found["head#0:0"], rows["head#0:0"]
    assert head == pytest.approx(logits.mean(axis=0), rel=1e-4)
    widest = logits[:, 1].max()
    assert logits[-1, 1] == widest  # the odd one is the widest
    assert head[1] < 0.75 * widest


def test_the_extremes_of_a_batch_count_once(scenes):
    model = network(batch=2)
    batches = [np.concatenate(scenes[:2]), np.concatenate([scenes[2]] * 2)]
    found = observe(model, batches, "images")
    for key, rows in extremes(model, batches).items():
        assert found[key] == pytest.approx(rows.mean(axis=0), rel=1e-4, abs=1e-5), key
    each = observe(network(), scenes, "images")
    assert any(abs(found[key][1] - each[key][1]) > 1e-3 for key in found)  # extremes of two are not the mean of each's


def test_both_forms_of_a_model_have_the_same_ranges(tiny_ranges, dynamic_ranges):
    """What was observed in OpenVINO's form is used in ONNX Runtime's."""
    assert set(tiny_ranges) == set(dynamic_ranges)
    for key, bounds in tiny_ranges.items():
        assert dynamic_ranges[key] == pytest.approx(bounds, rel=2e-3, abs=2e-4), key
