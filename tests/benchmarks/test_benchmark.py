"""A whole run over real runtimes: what is recorded, and what becomes of a row that breaks."""

from dataclasses import replace

import numpy as np
import pytest

from pvt_edge.benchmarks.benchmark import run_benchmark
from pvt_edge.benchmarks.opening import Opening
from pvt_edge.benchmarks.options import Options
from pvt_edge.benchmarks.pictures import read_pictures
from pvt_edge.benchmarks.rows import Choice
from pvt_edge.bundle import read_bundle
from pvt_edge.errors import BundleError, DataError
from pvt_edge.runtimes import missing
from pvt_edge.runtimes.session import Session
from pvt_edge.scenes import write_scenes

pytestmark = pytest.mark.skipif(
    bool(missing("openvino") or missing("onnxruntime")), reason="OpenVINO and ONNX Runtime are not both installed"
)
QUICK = Options(
    choice=Choice(runtimes=("openvino", "onnxruntime"), precisions=("fp32", "int8")),
    duration_s=0.03,
    warmup_s=0.0,
    least_rounds=3,
    percentiles=(50, 90),
    cold_start=False,
    roofline=False,
    layers=False,
)
NAMES = ["openvino fp32", "openvino int8", "onnxruntime fp32", "onnxruntime int8"]


class Tiring(Session):
    """A runtime that gives up after so many inferences."""

    def __init__(self, inner, lasts):
        super().__init__(
            inner.name,
            "tiring",
            precision=inner.precision,
            device=inner.device,
            inputs=inner.inputs,
            outputs=inner.outputs,
        )
        self.inner, self.left = inner, lasts

    def _run(self, arrays):
        if self.left == 0:
            raise RuntimeError("the device went away")
        self.left -= 1
        return self.inner.infer(arrays)

    def _release(self):
        self.inner.close()


@pytest.fixture
def tiring(monkeypatch):
    """Makes ONNX Runtime's int8 row give up after `lasts` inferences."""

    def make(lasts, runtimes=("onnxruntime",)):
        honest = Opening.open

        def opened(self):
            runtime = honest(self)
            tires = self.runtime in runtimes and (len(runtimes) > 1 or self.precision == "int8")
            return Tiring(runtime, lasts) if tires else runtime

        monkeypatch.setattr(Opening, "open", opened)

    return make


@pytest.fixture(scope="module")
def measured(cells_bundle):
    told = []
    found = run_benchmark(
        read_bundle(cells_bundle), QUICK, command="pvt-edge benchmark b0", progress=lambda *step: told.append(step)
    )
    return found, told


def test_rows_have_every_sample(measured):
    found, _ = measured
    assert [row.name for row in found.benchmark.measured] == NAMES
    for row in found.benchmark.measured:
        samples = found.samples_ms[row.name]
        assert (row.inference.calls, row.end_to_end.times.calls) == (len(samples["infer"]), len(samples["end to end"]))
        assert row.inference.calls >= QUICK.rounds
        assert row.inference.percentiles["90"] == pytest.approx(np.percentile(samples["infer"], 90), abs=1e-3)
        assert row.inference.most == pytest.approx(max(samples["infer"]), abs=1e-3)
        assert set(row.end_to_end.stages) == {"decode", "preprocess", "inference", "postprocess"}
        assert min(row.end_to_end.stages.values()) > 0
        assert row.accuracy["AP"] > 0.5


def test_the_record_says_what_where_and_how(measured):
    benchmark = measured[0].benchmark
    assert (benchmark.model.variant, benchmark.model.task, benchmark.model.weights) == ("b0", "detect", "cells")
    assert benchmark.model.macs == pytest.approx(5.9e9, rel=0.03)
    assert benchmark.model.parameters == 3_704_487
    assert benchmark.command == "pvt-edge benchmark b0"
    assert benchmark.machine.cpu
    assert {"openvino", "onnxruntime", "python"} <= set(benchmark.machine.versions)
    assert (benchmark.settings.rounds, benchmark.settings.pictures) == (3, "8 generated scenes, 1280x720 JPEG")
    assert len(benchmark.noise.busy) == len(set(benchmark.noise.busy))


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_the_model_costs_the_same_whichever_rows_run(measured, cells_bundle, runtime):
    choice = Choice(runtimes=(runtime,), precisions=("fp32",))
    found = run_benchmark(read_bundle(cells_bundle), replace(QUICK, choice=choice, least_rounds=1, end_to_end=False))
    assert found.benchmark.model.macs == measured[0].benchmark.model.macs


def test_steps_are_told_to_the_end(measured):
    _, told = measured
    assert [done for done, _, _ in told] == list(range(len(told)))
    assert told[-1][1] == len(told)
    assert sum(text.startswith("infer: ") for _, _, text in told) == len(NAMES) * QUICK.rounds


@pytest.mark.parametrize("lasts", [0, 5], ids=["at once", "in the middle"])
def test_a_row_that_breaks_says_so_and_the_others_finish(cells_bundle, tiring, lasts):
    tiring(lasts)
    options = replace(QUICK, choice=Choice(runtimes=("onnxruntime", "openvino"), precisions=("int8",)))
    benchmark = run_benchmark(read_bundle(cells_bundle), options).benchmark
    rows = {row.name: row for row in benchmark.rows}
    broken = rows["onnxruntime int8"]
    assert broken.status == "failed"
    assert "the device went away" in broken.reason
    assert ("failed after" in broken.reason) == (lasts > 0)
    assert broken.inference is None
    assert [row.name for row in benchmark.measured] == ["openvino int8"]


def test_where_every_row_breaks_there_is_no_benchmark(cells_bundle, tiring):
    tiring(1, runtimes=("onnxruntime", "openvino"))
    with pytest.raises(BundleError, match=r"no row of .* could be measured: openvino fp32: .*the device went away"):
        run_benchmark(read_bundle(cells_bundle), replace(QUICK, choice=replace(QUICK.choice, precisions=("fp32",))))


def test_throughput_has_several_callers(cells_bundle):
    choice = replace(QUICK.choice, hint="throughput", streams=2, precisions=("int8",))
    found = run_benchmark(read_bundle(cells_bundle), replace(QUICK, choice=choice))
    assert [row.callers for row in found.benchmark.measured] == [2, 2]
    for row in found.benchmark.measured:
        assert row.inference.calls >= 2 * QUICK.rounds
        assert row.floor is None


def test_torch_runs_the_trained_model(cells_bundle):
    if missing("torch") is not None:
        pytest.skip("torch is not installed")
    choice = Choice(runtimes=("torch",), threads=1)
    found = run_benchmark(read_bundle(cells_bundle), replace(QUICK, choice=choice, duration_s=0.01, least_rounds=1))
    (row,) = found.benchmark.measured
    assert (row.name, row.threads, row.route) == ("torch fp32", 1, "torch")


def test_pictures_are_read_as_by_other_commands(tmp_path):
    images = write_scenes(tmp_path / "scenes", 3, seed=9).parent / "images"
    first, second, inner = sorted(images.iterdir())
    (images / "inner").mkdir()
    inner = inner.rename(images / "inner" / inner.name)
    assert read_pictures(images).encoded == (first.read_bytes(), second.read_bytes())  # not of its sub-folders
    found = read_pictures(images / "**" / "*")
    assert len(found.encoded) == 3
    assert found.words == f"3 pictures of {images}/**/* (jpg)"
    assert read_pictures(images, [inner]).encoded == (inner.read_bytes(),)

    second.write_bytes(second.read_bytes()[:-500])
    found = read_pictures(images)
    assert found.encoded == (first.read_bytes(),)
    assert found.words == "1 picture of images (jpg)"
    (line,) = found.skipped
    assert line.startswith(f"cannot read {second}: ")
    first.unlink()
    with pytest.raises(DataError, match=f"no picture of {images} can be read: cannot read {second}: "):
        read_pictures(images)


def test_pictures_left_out_are_noted(cells_bundle, tmp_path):
    labels = write_scenes(tmp_path / "scenes", 2, seed=9)
    picture = labels.parent / "images" / "damaged.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n")
    options = replace(QUICK, choice=replace(QUICK.choice, precisions=("int8",)), images=picture.parent)
    benchmark = run_benchmark(read_bundle(cells_bundle), options).benchmark
    assert any(note.startswith(f"left out: cannot read {picture}: ") for note in benchmark.notes)
    assert benchmark.measured
