"""OpenVINO: the contract in fp32, and the proof that each precision is what really runs."""

import os
import subprocess
import sys

import numpy as np
import pytest

from pvt_edge.errors import BundleError, RuntimeInputError, RuntimeMissingError
from pvt_edge.runtimes.openvino import OpenVinoRuntime

from .contract import FileContract

openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed")
HAS = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
needs_bf16 = pytest.mark.skipif("BF16" not in HAS, reason="this CPU has no bf16")


class TestOpenVino(FileContract):
    name = "openvino"

    @pytest.fixture
    def file(self, openvino_file):
        return openvino_file

    @pytest.mark.parametrize("kept", [0, 0.5])
    def test_truncated_weights(self, file, tmp_path, kept):
        self.copy(file, tmp_path)
        weights = tmp_path / f"{file.stem}.bin"
        weights.write_bytes(weights.read_bytes()[: int(weights.stat().st_size * kept)])
        self.refuses(tmp_path / file.name)

    def test_missing_weights(self, file, tmp_path):
        (tmp_path / file.name).write_bytes(file.read_bytes())
        self.refuses(tmp_path / file.name)


@pytest.fixture(scope="module")
def int8_file(folder):
    """A convolution with FakeQuantize on its pixels and its weights, as a quantiser writes it."""
    from openvino import opset13 as ops

    rng = np.random.default_rng(0)
    images = ops.parameter([1, 48, 64, 3], np.uint8, name="images")
    images.output(0).set_names({"images"})
    planes = ops.transpose(ops.convert(images, "f32"), np.array([0, 3, 1, 2]))
    pixels = ops.fake_quantize(planes, np.float32(0), np.float32(255), np.float32(0), np.float32(255), 256)
    weights = rng.normal(0, 0.1, (16, 3, 3, 3)).astype(np.float32)
    bounds = [np.float32(side) for side in (-0.4, 0.4, -0.4, 0.4)]
    quantised = ops.fake_quantize(ops.constant(weights), *bounds, 255)
    conv = ops.convolution(pixels, quantised, [2, 2], [1, 1], [1, 1], [1, 1])
    answer = ops.sigmoid(
        ops.matmul(
            ops.reduce_mean(conv, np.array([2, 3])),
            rng.normal(0, 1, (16, 8)).astype(np.float32),
            False,
            False,
        )
    )
    answer.output(0).set_names({"scores"})
    openvino.save_model(openvino.Model([answer], [images]), folder / "int8.xml", compress_to_fp16=False)
    return folder / "int8.xml"


def convolutions(runtime):
    return [precision for _, kind, precision in runtime.layers() if kind == "Convolution"]


def largest_difference(file, precision, images, answers):
    with OpenVinoRuntime(file, precision=precision) as runtime:
        assert runtime.precision == precision
        arrays = runtime.infer({"images": images})
        return float(np.abs(arrays["scores"] - answers["scores"]).max()), convolutions(runtime)


def test_fp32_is_float32(openvino_file, onnx_file, images, answers):
    from pvt_edge.runtimes.onnxruntime import OnnxRuntime

    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    with OnnxRuntime(onnx_file) as runtime:
        oracle = runtime.infer({"images": images})
    difference, layers = largest_difference(openvino_file, "fp32", images, oracle)
    assert difference < 1e-5
    assert layers == ["f32"] * 3


@needs_bf16
def test_bf16_is_not_float32(openvino_file, images, answers):
    difference, layers = largest_difference(openvino_file, "bf16", images, answers)
    assert layers == ["bf16"] * 3
    assert 1e-5 < difference < 0.05  # bfloat16 keeps 8 bits: it must show, and must not spoil the scores


@needs_bf16
def test_auto_takes_bf16_where_the_cpu_has_it(openvino_file):
    with OpenVinoRuntime(openvino_file) as runtime:
        assert runtime.precision == runtime.float_precision == "bf16"


@pytest.mark.skipif("BF16" in HAS, reason="this CPU has bf16")
def test_auto_takes_fp32_elsewhere(openvino_file):
    with OpenVinoRuntime(openvino_file) as runtime:
        assert runtime.precision == "fp32"


@pytest.mark.skipif("FP16" not in HAS, reason="this CPU has no fp16")
def test_fp16_runs_where_the_cpu_has_it(openvino_file, images, answers):
    difference, layers = largest_difference(openvino_file, "fp16", images, answers)
    assert layers == ["f16"] * 3
    assert 1e-5 < difference < 0.01


def test_a_precision_the_cpu_has_not(openvino_file):
    """In another process: oneDNN's ISA limit hides float16 from OpenVINO on CPUs that have it."""
    script = "import sys; from pvt_edge.runtimes import open_runtime as o; o(*sys.argv[1:], precision='fp16')"
    done = subprocess.run(
        [sys.executable, "-c", script, "openvino", str(openvino_file)],
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"},
        cwd="/",  # not the checkout, whose pvt_edge folder is not the whole package
        capture_output=True,
        text=True,
    )
    told = done.stderr.splitlines()[-1]
    assert told.startswith("pvt_edge.errors.RuntimeMissingError: this CPU cannot run fp16: it has fp32")


def test_int8_model(int8_file, images):
    with OpenVinoRuntime(int8_file) as runtime, OpenVinoRuntime(int8_file, precision="int8") as asked:
        assert runtime.precision == asked.precision == "int8"
        assert runtime.float_precision == ("bf16" if "BF16" in HAS else "fp32")
        assert convolutions(runtime) == ["u8"]
        arrays = runtime.infer({"images": images})
        np.testing.assert_array_equal(arrays["scores"], asked.infer({"images": images})["scores"])


def test_an_approximation_runs_as_auto_does(openvino_file):
    with OpenVinoRuntime(openvino_file, precision="approx") as runtime, OpenVinoRuntime(openvino_file) as auto:
        assert runtime.precision == "approx"
        assert runtime.float_precision == auto.float_precision


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16", "approx"])
def test_int8_model_is_nothing_else(int8_file, precision):
    with pytest.raises(RuntimeInputError, match=f"is an int8 model, asked for {precision}: ask for int8 or auto"):
        OpenVinoRuntime(int8_file, precision=precision)


def test_int8_of_a_model_that_is_not(openvino_file):
    with pytest.raises(RuntimeInputError, match="is not quantised, asked for int8: take auto, or export --int8"):
        OpenVinoRuntime(openvino_file, precision="int8")


def test_free_batch(free_batch_onnx_file, images):
    with OpenVinoRuntime(free_batch_onnx_file, precision="fp32") as runtime:  # it reads ONNX too
        assert runtime.inputs[0].shape == (-1, 48, 64, 3)
        assert runtime.infer({"images": np.repeat(images, 2, 0)})["boxes"].shape == (2, 10, 4)


def test_no_such_device(openvino_file):
    with pytest.raises(RuntimeMissingError, match=r"OpenVINO sees no device 'tpu' here: it sees .*cpu"):
        OpenVinoRuntime(openvino_file, device="tpu")


def test_cache(openvino_file, images, answers, tmp_path):
    for _ in range(2):
        with OpenVinoRuntime(openvino_file, precision="fp32", cache_dir=tmp_path) as runtime:
            arrays = runtime.infer({"images": images})
        np.testing.assert_allclose(arrays["boxes"], answers["boxes"], rtol=0, atol=1e-4)
    assert list(tmp_path.glob("*.blob"))


def test_cache_that_cannot_be_written(openvino_file, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BundleError):
        OpenVinoRuntime(openvino_file, cache_dir=tmp_path / "file" / "cache")


TWO_MODELS = """
import os, signal, sys, threading
from pvt_edge.runtimes import open_runtime

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
first, second = (open_runtime("openvino", sys.argv[1]) for _ in range(2))
first.close()
second.close()
try:
    os.kill(os.getpid(), signal.SIGINT)
    threading.Event().wait(10)
except KeyboardInterrupt:
    print("stopped")
"""


def test_ctrl_c_stops_after_two_models_were_closed_and_does_not_crash(openvino_file, tmp_path):
    command = [sys.executable, "-c", TWO_MODELS, str(openvino_file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.stdout, done.returncode) == ("stopped\n", 0), done.stderr


def test_few_threads_are_bound_to_no_core(int8_file):
    """Else several processes of few threads each share one core: OpenVINO binds them all to the same."""
    with OpenVinoRuntime(int8_file, threads=1) as runtime:
        assert runtime._compiled.get_property("ENABLE_CPU_PINNING") is False
