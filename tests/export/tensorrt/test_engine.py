"""build_engine and its options, with TensorRT-RTX, which builds without a GPU."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pvt_edge.engines.engine import _read_cache, build_engine
from pvt_edge.engines.layer_list import read_layers
from pvt_edge.errors import ExportError, PvtEdgeError
from pvt_edge.options.build import BuildOptions

SM86 = BuildOptions(target=("sm86",))
BLOCK = "stages.0.blocks.1.mlp.fc1"


def network(operator: str = "Relu", batch: int | str = 1) -> onnx.ModelProto:
    """x (B, 8, 4, 4) half -> y: a convolution called as a layer of a block, and `operator` in the same block."""
    weight = numpy_helper.from_array(np.ones((8, 8, 1, 1), np.float16), "w")
    shape = [batch, 8, 4, 4]
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w"], ["c"], f"{BLOCK}#0"),
            helper.make_node(operator, ["c"], ["y"], f"{BLOCK}#1", domain="" if operator == "Relu" else "made.up"),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT16, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT16, shape)],
        [weight],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("made.up", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


@pytest.fixture
def save(tmp_path):
    def write(model):
        path = tmp_path / "model.onnx"
        path.write_bytes(model.SerializeToString() if isinstance(model, onnx.ModelProto) else model)
        return path

    return write


def test_engine_layers_and_progress(save, rtx):
    told = []
    built = build_engine(save(network()), rtx, SM86, progress=lambda *step: told.append(step))
    assert len(built.plan) > 1000
    assert built.seconds > 0
    (layer,) = [layer for layer in read_layers(built.messages) if layer.matrix_product]
    assert layer.blocks == (BLOCK,)
    assert (layer.inputs[0].shape, layer.inputs[0].dtype, layer.inputs[0].bytes) == ((1, 8, 4, 4), "Half", 256)
    phases = {phase for phase, _, _ in told}
    assert len(phases) == 1  # the outermost, or a log would have a thousand lines
    assert all(0 <= done <= total for _, done, total in told)
    assert told[-1][1] == told[-1][2]


def test_ctrl_c_stops_the_build(save, rtx):
    def interrupt(*step):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_engine(save(network()), rtx, SM86, progress=interrupt)


def test_an_unsupported_operator_in_the_parsers_words(save, rtx):
    with pytest.raises(ExportError) as caught:
        build_engine(save(network("Wavelet")), rtx, SM86)
    message = str(caught.value)
    assert f"{BLOCK} (Wavelet): " in message
    assert "model.onnx" in message
    assert "\n" not in message


@pytest.mark.parametrize("content", [b"", b"no onnx at all", b"\xff" * 100])
def test_a_file_that_is_no_onnx(save, rtx, content):
    with pytest.raises(ExportError, match=r"does not take model\.onnx: .*: export it again with pvt-edge export"):
        build_engine(save(content), rtx, SM86)


def test_a_truncated_file(save, rtx, graph_files):
    content = graph_files("b0")["fp16"].read_bytes()
    with pytest.raises(ExportError, match=r"does not take model\.onnx"):
        build_engine(save(content[: len(content) // 2]), rtx, SM86)


def test_dynamic_batch(save, rtx):
    path = save(network(batch="batch"))
    with pytest.raises(ExportError, match=r"takes any batch: say which the engine is for.*1,4,16"):
        build_engine(path, rtx, SM86)
    assert build_engine(path, rtx, BuildOptions(target=("sm86",), batches=(1, 2, 4))).plan
    with pytest.raises(ExportError, match=r"the graph's batch is 1 and no other: leave the profile out"):
        build_engine(save(network()), rtx, BuildOptions(target=("sm86",), batches=(1, 2, 4)))


class Config:
    """A builder's config, as far as a timing cache goes: it takes what starts with "good" and nothing."""

    def __init__(self):
        self.cache = None

    def create_timing_cache(self, content):
        return content if content in (b"", b"good", b"other GPU") else None

    def set_timing_cache(self, cache, ignore_mismatch):
        assert ignore_mismatch is False
        self.cache = None if cache == b"other GPU" else cache
        return self.cache is not None


@pytest.mark.parametrize(("held", "taken"), [(None, b""), (b"good", b"good"), (b"broken", b""), (b"other GPU", b"")])
def test_a_timing_cache_that_does_not_fit_is_begun_anew(tmp_path, held, taken):
    path = tmp_path / "timing.cache"
    if held is not None:
        path.write_bytes(held)
    config = Config()
    assert _read_cache(config, BuildOptions(timing_cache=path)) == config.cache == taken
    assert _read_cache(config, BuildOptions()) is None


@pytest.mark.parametrize(("place", "told"), [("", "Is a directory"), ("file/timing.cache", "File exists")])
def test_a_timing_cache_that_cannot_be_kept_is_told_before_the_build(tmp_path, place, told):
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match=f"cannot keep the timing cache .*{told}.*--timing-cache"):
        _read_cache(Config(), BuildOptions(timing_cache=tmp_path / place))


def test_tensorrt_rtx_keeps_no_timing_cache(save, rtx, tmp_path):
    build_engine(save(network()), rtx, BuildOptions(target=("sm86",), timing_cache=tmp_path / "timing.cache"))
    assert not (tmp_path / "timing.cache").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"opt_level": 6}, "the optimisation level is 0 to 5, got 6"),
        ({"workspace_mib": 0}, "the workspace is at least 1 MiB, got 0"),
        ({"hardware_compat": "ampere"}, "unknown hardware compatibility 'ampere': did you mean 'ampere+'"),
        ({"batches": (4, 2, 8)}, "each no less than the one before; got 4,2,8"),
        ({"target": ("sm87",)}, "cannot build for 'sm87': it knows sm"),
        ({"target": ("sm90",)}, "sm90 Hopper"),
        ({"target": ("orin",)}, "cannot build for 'orin'"),
    ],
)
def test_options_are_checked(rtx, options, told):
    with pytest.raises(PvtEdgeError) as caught:
        BuildOptions(**{"target": ("sm86",)} | options).check_for(rtx)
    assert told in str(caught.value)


def test_targets_are_tensorrt_rtx_s(rtx):
    import dataclasses

    plain = dataclasses.replace(rtx, name="tensorrt")
    with pytest.raises(ExportError, match="only TensorRT-RTX builds for other GPUs"):
        BuildOptions(target=("sm86",)).check_for(plain)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "defaults"),
        ({"timing_cache": "x"}, "defaults"),  # changes how long, not what
        (
            {"opt_level": 3, "workspace_mib": 512, "hardware_compat": "ampere+", "version_compatible": True},
            "opt-level 3, workspace 512 MiB, hardware-compat ampere+, version-compatible",
        ),
        ({"target": ("sm86", "sm89"), "batches": (1, 2, 4)}, "target sm86,sm89, batch 1/2/4"),
    ],
)
def test_words(options, words):
    assert BuildOptions(**options).words() == words


def test_options_that_tensorrt_rtx_takes(save, rtx):
    options = BuildOptions(target=("sm86", "sm89"), workspace_mib=64, opt_level=1, version_compatible=False)
    assert build_engine(save(network()), rtx, options).plan
