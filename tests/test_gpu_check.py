"""benchmarks/studies/gpu_check.py where there is no GPU: it stops at once, and what it does on the way is right."""

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest

from pvt_edge.bundle import Bundle, read_bundle
from pvt_edge.bundle.schema import TensorRtSpec
from pvt_edge.errors import RuntimeMissingError
from pvt_edge.export.precision.record import Latency
from pvt_edge.runtimes import open_runtime
from pvt_edge.runtimes.cuda import probe_cuda
from pvt_edge.runtimes.tensorrt import GpuLatency
from pvt_edge.scenes import draw_scene
from pvt_edge.tasks import agreement


@pytest.fixture(scope="module")
def script(checkout):
    return checkout / "benchmarks" / "studies" / "gpu_check.py"


@pytest.fixture(scope="module")
def gpu_check(script):
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("gpu_check", script)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture
def no_gpu():
    try:
        pytest.skip(f"there is a GPU: {probe_cuda().name}")
    except RuntimeMissingError as error:
        return str(error)


@pytest.fixture(scope="module")
def bundle(cells_bundle):
    return read_bundle(cells_bundle)


@pytest.fixture(scope="module")
def batches():
    return [{"images": draw_scene(1000 + i).image[None]} for i in range(2)]


@pytest.fixture(scope="module")
def reference(gpu_check, bundle, batches):
    return gpu_check.reference_answers(bundle, batches)


def ms(p50):
    return Latency(p50=p50, p90=p50 + 1, p99=p50 + 2, inferences=10)


def test_without_a_gpu_it_exits_with_one_line_before_anything_else(script, no_gpu, tmp_path):
    done = subprocess.run(
        [sys.executable, script, "no-such-bundle", "--json", "found.json"],
        capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == f"gpu_check: error: {no_gpu}\n"
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("medians", "expected"),
    [
        ({}, {}),
        ({"torch fp16": 6.0}, {}),
        ({"tensorrt fp16": 2.0}, {"tensorrt fp16": {}}),
        (
            {"tensorrt fp16": 2.0, "tensorrt int8": 2.5, "torch fp16": 6.0},
            {
                "tensorrt fp16": {"tensorrt int8": 1.25, "torch fp16": 3.0},
                "tensorrt int8": {"tensorrt fp16": 0.8, "torch fp16": 2.4},
            },
        ),
        (
            {"tensorrt-rtx fp16": 3.0, "onnxruntime cuda fp16": 4.0},
            {"tensorrt-rtx fp16": {"onnxruntime cuda fp16": 1.333}},
        ),
    ],
)
def test_ratios_say_how_many_times_faster_an_engine_is(gpu_check, medians, expected):
    assert gpu_check.ratios({name: ms(p50) for name, p50 in medians.items()}) == expected


def test_findings_become_plain_json(gpu_check):
    found = gpu_check.Findings(
        passports={"tensorrt fp16": {"version": "10.3.0"}},
        parity={"tensorrt fp16": {"agreement": 0.99}},
        ms={"tensorrt fp16": ms(2.0), "torch fp16": ms(6.0)},
        gpu_ms={"tensorrt fp16": {"compute": ms(1.5), "with copies": ms(1.75)}},
        not_run={"building tensorrt-rtx": "it does not know sm87"},
    )
    timed = {"p90": 3.0, "p99": 4.0, "inferences": 10}
    assert json.loads(json.dumps(found.to_json())) == {
        "passports": {"tensorrt fp16": {"version": "10.3.0"}},
        "parity": {"tensorrt fp16": {"agreement": 0.99}},
        "ms": {"tensorrt fp16": {"p50": 2.0, **timed}, "torch fp16": {**timed, "p50": 6.0, "p90": 7.0, "p99": 8.0}},
        "gpu_ms": {
            "tensorrt fp16": {
                "compute": {**timed, "p50": 1.5, "p90": 2.5, "p99": 3.5},
                "with copies": {**timed, "p50": 1.75, "p90": 2.75, "p99": 3.75},
            }
        },
        "not_run": {"building tensorrt-rtx": "it does not know sm87"},
        "ratios": {"tensorrt fp16": {"torch fp16": 3.0}},
    }


def test_percentiles_are_of_every_run(gpu_check):
    outlier = [*range(1, 100), 1000]
    assert gpu_check.percentiles(outlier) == Latency(p50=50.5, p90=90.1, p99=108.01, inferences=100)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeMissingError("no TensorRT: install it"), "no TensorRT: install it"),
        (RuntimeError("CUDA error\nsays\n more"), "RuntimeError: CUDA error says more"),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), "ModuleNotFoundError: No module named 'torch'"),
    ],
)
def test_a_stage_that_fails_is_kept_with_its_reason(gpu_check, error, reason):
    found = gpu_check.Findings()

    def fail():
        raise error

    assert found.attempt("opening torch fp16", fail) is None
    assert found.attempt("opening another", lambda: 3) == 3
    assert found.not_run == {"opening torch fp16": reason}


def test_ctrl_c_is_no_failed_stage(gpu_check):
    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gpu_check.Findings().attempt("timing", stop)


def test_all_stages_are_tried_and_every_failure_is_told(gpu_check, bundle, no_gpu):
    found = gpu_check.examine(bundle, 0.1, 1, "default")
    assert list(found.not_run) == [
        "building tensorrt",
        "building tensorrt-rtx",
        "warming up onnxruntime cuda fp16",
        "warming up torch fp16",
        "warming up torch.compile fp16 default",
    ]
    assert found.not_run["building tensorrt"].startswith("BUNDLE has no graph for TensorRT: export again")
    assert "has no onnxruntime fp16" in found.not_run["warming up onnxruntime cuda fp16"]
    assert (found.ms, found.gpu_ms, found.parity, found.to_json()["ratios"]) == ({}, {}, {}, {})


@pytest.fixture
def with_engine(gpu_check, bundle, monkeypatch):
    """The bundle with an engine; for want of a GPU ONNX Runtime stands behind it, with two times of a GPU's clock."""
    graph = bundle.artifact("onnxruntime", "fp32")
    engine = graph.model_copy(update={"runtime": "tensorrt", "precision": "fp16", "passport": {"version": "10.3.0"}})
    spec = TensorRtSpec(graphs={"fp16": graph.file})
    artifacts = (*bundle.manifest.artifacts, engine)

    def opened(name, path, **options):
        if name != "tensorrt":
            return open_runtime(name, path, **options)
        runtime = open_runtime("onnxruntime", path, device="cpu")
        runtime.gpu_latency = lambda feeds, runs: GpuLatency([1.0] * runs, [2.0] * runs)
        return runtime

    monkeypatch.setattr(gpu_check, "open_runtime", opened)
    return Bundle(bundle.folder, bundle.manifest.model_copy(update={"artifacts": artifacts, "tensorrt": spec}))


def test_an_engine_is_judged_and_timed_both_ways(gpu_check, with_engine, no_gpu, capsys):
    found = gpu_check.examine(with_engine, 0.1, 2, "default")
    assert found.passports == {"tensorrt fp16": {"version": "10.3.0"}}
    assert found.parity["tensorrt fp16"]["agreement"] == 1.0
    runs = {"p50": 1.0, "p90": 1.0, "p99": 1.0, "inferences": 200}
    copies = {"p50": 2.0, "p90": 2.0, "p99": 2.0, "inferences": 200}
    assert found.to_json()["gpu_ms"] == {"tensorrt fp16": {"compute": runs, "with copies": copies}}
    assert list(found.ms) == ["tensorrt fp16"]
    assert found.ms["tensorrt fp16"].inferences >= 5
    assert not any(what.endswith("tensorrt fp16") for what in found.not_run)
    assert "building tensorrt" not in found.not_run  # it has one for each of its graphs
    gpu_check.report(found)
    assert "agreement 1.0000" in capsys.readouterr().out


def test_one_engine_that_fails_leaves_the_rest(gpu_check, with_engine, no_gpu, monkeypatch):
    monkeypatch.setattr(gpu_check, "gpu_latency", lambda engine, feeds: 1 / 0)
    found = gpu_check.examine(with_engine, 0.1, 1, "default")
    assert found.not_run["GPU clock of tensorrt fp16"] == "ZeroDivisionError: division by zero"
    assert found.gpu_ms == {}
    assert (list(found.parity), list(found.ms)) == (["tensorrt fp16"], ["tensorrt fp16"])


def test_parity_is_the_agreement_with_fp32(gpu_check, bundle, batches, reference):
    assert gpu_check.parity(bundle, Answering(reference), batches, reference)["agreement"] == 1.0
    blank = [{name: np.zeros_like(array) for name, array in answer.items()} for answer in reference]
    assert gpu_check.parity(bundle, Answering(blank), batches, reference)["agreement"] == 0.0


class Answering:
    """What was answered before, once more."""

    def __init__(self, answers):
        self.answers = iter(answers)

    def infer(self, feeds):
        return next(self.answers)


def test_torch_gives_the_bundles_answers(gpu_check, bundle, batches, reference):
    names = bundle.manifest.output_names
    found = []
    for feeds in batches:
        run = gpu_check.torch_run(bundle, feeds["images"], device="cpu")
        found.append(dict(zip(names, run(), strict=True)))
    figures = agreement("detect", found, reference, bundle.manifest.postprocess)
    assert figures["agreement"] >= 0.97
    assert figures["box_drift_px"] < 2
