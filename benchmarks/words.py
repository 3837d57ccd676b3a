"""A benchmark in words: the cells of its tables, and the lines below them, for the terminal and for Markdown alike."""

from collections.abc import Sequence

from pvt_edge.benchmarks.record import Benchmark, Machine, ModelFacts, Noise, Row
from pvt_edge.benchmarks.rows import row_name
from pvt_edge.reporting.wording import NOTHING, counted, mebibytes, ms, times
from pvt_edge.variants import VARIANTS, title_of

FACTS = ("M params", "G MACs", "top-1")
RANDOM = (
    "Comparison models are transformers' classes with random weights, by the default route, INT8 by NNCF's defaults: "
    "their times hold, their answers mean nothing. M params and G MACs are counted; top-1 is as published, of "
    "ImageNet in percent at 224x224"
)
ACCURACY = ("AP", "top1", "mIoU", "AP50")  # the first of these that a row has is shown
TIMER_LIMIT = 0.01


def model_columns(benchmark: Benchmark) -> list[str]:
    """Names of the columns: the model, `FACTS`, and p50 ms of the rows that a comparison model has."""
    return ["model", *FACTS, *_kinds(benchmark)]


def model_cells(benchmark: Benchmark) -> list[list[str]]:
    """The lines: the bundle's model, the same by the default route, and each comparison model; none without any."""
    kinds = _kinds(benchmark)
    if not kinds:
        return []
    model, facts = benchmark.model, {found.name: found for found in benchmark.compared}
    known = VARIANTS.get(model.variant)
    own = fact_cells(model.parameters, model.macs, known.top1 if known else None)
    lines = [[model.variant, *own, *_times(benchmark.measured, kinds, "pvt-edge", None)]]
    if any(row.route == "stock" and row.model is None for row in benchmark.rows):
        lines.append([f"{model.variant} stock", *own, *_times(benchmark.measured, kinds, "stock", None)])
    for name in dict.fromkeys(row.model for row in benchmark.rows if row.model is not None):
        found = facts.get(name)
        its = fact_cells(found.parameters, found.macs, found.top1) if found else [NOTHING] * len(FACTS)
        lines.append([name, *its, *_times(benchmark.measured, kinds, "stock", name)])
    return lines


def fact_cells(parameters: int | None, macs: int | None, top1: float | None) -> list[str]:
    """The cells of `FACTS`."""
    return [
        f"{parameters / 1e6:.2f}" if parameters else NOTHING,
        f"{macs / 1e9:.2f}" if macs else NOTHING,
        f"{top1:.1f}" if top1 else NOTHING,
    ]


def comparison_lines(compared: Sequence[ModelFacts]) -> list[str]:
    """What a reader must know of the comparison models, a line each; nothing where there are none."""
    if not compared:
        return []
    sources = "; ".join(f"{model.name} {model.top1:g}, {model.source}" for model in compared)
    notes = [f"{model.name}: {model.note}." for model in compared if model.note]
    return [f"{RANDOM} ({sources}).", *notes]


def kind_of(row: Row) -> str:
    """Runtime, precision and batch: what rows of several models have in common."""
    return row_name("", row.runtime, row.precision, row.batch)


def _kinds(benchmark: Benchmark) -> list[str]:
    return list(dict.fromkeys(kind_of(row) for row in benchmark.rows if row.model is not None and row.precision))


def _times(rows: Sequence[Row], kinds: Sequence[str], route: str, model: str | None) -> list[str]:
    p50 = {kind_of(r): ms(r.inference.p50) for r in rows if r.inference and (r.route, r.model) == (route, model)}
    return [p50.get(kind, NOTHING) for kind in kinds]


def title(benchmark: Benchmark) -> str:
    """The model: "PVT-v2 b0, detect, 480x640"."""
    model = benchmark.model
    return f"{title_of(model.variant)}, {model.task}, {model.height}x{model.width}"


def latency_columns(benchmark: Benchmark) -> list[str]:
    """Names of the first table's columns: inference alone, ms of a call."""
    return ["row", *(f"p{p}" for p in _percentiles(benchmark)), "img/s", "floor", "x floor"]


def latency_cells(benchmark: Benchmark, row: Row) -> list[str]:
    """The cells of a measured row, its name first."""
    assert row.inference is not None
    return [
        row.name,
        *(ms(row.inference.percentiles[p]) for p in _percentiles(benchmark)),
        f"{row.inference.images_per_second:.1f}",
        ms(row.floor.floor_ms) if row.floor else NOTHING,
        times(row.floor.distance) if row.floor else NOTHING,
    ]


def cost_columns(benchmark: Benchmark) -> list[str]:
    """Names of the third table's columns: what a row costs beside time."""
    vram = ["VRAM MiB"] if _any_vram(benchmark) else []
    accuracy = [name] if (name := accuracy_name(benchmark)) else []
    return ["row", "import", "load", "first", "all", "RSS MiB", *vram, "file MiB", *accuracy]


def cost_cells(benchmark: Benchmark, row: Row) -> list[str]:
    """The cells of a measured row: ms from nothing to the first result, memory, size, accuracy."""
    cold, name, accuracy = row.cold_start, accuracy_name(benchmark), row.accuracy or {}
    start = (cold.import_ms, cold.load_ms, cold.first_ms, cold.total_ms) if cold else (None,) * 4
    vram = f"{cold.vram_mib:.0f}" if cold and cold.vram_mib is not None else NOTHING
    return [
        row.name,
        *map(ms, start),
        f"{cold.peak_rss_mib:.0f}" if cold else NOTHING,
        *([vram] if _any_vram(benchmark) else []),
        mebibytes(row.model_bytes) if row.model_bytes else NOTHING,
        *([f"{accuracy[name]:.3f}" if name in accuracy else NOTHING] if name else []),
    ]


def stage_columns() -> list[str]:
    """Names of the columns of the end-to-end table."""
    return ["row", "JPEG", "prep", "infer", "post", "all", "img/s", "x infer"]


def stage_cells(row: Row) -> list[str]:
    """Median ms of the stages, and how many times the inference alone the whole is."""
    assert row.end_to_end is not None and row.inference is not None
    stages = row.end_to_end.stages
    return [
        row.name,
        *(ms(stages[name]) for name in ("decode", "preprocess", "inference", "postprocess")),
        ms(row.end_to_end.times.p50),
        f"{row.end_to_end.times.images_per_second:.1f}",
        times(row.end_to_end.times.p50 / row.inference.p50),
    ]


def warnings(benchmark: Benchmark) -> list[str]:
    """What a reader must know before a figure is quoted; nothing on a quiet machine."""
    found = [f"BUSY MACHINE: {reason}" for reason in benchmark.noise.busy]
    if found:
        found.append(
            "no row is marked as the fastest, and no figure here is to be quoted: run again with nothing else on the "
            "machine"
        )
    if benchmark.timer.share_of_2_ms > TIMER_LIMIT:
        found.append(f"the stopwatch itself costs {benchmark.timer.in_sample_us:.1f} us a call here")
    beaten = [row.name for row in benchmark.measured if row.floor and row.floor.distance < 1]
    if beaten:
        found.append(
            f"faster than the floor: {', '.join(beaten)}; the peaks were measured while the machine was busier"
        )
    return found


def facts(benchmark: Benchmark) -> list[str]:
    """How it was measured, a line each."""
    settings, model = benchmark.settings, benchmark.model
    lines = [machine_line(benchmark.machine)]
    size = [f"{model.macs / 1e9:.2f} G multiply-adds an image (attention's products included)"] if model.macs else []
    size += [f"{model.parameters / 1e6:.2f} M parameters"] if model.parameters else []
    if size:
        lines.append(f"Model: {', '.join(size)}; weights {model.weights}.")
    if benchmark.peaks is not None:
        peaks = benchmark.peaks
        tops = ", ".join(f"{kind} {value * 1e3:.0f} GOP/s" for kind, value in peaks.tera_operations.items())
        lines.append(
            f"Roofline: {tops}, copying {peaks.copy_gb_per_second:.1f} GB/s, measured here with "
            f"{counted(peaks.threads, 'thread')}; floor: the larger of arithmetic at these and weights and pixels "
            "through memory once."
        )
    callers = "one caller" if settings.hint == "latency" else "as many callers as keep the machine busy"
    threads = "the runtimes' own choice of threads" if settings.threads is None else counted(settings.threads, "thread")
    lines.append(
        f"{settings.hint.capitalize()}: {callers}, {threads}; {counted(settings.rounds, 'round')} of "
        f"{settings.slice_s:.2g} s a row, order drawn with seed {settings.seed}, {settings.warmup_s:g} s of warm-up, "
        "and one untimed call at the beginning of each turn; no sample removed."
    )
    lines.append(f"End-to-end: JPEG decoding, resizing, inference, postprocessing of {settings.pictures}.")
    if name := accuracy_name(benchmark):
        lines.append(f"{name}: on {model.accuracy_data}.")
    lines += comparison_lines(benchmark.compared)
    lines.append(noise_line(benchmark.noise))
    if benchmark.fastest:
        lines.append(f"Fastest: {benchmark.fastest}.")
    return [*lines, *benchmark.notes]


def machine_line(machine: Machine) -> str:
    """The machine and the versions, in a line."""
    gpu = f", {machine.gpu}" if machine.gpu else ""
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    return (
        f"Machine: {machine.cpu}, {counted(machine.cores, 'core')}, {machine.memory_gib:.0f} GiB, "
        f"{machine.system}{gpu}; {versions}."
    )


def noise_line(noise: Noise) -> str:
    """What was heard of the machine while it measured."""
    parts = [f"the same small work took {noise.reference_spread:.2f} times as long at its p90 as at its p10"]
    if noise.others_cpu is not None:
        parts.append(f"other processes {noise.others_cpu:.2f} cores")
    if noise.steal is not None:
        parts.append(f"steal {noise.steal:.1%}")
    if noise.load_before is not None:
        parts.append(f"load average {noise.load_before:.1f} before")
    if noise.mhz is not None:
        low, high = noise.mhz
        parts.append(f"clock {low:.0f} MHz" if low == high else f"clock {low:.0f} to {high:.0f} MHz")
    if noise.cgroup_throttled_s:
        parts.append(f"held back by the container {noise.cgroup_throttled_s:.1f} s")
    if noise.thermal_throttles is not None:
        parts.append(counted(noise.thermal_throttles, "throttling for heat", "throttlings for heat"))
    return f"Noise: {', '.join(parts)}."


def accuracy_name(benchmark: Benchmark) -> str | None:
    """The metric that is shown; None where no row has one."""
    names = {name for row in benchmark.measured for name in row.accuracy or {}}
    return next((name for name in ACCURACY if name in names), None)


def _percentiles(benchmark: Benchmark) -> list[str]:
    return next((list(row.inference.percentiles) for row in benchmark.measured if row.inference), ["50"])


def _any_vram(benchmark: Benchmark) -> bool:
    return any(row.cold_start is not None and row.cold_start.vram_mib is not None for row in benchmark.rows)
