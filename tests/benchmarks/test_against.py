"""What moved between two runs, by ratios alone."""

import json

import pytest

from pvt_edge.benchmarks.against import compare, read_baseline, unmoved
from pvt_edge.errors import DataError

from .records import benchmark, row

THEN = {"openvino fp32": 30.0, "openvino int8": 12.0, "onnxruntime fp32": 60.0, "onnxruntime int8": 45.0}


def run(medians, **changes):
    return benchmark(*(row(name, p50, whole=p50 * 1.2) for name, p50 in medians.items()), **changes)


def test_an_empty_run_has_no_ratios():
    with pytest.raises(DataError, match=r"at least 2 rows that both runs have: this run has none, the baseline openv"):
        compare(benchmark(), run(THEN), 1.15)
    with pytest.raises(DataError, match="at least 2 rows"):
        compare(run({"openvino fp32": 30.0, "torch fp32": 9.0}), run(THEN), 1.15)


CASES = {
    # what each row's median is multiplied by -> who moved, and by how much against the others
    "the same": ({}, {}),
    "all twice as slow": (dict.fromkeys(THEN, 2.0), {}),
    "all a third, and a little": ({n: f / 3 for n, f in zip(THEN, (1.0, 1.05, 1.1, 1.14), strict=True)}, {}),
    "one slower": ({"openvino int8": 1.5}, {"openvino int8": 1.5}),
    "one slower on a slower machine": (
        {**dict.fromkeys(THEN, 3.0), "openvino int8": 4.5}, {"openvino int8": 1.5},
    ),
    "one faster": ({"onnxruntime int8": 0.5}, {"onnxruntime int8": 0.5}),
    "two slower": (
        {"onnxruntime int8": 1.5, "onnxruntime fp32": 1.5}, {"onnxruntime fp32": 1.5, "onnxruntime int8": 1.5},
    ),
    "two ways": ({"openvino int8": 2.0, "onnxruntime int8": 0.5}, {"openvino int8": 2.0, "onnxruntime int8": 0.5}),
    "just inside": ({"openvino int8": 1.149}, {}),
    "just outside": ({"openvino int8": 1.151}, {"openvino int8": 1.151}),
}  # fmt: skip


@pytest.mark.parametrize(("factors", "moved"), CASES.values(), ids=CASES)
def test_rows_against_each_other(factors, moved):
    now = run({name: p50 * factors.get(name, 1.0) for name, p50 in THEN.items()})
    found = compare(now, run(THEN), 1.15)
    assert {move.row: move.change for move in found.moves} == {n: pytest.approx(f, rel=0.05) for n, f in moved.items()}
    assert bool(found) is not bool(moved)
    assert found.compared == tuple(THEN)


def test_of_two_rows_the_one_that_became_slower_is_named():
    then = {"openvino fp32": 30.0, "openvino int8": 12.0}
    found = compare(run({"openvino fp32": 30.0, "openvino int8": 18.0}), run(then), 1.15)
    assert found.lines(1.15) == [
        "ratios of 2 rows, within 1.15x: NOT as recorded: 1 moved or failed",
        "moved: openvino int8: 0.40 of openvino fp32 when recorded, 0.60 now (1.50x slower)",
    ]


def test_absolute_times_are_of_no_account():
    assert compare(run({name: p50 * 40 for name, p50 in THEN.items()}), run(THEN), 1.01)


def test_end_to_end_is_compared_with_inference():
    slower = benchmark(*(row(n, p, whole=p * (1.8 if n == "openvino int8" else 1.2)) for n, p in THEN.items()))
    found = compare(slower, run(THEN), 1.15)
    assert [move.text for move in found.moves] == [
        "openvino int8: end-to-end 1.20 of inference when recorded, 1.80 now (1.50x slower)"
    ]


def test_many_callers_are_compared_by_images_per_second():
    def of(rate):
        rows = [row(name, p50) for name, p50 in THEN.items()]
        first = rows[0].inference.model_copy(update={"images_per_second": rate})
        return benchmark(rows[0].model_copy(update={"callers": 2, "inference": first}), *rows[1:])

    found = compare(of(20.0), of(40.0), 1.15)
    assert {move.row: move.change for move in found.moves} == {"openvino fp32": pytest.approx(2.0)}


def test_rows_on_one_side_are_named_and_move_nothing():
    now = run({**{n: p for n, p in THEN.items() if n != "onnxruntime int8"}, "opencv fp32": 50.0})
    found = compare(now, run(THEN), 1.15)
    assert found
    assert found.notes == ("only in the baseline: onnxruntime int8", "only in this run: opencv fp32")


def test_a_recorded_row_that_fails_now_is_no_parity():
    rows = [row(name, None if name == "onnxruntime int8" else p50) for name, p50 in THEN.items()]
    found = compare(benchmark(*rows), benchmark(*(row(n, p) for n, p in THEN.items())), 1.15)
    assert not found
    assert found.failed == ("onnxruntime int8",)
    assert found.notes == ()


def test_what_a_reader_must_know_is_noted():
    notes = compare(run(THEN, busy=("others",)), run(THEN, cpu="another"), 1.15).notes
    assert "another machine (another, 2 cores; this is a CPU, 2 cores)" in notes[0]
    assert notes[1] == "this run was measured on a busy machine: others"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"variant": "b2"}, "of another variant: b2, this run of b0"),
        ({"task": "classify"}, "of another task: classify"),
        ({"width": 480}, "of another input: 480x480, this run of 480x640"),
    ],
)
def test_runs_of_other_models_are_refused(changes, words):
    with pytest.raises(DataError, match=words):
        compare(run(THEN), run(THEN, **changes), 1.15)


@pytest.mark.parametrize(
    ("changes", "limit", "still"),
    [
        ({}, 1.15, []),
        ({"a": 5.0}, 1.15, ["a"]),
        ({"b": 1.0, "a": 1.15}, 1.15, ["b", "a"]),
        ({"a": 1.0, "b": 1.5}, 1.15, ["a"]),
        ({"a": 2.0, "b": 1.0, "c": 2.1}, 1.15, ["a", "c"]),
    ],
)
def test_unmoved(changes, limit, still):
    assert unmoved(changes, limit) == still


BROKEN = {
    "missing": (None, "cannot read the baseline"),
    "no JSON": ("{", "is not JSON"),
    "a list": ("[]", "is no benchmark"),
    "another file": ('{"schema_version": 1}', "is no benchmark"),
    "a newer schema": ({"schema_version": 2}, "has schema 2, this pvt-edge reads 1"),
    "a wrong row": ({"rows": [{"name": "x"}]}, r"is wrong: rows\.0\.route: Field required"),
}


@pytest.mark.parametrize(("content", "words"), BROKEN.values(), ids=BROKEN)
def test_a_baseline_that_cannot_be_used(content, words, tmp_path):
    path = tmp_path / "baseline.json"
    if isinstance(content, dict):
        path.write_text(json.dumps({**run(THEN).model_dump(mode="json"), **content}))
    elif content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=words):
        read_baseline(path)


def test_a_baseline_comes_back_as_it_was(tmp_path):
    path = tmp_path / "baseline.json"
    path.write_text(run(THEN).model_dump_json())
    assert read_baseline(path) == run(THEN)


@pytest.mark.parametrize("edit", [{"p50": 0.0}, {"p50": -1.0}, {"p50": float("nan")}, {"images_per_second": 0.0}, None])
def test_a_baseline_without_times(tmp_path, edit):
    content = json.loads(run(THEN).model_dump_json())
    first = content["rows"][0]
    first["inference"] = None if edit is None else {**first["inference"], **edit}
    (tmp_path / "edited.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"edited.json is wrong: openvino fp32 has no times to compare with"):
        read_baseline(tmp_path / "edited.json")
