"""What every runtime must do. Of a runtime that opens files the test class inherits `FileContract` and says which."""

import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from pvt_edge.errors import BundleError, RuntimeInputError, UnknownNameError
from pvt_edge.runtimes import Runtime, TensorSpec, open_runtime

INPUTS = (TensorSpec("images", "uint8", (1, 48, 64, 3)),)
OUTPUTS = {
    "boxes": TensorSpec("boxes", "float32", (1, 10, 4)),
    "scores": TensorSpec("scores", "float32", (1, 10)),
    "labels": TensorSpec("labels", "int64", (1, 10)),
}
GIVEN = {  # what is fed -> what the message must say of it, and the mend
    "float": (lambda x: x.astype(np.float32), "got float32 (1, 48, 64, 3): pass HWC BGR pixels 0..255"),
    "planes": (lambda x: x.transpose(0, 3, 1, 2), "got uint8 (1, 3, 48, 64): pass HWC BGR pixels 0..255"),
    "no batch": (lambda x: x[0], "got uint8 (48, 64, 3): add the batch axis, array[None]"),
    "two": (lambda x: np.repeat(x, 2, 0), "got uint8 (2, 48, 64, 3): pass 1 at a time"),
    "none": (lambda x: x[:0], "got uint8 (0, 48, 64, 3): pass 1 at a time"),
    "size": (lambda x: x[:, :32], "got uint8 (1, 32, 64, 3): resize the pictures"),
    "list": (lambda x: x.tolist(), "got list: pass a numpy array"),
}


class RuntimeContract:
    """Subclasses set `name`, the fixture `opened`, and where needed `device`, `precision` and `tolerance`."""

    name: str
    device = "cpu"
    precision = "fp32"
    tolerance = 1e-4

    @pytest.fixture
    def opened(self):
        """What opens the runtime with precision, device and threads as `open_runtime` takes them."""
        raise NotImplementedError

    @pytest.fixture
    def runtime(self, opened):
        with opened(precision=self.precision, device=self.device) as runtime:
            yield runtime

    def test_says_what_it_is(self, runtime):
        assert isinstance(runtime, Runtime)
        assert (runtime.name, runtime.precision, runtime.device) == (self.name, self.precision, self.device)
        assert runtime.inputs == INPUTS
        assert runtime.batch_range == (1, 1)
        assert {spec.name: spec for spec in runtime.outputs} == OUTPUTS

    def test_gives_the_models_answers(self, runtime, images, answers):
        arrays = runtime.infer({"images": images})
        assert list(arrays) == [spec.name for spec in runtime.outputs]
        for name, array in arrays.items():
            assert (array.dtype.name, array.shape) == (OUTPUTS[name].dtype, OUTPUTS[name].shape)
            np.testing.assert_allclose(array, answers[name], rtol=0, atol=self.tolerance, err_msg=name)

    def test_outputs_belong_to_the_caller(self, runtime, images):
        first = runtime.infer({"images": images})
        kept = {name: array.copy() for name, array in first.items()}
        second = runtime.infer({"images": 255 - images})
        for name, array in first.items():
            np.testing.assert_array_equal(array, kept[name], err_msg=f"{name} changed under the second call")
            assert not np.shares_memory(array, second[name])
            array[...] = 0  # and it can be written to
        assert not np.array_equal(second["scores"], kept["scores"])

    def test_outputs_outlive_the_runtime(self, runtime, images, answers):
        arrays = runtime.infer({"images": images})
        runtime.close()
        np.testing.assert_allclose(arrays["boxes"], answers["boxes"], rtol=0, atol=self.tolerance)

    def test_is_deterministic(self, runtime, images):
        first, second = runtime.infer({"images": images}), runtime.infer({"images": images})
        for name in first:
            np.testing.assert_array_equal(first[name], second[name])

    def test_takes_arrays_that_are_not_contiguous(self, runtime, images, answers):
        mirrored = np.ascontiguousarray(images[..., ::-1, ::-1])[..., ::-1, ::-1]
        assert not mirrored.flags.c_contiguous
        arrays = runtime.infer({"images": mirrored})
        np.testing.assert_allclose(arrays["boxes"], answers["boxes"], rtol=0, atol=self.tolerance)

    def test_leaves_its_input_alone(self, runtime, images):
        given = images.copy()
        given.flags.writeable = False
        runtime.infer({"images": given})
        np.testing.assert_array_equal(given, images)

    @pytest.mark.parametrize("given", GIVEN)
    def test_refuses_other_dtypes_and_shapes(self, runtime, images, given):
        change, told = GIVEN[given]
        with pytest.raises(RuntimeInputError) as caught:
            runtime.infer({"images": change(images)})
        message = str(caught.value)
        assert message.startswith(f"input 'images': expected uint8 (1, 48, 64, 3), {told}")
        assert "\n" not in message

    def test_refuses_unknown_names(self, runtime, images):
        with pytest.raises(RuntimeInputError, match=r"unknown input 'image': did you mean 'images'\?.*uint8 \(1"):
            runtime.infer({"image": images})
        with pytest.raises(RuntimeInputError, match="unknown input 'xyz': the model takes 'images'"):
            runtime.infer({"images": images, "xyz": images})

    def test_refuses_missing_names(self, runtime):
        with pytest.raises(RuntimeInputError, match="missing input 'images': the model takes 'images': uint8"):
            runtime.infer({})

    def test_refuses_a_bare_array(self, runtime, images):
        with pytest.raises(RuntimeInputError, match=r"infer takes a dict of arrays by input name.*got ndarray"):
            runtime.infer(images)

    def test_runs_again_after_a_refusal(self, runtime, images, answers):
        with pytest.raises(RuntimeInputError):
            runtime.infer({"images": images[0]})
        arrays = runtime.infer({"images": images})
        np.testing.assert_allclose(arrays["boxes"], answers["boxes"], rtol=0, atol=self.tolerance)

    def test_closes_twice_and_then_refuses(self, runtime, images):
        runtime.close()
        runtime.close()
        with pytest.raises(RuntimeInputError, match="closed: open it again"):
            runtime.infer({"images": images})

    def test_is_a_context_manager(self, opened, images):
        with opened() as runtime:
            runtime.infer({"images": images})
        with pytest.raises(RuntimeInputError, match="closed"):
            runtime.infer({"images": images})

    def test_threads(self, opened, images, answers):
        with opened(precision=self.precision, threads=1) as runtime:
            arrays = runtime.infer({"images": images})
        np.testing.assert_allclose(arrays["boxes"], answers["boxes"], rtol=0, atol=self.tolerance)
        with pytest.raises(RuntimeInputError, match=r"threads must be at least 1.*got 0"):
            opened(threads=0)

    def test_unknown_precision(self, opened):
        with pytest.raises(UnknownNameError, match="unknown precision 'fp61': did you mean 'fp16'"):
            opened(precision="fp61")


class FileContract(RuntimeContract):
    """Subclasses set the fixture `file` in place of `opened`."""

    @pytest.fixture
    def file(self) -> Path:
        raise NotImplementedError

    @pytest.fixture
    def opened(self, file):
        return partial(open_runtime, self.name, file)

    def test_missing_file(self, file, tmp_path):
        with pytest.raises(BundleError, match=r"no model file at .*gone"):
            open_runtime(self.name, tmp_path / f"gone{file.suffix}")
        with pytest.raises(BundleError, match="is a folder: give a model file"):
            open_runtime(self.name, tmp_path)
        with pytest.raises(BundleError, match="no model file at aaa"):
            open_runtime(self.name, "a" * 300)

    def test_a_folder_whose_name_is_not_utf8(self, file, tmp_path, images, answers):
        folder = tmp_path / "mod\udce8les"  # as Python tells the bytes of è
        try:
            folder.mkdir()
        except OSError:
            pytest.skip("the names of this file system are UTF-8")
        self.copy(file, folder)
        with open_runtime(self.name, folder / file.name, precision=self.precision) as runtime:
            boxes = runtime.infer({"images": images})["boxes"]
        np.testing.assert_allclose(boxes, answers["boxes"], rtol=0, atol=self.tolerance)

    @pytest.mark.parametrize("kept", [0, 0.5, 0.98])
    def test_truncated_file(self, file, tmp_path, kept):
        self.copy(file, tmp_path)
        data = file.read_bytes()
        broken = tmp_path / file.name
        broken.write_bytes(data[: int(len(data) * kept)])
        self.refuses(broken)

    def test_file_of_another_kind(self, file, tmp_path):
        broken = tmp_path / file.name
        broken.write_bytes(b"\xff\xd8\xff\xe0 a picture, say" * 100)
        self.refuses(broken)

    def copy(self, file: Path, to: Path) -> None:
        """Copy the model and what belongs to it."""
        for part in file.parent.glob(f"{file.stem}.*"):
            shutil.copy(part, to)

    def refuses(self, broken: Path) -> None:
        with pytest.raises(BundleError) as caught:
            open_runtime(self.name, broken)
        message = str(caught.value)
        assert str(broken) in message
        assert "\n" not in message
