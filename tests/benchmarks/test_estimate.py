"""How long a run will take, and which row of it is marked as the fastest."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from pvt_edge.benchmarks.benchmark import find_fastest
from pvt_edge.benchmarks.options import Options
from pvt_edge.benchmarks.planning import estimate_seconds, estimate_words
from pvt_edge.benchmarks.table import page, print_tables

from .records import benchmark, row

ROWS = ["openvino", "onnxruntime", "opencv"]


def test_every_part_counts():
    options = Options(duration_s=5.0, warmup_s=0.5)
    whole = estimate_seconds(ROWS, options)
    turns = 3 * 2 * 5.5
    assert whole > turns
    assert estimate_seconds(ROWS, replace(options, duration_s=6.0)) == pytest.approx(whole + 3 * 2)
    assert estimate_seconds([*ROWS, "torch-compile"], options) > whole + 60
    assert estimate_seconds(ROWS, options, stock_exports=1) > whole
    assert estimate_seconds(ROWS, options.quick()) < whole
    assert estimate_words(ROWS, options).startswith(f"3 rows, about {whole:.0f} s on a quiet machine")


QUIET = benchmark(row("openvino fp32", 9.0), row("openvino int8", 5.0), row("onnxruntime fp32", None))
BUSY = benchmark(*QUIET.rows, busy=("other processes took 1.0 cores on average",))


@pytest.mark.parametrize(("found", "fastest"), [(QUIET, "openvino int8"), (BUSY, None)], ids=["quiet", "busy"])
def test_a_row_is_the_fastest_on_a_quiet_machine_only(found, fastest):
    found = found.model_copy(update={"fastest": find_fastest(found.rows, found.noise)})
    assert found.fastest == fastest
    console = Console(file=io.StringIO(), width=200, force_terminal=True, color_system="standard")
    print_tables(found, console)
    printed = console.file.getvalue()
    bold = [line for line in printed.splitlines() if "openvino int8" in line and "\x1b[1m" in line]
    for text in (printed, page(found, None)):
        assert ("Fastest: openvino int8." in text) == (fastest is not None)
        assert ("no row is marked as the fastest" in text) == (fastest is None)
    assert bool(bold) == (fastest is not None)


def test_rows_of_a_batch_count_by_the_image():
    rows = (row("openvino fp32", 9.0), row("openvino fp32 batch 4", 20.0, batch=4))
    assert find_fastest(rows, QUIET.noise) == "openvino fp32 batch 4"
    assert find_fastest((row("openvino fp32", None),), QUIET.noise) is None
