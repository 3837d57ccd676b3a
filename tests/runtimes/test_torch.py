"""The reference runtime, which runs a module and no file."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from pvt_edge.errors import RuntimeInputError, RuntimeMissingError
from pvt_edge.runtimes import TensorSpec
from pvt_edge.runtimes.torch import TorchRuntime

from .contract import INPUTS, OUTPUTS, RuntimeContract

torch = pytest.importorskip("torch", reason="PyTorch is not installed")


class TestTorch(RuntimeContract):
    name = "torch"

    @pytest.fixture
    def opened(self, module):
        return partial(TorchRuntime, module, INPUTS)


class Wrong(torch.nn.Module):
    def forward(self, images):
        return images


class Table(torch.nn.Module):
    """Returns its own buffer, and its input after writing to it."""

    def __init__(self):
        super().__init__()
        self.register_buffer("table", torch.ones(3))

    def forward(self, images):
        return {"table": self.table, "images": images.add_(1)}


def test_module_is_run_once_to_learn_its_outputs(module, images, answers):
    with TorchRuntime(module, INPUTS) as runtime:
        assert runtime.inputs == INPUTS
        assert {spec.name: spec for spec in runtime.outputs} == OUTPUTS
        assert (runtime.precision, runtime.device) == ("fp32", "cpu")
        for name, array in runtime.infer({"images": images}).items():
            np.testing.assert_array_equal(array, answers[name])


def test_free_batch(module, images):
    with TorchRuntime(module, (TensorSpec("images", "uint8", (-1, 48, 64, 3)),)) as runtime:
        assert [spec.shape for spec in runtime.outputs] == [(-1, 10, 4), (-1, 10), (-1, 10)]
        assert runtime.infer({"images": np.repeat(images, 3, 0)})["boxes"].shape == (3, 10, 4)
        with pytest.raises(RuntimeInputError, match=r"expected uint8 \(any, 48, 64, 3\), got uint8 \(0, "):
            runtime.infer({"images": images[:0]})


def test_a_modules_own_tensors_stay_its_own():
    module = Table().eval()
    given = np.zeros((1, 2, 2, 3), np.uint8)
    with TorchRuntime(module, (TensorSpec("images", "uint8", (1, 2, 2, 3)),)) as runtime:
        arrays = runtime.infer({"images": given})
        arrays["table"][:] = 7
        arrays["images"][:] = 7
        assert runtime.infer({"images": given})["table"].tolist() == [1, 1, 1]
    assert not given.any()


@pytest.mark.parametrize(
    ("source", "inputs", "told"),
    [
        (Table(), INPUTS, r"Table is in training mode: call \.eval\(\)"),
        (Table().eval(), None, r"Table does not say what its inputs are: pass inputs=\(TensorSpec\("),
        (Table().eval(), (TensorSpec("images", "uint8", (1, -1, 8, 3)),), "only the first axis"),
        ("model.pt2", None, "runs a module, got 'model.pt2'"),
        (Wrong().eval(), INPUTS, "Wrong must return a dict of tensors by name, not Tensor"),
    ],
)
def test_modules_it_refuses(source, inputs, told):
    with pytest.raises(RuntimeInputError, match=told):
        TorchRuntime(source, inputs)


@pytest.mark.parametrize(("dtype", "precision"), [(torch.bfloat16, "bf16"), (torch.float64, "fp64")])
def test_reports_the_precision_of_the_weights(dtype, precision):
    class Half(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.tensor([0.5], dtype=dtype))

        def forward(self, images):
            return {"mean": images.to(dtype).mean((1, 2, 3)) * self.scale}

    inputs = (TensorSpec("images", "uint8", (1, 2, 2, 3)),)
    with TorchRuntime(Half().eval(), inputs) as runtime:
        assert runtime.precision == precision
        assert runtime.infer({"images": np.full((1, 2, 2, 3), 8, np.uint8)})["mean"].tolist() == [4.0]
    with pytest.raises(RuntimeInputError, match=f"holds {precision}, asked for fp32"):
        TorchRuntime(Half().eval(), inputs, precision="fp32")


def test_threads_hold_during_infer_only(module, images):
    before = torch.get_num_threads()
    with TorchRuntime(module, INPUTS, threads=before + 1) as runtime:
        runtime.infer({"images": images})
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("asked", ["cuda:0", "cuda:2", "cpu"])
def test_another_device_than_the_modules_is_refused(module, monkeypatch, asked):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(module, "parameters", lambda: [SimpleNamespace(device=torch.device("cuda:1"))])
    with pytest.raises(RuntimeInputError, match=rf"is on cuda:1, asked for {asked}: call .to\('{asked}'\)"):
        TorchRuntime(module, INPUTS, device=asked)


def test_devices(module):
    for device in ("tpu", "cpu:x"):
        with pytest.raises(RuntimeMissingError, match=f"torch has no device '{device}' here"):
            TorchRuntime(module, INPUTS, device=device)
    if torch.cuda.is_available():
        pytest.skip("CUDA is here: nothing to refuse")
    with pytest.raises(RuntimeMissingError, match="sees no CUDA device here: use device 'cpu'"):
        TorchRuntime(module, INPUTS, device="cuda")
