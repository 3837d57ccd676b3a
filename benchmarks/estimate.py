"""How long a benchmark will take, said before it begins."""

from collections.abc import Sequence

from pvt_edge.benchmarks.opening import COMPILED
from pvt_edge.benchmarks.options import Options
from pvt_edge.reporting.rounding import counted, duration

# Seconds of a fresh process until its first result, and of opening once more, on two cores of a server
COLD_START_S = {"torch": 10.0, COMPILED: 75.0, "tensorrt": 12.0, "tensorrt-rtx": 12.0}
OPENING_S = {"torch": 1.0, COMPILED: 45.0}
OTHER_START_S, OTHER_OPENING_S = 4.0, 1.0
STOCK_S = 45.0  # a batch: the stock graph traced, and NNCF's calibration
PEAKS_S, LAYERS_S = 6.0, 3.0


def estimate_seconds(runtimes: Sequence[str], options: Options, *, stock_exports: int = 0) -> float:
    """Seconds of a run whose rows are of these runtimes: start, warm-up and measuring of each, and what goes before."""
    starts = sum(
        OPENING_S.get(name, OTHER_OPENING_S) + (COLD_START_S.get(name, OTHER_START_S) if options.cold_start else 0.0)
        for name in runtimes
    )
    before = stock_exports * STOCK_S + options.roofline * PEAKS_S + options.layers * LAYERS_S
    return before + starts + len(runtimes) * _turns_s(options)


def estimate_words(runtimes: Sequence[str], options: Options, *, stock_exports: int = 0) -> str:
    """The estimate and what it is made of, in a line."""
    seconds = estimate_seconds(runtimes, options, stock_exports=stock_exports)
    start = (seconds - len(runtimes) * _turns_s(options)) / max(len(runtimes), 1)
    each = f"{start:.0f} s to prepare and start on average, {_turns_s(options):.0f} s of warm-up and measuring"
    return f"{counted(len(runtimes), 'row')}, about {duration(seconds)} on a quiet machine: each {each}"


def _turns_s(options: Options) -> float:
    """Of a row: inference alone, and end to end."""
    return (options.warmup_s + options.duration_s) * (1 + options.end_to_end)
