"""TensorRT: the contract where there is a GPU; and everything but the kernels, on a simulated one, everywhere."""

import hashlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pvt_edge.bundle.schema import InputSpec
from pvt_edge.engines.workshop import engine_latency
from pvt_edge.errors import BundleError, PvtEdgeError, RuntimeInputError, RuntimeMissingError
from pvt_edge.runtimes import cuda, missing, tensorrt
from pvt_edge.runtimes.passport import here
from pvt_edge.runtimes.tensorrt import TensorRtRuntime

from .contract import FileContract
from .simulated_gpu import SimulatedCuda, SimulatedEngine, SimulatedLibrary, Status


def no_gpu() -> str | None:
    """Why TensorRT cannot run here."""
    if (reason := missing("tensorrt")) is not None:
        return reason
    try:
        cuda.probe_cuda()
    except RuntimeMissingError as error:
        return str(error)
    return None


@pytest.mark.skipif(no_gpu() is not None, reason=str(no_gpu()))
class TestTensorRt(FileContract):
    name = "tensorrt"
    precision = "fp16"
    device = "cuda:0"
    tolerance = 2e-2

    @pytest.fixture(scope="session")
    def engine(self, onnx_file, folder):
        from pvt_edge.engines.engine import build_engine
        from pvt_edge.options.build import BuildOptions
        from pvt_edge.runtimes.tensorrt_library import load_library

        path = folder / "model.engine"
        path.write_bytes(build_engine(onnx_file, load_library(), BuildOptions()).plan)
        return path

    @pytest.fixture
    def file(self, engine):
        return engine


IMAGES = np.arange(18, dtype=np.uint8).reshape(1, 2, 3, 3)


@pytest.fixture
def gpu(monkeypatch):
    """Opens an engine on a simulated GPU: (runtime, SimulatedCuda, SimulatedLibrary)."""
    opened = []

    def make(path, *, batches=(1, 1), engine=None, runtime=None, **kind):
        simulated = SimulatedCuda(**kind)
        engine = engine or SimulatedEngine(simulated, *batches)
        engine.cuda = simulated
        library = SimulatedLibrary(engine)
        make.library, make.cuda = library, simulated  # for those that fail to open
        monkeypatch.setattr(cuda, "bindings", lambda: simulated)
        monkeypatch.setattr(tensorrt, "require", lambda name: None)
        monkeypatch.setattr(tensorrt, "load_library", lambda name: library)
        found = TensorRtRuntime(path, **(runtime or {}))
        opened.append(found)
        return found, simulated, library

    yield make
    for runtime in opened:
        runtime.close()


@pytest.fixture
def engine_file(tmp_path):
    path = tmp_path / "fp16.engine"
    path.write_bytes(b"an engine")
    return path


def check(arrays, images):
    np.testing.assert_allclose(arrays["means"], images.mean((1, 2)), rtol=1e-6)
    np.testing.assert_array_equal(arrays["sums"], images.sum((1, 2, 3), dtype=np.int64))


@pytest.mark.parametrize("integrated", [False, True])
def test_runs_and_frees(gpu, engine_file, integrated):
    runtime, simulated, _ = gpu(engine_file, integrated=integrated)
    assert (runtime.name, runtime.precision, runtime.device) == ("tensorrt", "fp16", "cuda:0")
    assert [spec.name for spec in runtime.outputs] == ["means", "sums"]
    for shift in range(4):  # the second is captured, the others launched
        images = IMAGES + shift
        check(runtime.infer({"images": images}), images)
    copies = 0 if integrated else 3
    assert simulated.calls.count("copy") == 4 * copies
    assert simulated.calls.count("run") == 4
    assert simulated.calls.count("graph") == 3
    runtime.close()
    assert (simulated.live, simulated.handles) == ({}, set())


def test_outputs_belong_to_the_caller(gpu, engine_file):
    runtime, _, _ = gpu(engine_file)
    first = runtime.infer({"images": IMAGES})
    runtime.infer({"images": IMAGES + 100})
    check(first, IMAGES)


def test_without_a_graph(gpu, engine_file):
    runtime, simulated, _ = gpu(engine_file, runtime={"cuda_graph": False})
    for _ in range(3):
        check(runtime.infer({"images": IMAGES}), IMAGES)
    assert "graph" not in simulated.calls


def test_where_capture_fails_it_goes_on_without(gpu, engine_file):
    runtime, simulated, _ = gpu(engine_file, captures=False)
    for _ in range(3):
        check(runtime.infer({"images": IMAGES}), IMAGES)
    assert runtime.cuda_graph is False
    assert "graph" not in simulated.calls


def test_other_shapes_are_captured_anew(gpu, engine_file):
    runtime, simulated, _ = gpu(engine_file, batches=(1, 4))
    assert runtime.inputs[0].shape == (-1, 2, 3, 3)
    for batch in (1, 1, 1, 3, 3, 3, 1, 1):
        images = np.concatenate([IMAGES + i for i in range(batch)])
        check(runtime.infer({"images": images}), images)
    assert simulated.calls.count("graph") == 5  # each shape's first run is a warm-up
    runtime.close()
    assert simulated.handles == set()


@pytest.mark.parametrize("batch", [5, 1])
def test_batch_outside_the_profile(gpu, engine_file, batch):
    runtime, _, _ = gpu(engine_file, batches=(2, 4))
    with pytest.raises(RuntimeInputError, match=rf"takes batches of 2 to 4, got {batch}: .*pvt-edge build --batch"):
        runtime.infer({"images": np.repeat(IMAGES, batch, 0)})
    assert runtime.batch_range == (2, 4)
    images = np.repeat(IMAGES, 3, 0)
    check(runtime.infer({"images": images}), images)


def test_two_threads(gpu, engine_file):
    runtime, simulated, _ = gpu(engine_file)
    entered, leave, told = threading.Event(), threading.Event(), []
    wait = simulated.cudaStreamSynchronize

    def slow(stream):
        entered.set()
        assert leave.wait(10)
        return wait(stream)

    simulated.cudaStreamSynchronize = slow
    first = threading.Thread(target=lambda: told.append(runtime.infer({"images": IMAGES})))
    first.start()
    assert entered.wait(10)
    with pytest.raises(RuntimeInputError, match="is running in another thread: open one a thread"):
        runtime.infer({"images": IMAGES + 1})
    leave.set()
    first.join()
    check(told[0], IMAGES)
    check(runtime.infer({"images": IMAGES + 1}), IMAGES + 1)


def test_another_thread_uses_the_same_gpu(gpu, engine_file):
    runtime, _, _ = gpu(engine_file, devices=2, runtime={"device": "cuda:1"})
    assert runtime.device == "cuda:1"
    with ThreadPoolExecutor(1) as pool:
        check(pool.submit(runtime.infer, {"images": IMAGES}).result(), IMAGES)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(runtime.gpu_latency, {"images": IMAGES}, runs=2).result().compute_ms == [1.0, 1.0]


def test_gpu_latency(gpu, engine_file):
    runtime, simulated, _ = gpu(engine_file)
    latency = runtime.gpu_latency({"images": IMAGES}, runs=5, warmup=2)
    assert latency.compute_ms == [1.0] * 5  # the simulated clock ticks once an event
    assert latency.with_copies_ms == [3.0] * 5
    assert simulated.calls.count("run") == 7
    check(runtime.infer({"images": IMAGES}), IMAGES)


def test_a_run_that_fails(gpu, engine_file):
    runtime, _, _ = gpu(engine_file)
    runtime._context.fails = True
    with pytest.raises(BundleError, match=r"tensorrt failed while running .*: the logger's words"):
        runtime.infer({"images": IMAGES})
    runtime._context.fails = False
    check(runtime.infer({"images": IMAGES}), IMAGES)


DEVICE = cuda.CudaDevice(0, "Simulated", "8.7", False, 1, "x", "12.6")
PASSPORT = here(DEVICE, SimulatedLibrary(None)) | {"hardware_compat": "none", "precision": "int8"}


def bundle(folder, content=b"an engine", **passport):
    """A bundle's folder with one engine, and its passport for the simulated GPU but for `passport`."""
    engine = folder / "tensorrt" / "fp16.engine"
    engine.parent.mkdir()
    engine.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    artifact = {"file": "tensorrt/fp16.engine", "sha256": sha256, "passport": PASSPORT | passport}
    (folder / "model.json").write_text(json.dumps({"artifacts": [artifact]}))
    return engine


def test_engines_of_no_bundle_yet_are_timed_as_they_were_built(gpu, engine_file):
    _, simulated, library = gpu(engine_file, batches=(4, 16))
    passport = PASSPORT | {"version": "10.1.0", "version_compatible": "yes", "profile": "4/8/16"}
    passports = {"fp16": passport | {"precision": "fp16"}, "int8": passport | {"precision": "int8"}}
    spec = InputSpec.model_construct(height=2, width=3)
    assert engine_latency("tensorrt", dict.fromkeys(passports, engine_file), passports, spec) == {
        "fp16": 3.0,
        "int8": 3.0,
    }
    assert library.deserialised[1:] == [(b"an engine", True)] * 2
    assert "run" in simulated.calls


def test_precision_is_the_passports(gpu, tmp_path):
    engine = bundle(tmp_path)
    assert gpu(engine)[0].precision == "int8"
    with pytest.raises(RuntimeInputError, match="holds int8, asked for fp16: ask for int8 or auto"):
        gpu(engine, runtime={"precision": "fp16"})


def test_version_compatible_engines_bring_their_runtime(gpu, tmp_path):
    _, _, library = gpu(bundle(tmp_path, version="10.1.0", version_compatible="yes"))
    assert library.deserialised == [(b"an engine", True)]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"compute_capability": "8.9"}, "compute capability: built for 8.9, here 8.7"),
        ({"gpu": "Orin NX"}, "GPU: built on Orin NX, here Simulated"),
        ({"version": "10.13.0"}, "TensorRT: built with 10.13.0, here 10.3.0"),
        ({"cuda": "13.0"}, "CUDA: built with 13.0, here 12.6"),
    ],
)
def test_an_engine_of_another_machine_is_not_deserialised(gpu, tmp_path, changed, told):
    with pytest.raises(BundleError) as caught:
        gpu(bundle(tmp_path, **changed))
    assert told in str(caught.value)
    assert "pvt-edge build --rebuild" in str(caught.value)
    assert gpu.library.deserialised == []


@pytest.mark.parametrize("content", [b"", b"an engin", b"an engine."])
def test_an_engine_that_was_edited_is_not_deserialised(gpu, tmp_path, content):
    engine = bundle(tmp_path)
    engine.write_bytes(content)
    with pytest.raises(BundleError, match=r"was edited or cut short: sha256 is .*, model.json says "):
        gpu(engine)
    assert gpu.library.deserialised == []


MALFORMED = ["", "{", "[]", "{}", '{"artifacts": [{}]}', '{"artifacts": 1}', "[" * 100_000]


@pytest.mark.parametrize("manifest", MALFORMED, ids=range(len(MALFORMED)))
def test_an_engine_of_a_malformed_bundle_is_not_deserialised(gpu, tmp_path, manifest):
    engine = bundle(tmp_path)
    (tmp_path / "model.json").write_text(manifest)
    with pytest.raises(BundleError, match=r"model\.json cannot be read, so that nothing says what fp16\.engine is"):
        gpu(engine)
    assert gpu.library.deserialised == []


def test_a_broken_engine(gpu, engine_file):
    engine_file.write_bytes(b"broken")
    with pytest.raises(BundleError, match=r"cannot load .*: the logger's words: build it again with pvt-edge build"):
        gpu(engine_file)


def test_too_little_memory(gpu, engine_file):
    with pytest.raises(BundleError, match="not enough GPU memory: close other programs"):
        gpu(engine_file, room=10)
    assert gpu.cuda.live == {}


def test_no_context(gpu, engine_file):
    engine = SimulatedEngine(None)
    engine.refuses_context = True
    with pytest.raises(BundleError, match="close other programs on the GPU"):
        gpu(engine_file, engine=engine)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ({"status": Status.cudaErrorInsufficientDriver, "driver": 0}, "there is no NVIDIA driver here: "),
        ({"status": Status.cudaErrorInsufficientDriver}, "speaks CUDA 12.6, cuda-python here wants 13.0: pip install"),
        ({"status": Status.cudaErrorNoDevice}, "there is an NVIDIA driver, but no GPU here: "),
        ({"devices": 0}, "there is an NVIDIA driver, but no GPU here: "),
        ({"status": Status.cudaErrorMemoryAllocation}, "CUDA does not start (not enough GPU memory"),
        ({"runtime": {"device": "cuda:3"}}, "there is no cuda:3 here: the GPUs are cuda:0 to cuda:0"),
        ({"runtime": {"device": "cpu"}}, "TensorRT has no device 'cpu': use 'auto', 'cuda' or 'cuda:1'"),
    ],
)
def test_cuda_is_probed_before_tensorrt_is_touched(gpu, engine_file, kind, told):
    with pytest.raises(PvtEdgeError) as caught:
        gpu(engine_file, **kind)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert gpu.library.deserialised == []
