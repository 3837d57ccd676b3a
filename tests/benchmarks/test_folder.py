"""What a run leaves behind is whole or not there, and says what it is of."""

import json
from pathlib import Path

import pytest

from pvt_edge.benchmarks import folder as folder_module
from pvt_edge.benchmarks.benchmark import Measured
from pvt_edge.benchmarks.folder import check_folder, samples_json, write_folder
from pvt_edge.benchmarks.record import Benchmark
from pvt_edge.benchmarks.table import page
from pvt_edge.errors import DataError

from .records import benchmark, row

GROUPS = {"attention": 4.0, "linear and convolution": 6.0}
RUN = benchmark(
    row("openvino fp32", 30.0, accuracy={"AP": 0.81}, layers_ms=GROUPS),
    row("openvino int8", 12.0, accuracy={"AP": 0.80}, layers_ms=GROUPS),
    row("stock onnxruntime fp32", 70.0),
    row("onnxruntime int8", None),
    busy=("other processes took 1.0 cores",),
)
SAMPLES = {r.name: {"infer": [r.inference.p50, r.inference.p50 * 9], "end to end": [1.0]} for r in RUN.measured}
MEASURED = Measured(RUN, SAMPLES)


def test_all_of_it(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    place = tmp_path / "new" / "run"
    assert write_folder(place, MEASURED)
    assert sorted(path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()) == [
        *("benchmark.json", "benchmark.md", "plots/accuracy.png", "plots/latency.png", "plots/layers.png"),
        "samples.json",
    ]
    assert Benchmark.model_validate_json((place / "benchmark.json").read_text()) == RUN
    assert json.loads((place / "samples.json").read_text()) == SAMPLES
    assert [path.name for path in place.parent.iterdir() if path.name != ".run.lock"] == ["run"]


def test_names_that_are_not_utf8(tmp_path):
    settings = {**RUN.settings.model_dump(), "pictures": "3 pictures of caf\udce9 (jpg)"}
    told = {**RUN.model_dump(), "settings": settings, "notes": ("left out: caf\udce9/broken.jpg",)}
    write_folder(tmp_path / "run", Measured(Benchmark.model_validate(told), SAMPLES))
    found = Benchmark.model_validate_json((tmp_path / "run" / "benchmark.json").read_text())
    assert found.settings.pictures == r"3 pictures of caf\udce9 (jpg)"
    assert found.notes == (r"left out: caf\udce9/broken.jpg",)
    assert "caf" in (tmp_path / "run" / "benchmark.md").read_text()


def test_a_run_takes_the_place_of_an_older_one(tmp_path):
    place = tmp_path / "run"
    write_folder(place, MEASURED)
    (place / "plots" / "old.png").touch()
    check_folder(place)
    write_folder(place, MEASURED)
    assert not (place / "plots" / "old.png").exists()


def test_without_matplotlib_all_but_the_plots_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_module, "has_matplotlib", lambda: False)
    assert not write_folder(tmp_path / "run", MEASURED)
    assert 'pip install "pvt-edge[bench]"' in (tmp_path / "run" / "benchmark.md").read_text()
    assert not (tmp_path / "run" / "plots").exists()


def test_what_is_no_benchmark_is_not_overwritten(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match=r"neither empty nor a benchmark, .*: choose another place with --out"):
        check_folder(tmp_path)
    check_folder(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    check_folder(tmp_path / "empty")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "thesis.txt"]


@pytest.mark.parametrize("taken", ["thesis.txt", "photos/me.png", "plots/thesis.txt"])
def test_a_result_among_other_things_is_not_overwritten(tmp_path, taken):
    place = tmp_path / "run"
    write_folder(place, MEASURED)
    check_folder(place)
    (place / taken).parent.mkdir(exist_ok=True)
    (place / taken).write_text("years of work")
    with pytest.raises(DataError, match="holds files that benchmark did not write"):
        check_folder(place)


def test_another_file_of_that_name_is_no_result(tmp_path):
    (tmp_path / "benchmark.json").write_text(RUN.model_dump_json())  # as --json writes it, beside whatever else
    with pytest.raises(DataError, match="neither empty nor a benchmark"):
        check_folder(tmp_path)
    for name, text in (("benchmark.json", '{"schema_name": "another"}'), ("benchmark.md", ""), ("samples.json", "")):
        (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=r"that it cannot read \(benchmark.json is of another kind\)"):
        check_folder(tmp_path)


def test_the_folder_one_stands_in_is_not_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="is the folder you stand in"):
        check_folder(Path("."))


def test_a_place_that_cannot_be_written_is_told_first(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file" / "run", Path("/proc/run")):
        with pytest.raises(DataError, match=r"cannot write .*: choose another place with --out"):
            check_folder(place)


def test_a_link_goes_on_pointing_where_it_points(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    check_folder(tmp_path / "link")
    write_folder(tmp_path / "link", MEASURED)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "benchmark.json").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


def test_a_failure_leaves_the_old_run(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    place = tmp_path / "run"
    write_folder(place, MEASURED)
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder_module, "draw_plots", fail)
    with pytest.raises(DataError, match=r"cannot write .*: No space left on device: choose another place"):
        write_folder(place, MEASURED)
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before
    assert not [path for path in tmp_path.iterdir() if "tmp" in path.name]


def test_a_disk_that_is_full(tmp_path, mount_disk):
    disk = mount_disk("64k")
    with pytest.raises(DataError, match="No space left on device"):
        write_folder(disk / "run", MEASURED)
    assert not (disk / "run").exists()


def test_the_page_says_what_matters():
    text = page(RUN, ("plots/latency.png",))
    assert "# Benchmark of PVT-v2 b0, detect, 480x640" in text
    assert "**BUSY MACHINE: other processes took 1.0 cores**" in text
    assert "| openvino int8 | 12.0 | 18.0 | 83.3 | 6.00 | 2.00x |" in text
    assert "- onnxruntime int8: failed, it broke" in text
    assert "![latency of each row](plots/latency.png)" in text
    assert "plots/accuracy.png" not in text
    assert "| openvino int8 | 100 | 200 | 30.0 | 330 | 140 | 1.0 | 0.800 |" in text
    assert "| attention | 4.00 | 4.00 |" in text
    assert "pvt-edge benchmark out/b0\n```" in text


def test_no_samples():
    assert json.loads(samples_json({})) == {}


def test_plots_only_of_what_was_measured(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    bare = Measured(benchmark(row("openvino int8", 12.0)), {"openvino int8": {"infer": [12.0]}})
    assert folder_module.draw_plots(tmp_path, bare) == ("plots/latency.png",)


def test_bars_are_as_long_as_the_medians(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    from pvt_edge.benchmarks import plots

    axes = plots.draw_latency(MEASURED).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["openvino int8", "openvino fp32", "stock onnxruntime fp32"]
    assert [bar.get_width() for bar in axes.patches] == [12.0, 30.0, 70.0]
    dots = [len(dots.get_offsets()) for dots in axes.collections]
    assert dots == [1, 1, 1]  # nine times the median lies beyond, which an arrow says


def test_accuracy_against_latency_tells_the_default_route_apart():
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    from pvt_edge.benchmarks import plots

    ours, stock = (
        row("openvino int8", 12.0, accuracy={"AP": 0.62}),
        row("stock openvino int8", 20.0, accuracy={"AP": 0.6}),
    )
    axes = plots.draw_accuracy(Measured(benchmark(ours, stock), {})).axes[0]
    filled, hollow = [len(marks.get_facecolor()) > 0 for marks in axes.collections]
    assert (filled, hollow) == (True, False)
    assert [text.get_text() for text in axes.texts] == ["openvino int8", "stock openvino int8"]
    assert axes.get_xscale() == "linear"
    torch = row("torch fp32", 160.0, accuracy={"AP": 0.62}, route="torch")
    wide = plots.draw_accuracy(Measured(benchmark(ours, stock, torch), {})).axes[0]
    assert wide.get_xscale() == "log"
    low, high = wide.get_xlim()
    assert low < 12.0 < 160.0 < high
