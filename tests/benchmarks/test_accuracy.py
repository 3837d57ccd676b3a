"""`--data`: the accuracy of every row, against what `val` finds."""

import shutil
from dataclasses import replace

import pytest

pytest.importorskip("pycocotools", reason="pycocotools is not installed")

from pvt_edge.benchmarks.benchmark import run_benchmark
from pvt_edge.benchmarks.options import Options
from pvt_edge.benchmarks.rows import Choice
from pvt_edge.benchmarks.words import facts
from pvt_edge.bundle import read_bundle
from pvt_edge.errors import DataError
from pvt_edge.evaluation import evaluate
from pvt_edge.runtimes import missing
from pvt_edge.scenes import write_scenes

pytestmark = pytest.mark.skipif(
    bool(missing("openvino") or missing("onnxruntime")), reason="OpenVINO and ONNX Runtime are not both installed"
)
COUNT = 3
QUICK = Options(
    choice=Choice(runtimes=("onnxruntime", "openvino"), precisions=("fp32", "int8")),
    duration_s=0.02,
    warmup_s=0.0,
    least_rounds=1,
    end_to_end=False,
    cold_start=False,
    roofline=False,
    layers=False,
)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return write_scenes(tmp_path_factory.mktemp("scenes"), COUNT, seed=14)


def test_every_row_has_what_val_finds(cells_bundle, scenes):
    told = []
    found = run_benchmark(
        read_bundle(cells_bundle), replace(QUICK, data=scenes), progress=lambda *step: told.append(step)
    ).benchmark
    by_val = {row.name: row for row in evaluate(cells_bundle, scenes, runtime="all", precision="all").rows}
    assert len(found.measured) == 4
    for row in found.measured:
        assert row.accuracy == {name: value for name, value in by_val[row.name].figures.items() if value == value}
    assert len({row.accuracy["AP"] for row in found.measured}) > 1
    assert found.model.accuracy_data == f"{COUNT} labelled pictures of {scenes.name}"
    assert f"AP: on {COUNT} labelled pictures of {scenes.name}." in facts(found)
    judged = [text for *_, text in told if text.startswith("accuracy of ")]
    assert judged == [f"accuracy of {row.name}" for row in found.rows]
    assert [done for done, _, _ in told] == list(range(told[-1][1]))


def test_stock_and_torch_rows_are_judged_too(cells_bundle, scenes):
    if missing("torch") is not None:
        pytest.skip("torch is not installed")
    choice = replace(QUICK.choice, runtimes=("torch", "onnxruntime"), precisions=("fp32",))
    found = run_benchmark(
        read_bundle(cells_bundle), replace(QUICK, choice=choice, data=scenes, compare=("stock",))
    ).benchmark
    assert [row.name for row in found.measured] == ["torch fp32", "onnxruntime fp32", "stock onnxruntime fp32"]
    values = [row.accuracy["AP"] for row in found.measured]
    assert min(values) > 0.5
    assert max(values) - min(values) < 1e-3


def test_without_data_the_export_s_figures_stand(cells_bundle):
    found = run_benchmark(read_bundle(cells_bundle), QUICK).benchmark
    assert found.model.accuracy_data == f"{read_bundle(cells_bundle).manifest.accuracy.data}, measured at export"


def test_labels_that_do_not_fit_are_refused_before_anything_runs(cells_bundle, tmp_path):
    told = []
    with pytest.raises(DataError, match=r"no boxes in .*: expected is a COCO file"):
        run_benchmark(
            read_bundle(cells_bundle), replace(QUICK, data=tmp_path), progress=lambda *step: told.append(step)
        )
    assert [text for *_, text in told] == ["looking at the machine"]


def test_a_picture_that_breaks_costs_the_accuracy_and_not_the_times(cells_bundle, scenes, tmp_path):
    shutil.copytree(scenes.parent, tmp_path / "scenes")
    broken = sorted((tmp_path / "scenes" / "images").iterdir())[1]
    broken.write_bytes(broken.read_bytes()[:40])
    found = run_benchmark(read_bundle(cells_bundle), replace(QUICK, data=tmp_path / "scenes" / scenes.name)).benchmark
    assert [row.accuracy for row in found.measured] == [None] * 4
    assert all(row.inference.calls for row in found.measured)
    for row in found.measured:
        assert any(note.startswith(f"no accuracy of {row.name}: ") and broken.name in note for note in found.notes)
