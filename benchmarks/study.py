"""The study table: what each variant costs at each size, with random weights, which take as long as any."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from time import perf_counter

import pvt_edge
from pvt_edge.benchmarks.benchmark import run_benchmark
from pvt_edge.benchmarks.exporting import export_to_measure
from pvt_edge.benchmarks.machine import describe_machine
from pvt_edge.benchmarks.options import Options
from pvt_edge.benchmarks.record import Row, Settings, Study, StudyEntry
from pvt_edge.benchmarks.rows import unnamed
from pvt_edge.reporting.canvas import shorten
from pvt_edge.reporting.markdown import bullets, plain, table
from pvt_edge.reporting.rounding import NOTHING, counted, duration, ms
from pvt_edge.runtimes.boundary import one_line
from pvt_edge.variants import get_variant

Progress = Callable[[int, int, str], None]

STUDY_ROUNDS = 5  # at least: the largest take a second a call
STUDIED = ("openvino", "onnxruntime")  # of the runtimes, unless some are asked for


def run_study(
    variants: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    options: Options,
    *,
    task: str = "classify",
    weights: str = "none",
    command: str = "",
    progress: Progress | None = None,
) -> Study:
    """Every variant at every size (height, width): exported, its rows measured in turns, and thrown away.

    One that cannot be exported or run says why and the others go on. Names and sizes are checked first: raises
    `UnknownNameError` and `ImageSizeError`.
    """
    from pvt_edge.export.deploy.form import check_imgsz  # needs torch

    names = list(dict.fromkeys(get_variant(name).name for name in variants))
    sizes = list(dict.fromkeys(sizes))
    for size in sizes:
        check_imgsz(size)
    options.choice.check()
    choice = options.choice
    if set(choice.runtimes) == set(unnamed()):  # asked for by nobody
        choice = replace(choice, runtimes=STUDIED)
    int8 = "int8" in choice.precisions
    options = replace(
        options,
        choice=choice,
        least_rounds=STUDY_ROUNDS,
        warmup_s=0.0,  # each turn begins with an untimed call
        end_to_end=False,
        cold_start=False,
        roofline=False,
        layers=False,
    )
    began = perf_counter()
    entries: list[StudyEntry] = []
    settings: Settings | None = None
    combinations = [(name, size) for name in names for size in sizes]
    for done, (name, size) in enumerate(combinations):
        words = f"{name} {size[0]}x{size[1]}"

        def tell(text: str, done: int = done, words: str = words) -> None:
            if progress:
                progress(done, len(combinations), f"{words}: {text}")

        entry, used = _measure(name, size, options, task, weights, int8, tell)
        entries.append(entry)
        settings = settings or used
    return Study(
        pvt_edge=pvt_edge.__version__,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        command=command,
        task=task,
        weights="random" if weights == "none" else weights,
        settings=settings,
        machine=describe_machine(),
        entries=tuple(entries),
        seconds=round(perf_counter() - began, 1),
    )


def _measure(
    name: str,
    size: tuple[int, int],
    options: Options,
    task: str,
    weights: str,
    int8: bool,
    tell: Callable[[str], None],
) -> tuple[StudyEntry, Settings | None]:
    began = perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        try:
            tell("exporting")
            exported = export_to_measure(
                Path(folder), name, task=task, weights=weights, head=options.head, imgsz=size, int8=int8, tell=tell
            )
            measured = run_benchmark(
                exported.bundle,
                options,
                torch_model=exported.torch_model,
                made_for_this=True,
                progress=lambda _done, _steps, text: tell(text),
            ).benchmark
        except Exception as error:  # out of memory at a large size, say: what was measured before must not be lost
            seconds = round(perf_counter() - began, 1)
            reason = shorten(one_line(error), 300)
            return StudyEntry(
                model=None, variant=name, height=size[0], width=size[1], reason=reason, seconds=seconds
            ), None
    entry = StudyEntry(
        model=measured.model,
        variant=name,
        height=size[0],
        width=size[1],
        rows=measured.rows,
        busy=measured.noise.busy,
        seconds=round(perf_counter() - began, 1),
    )
    return entry, measured.settings


SIZES = ("M params", "G MACs", "MiB fp32", "MiB int8")


def study_columns(study: Study) -> list[str]:
    """Names of the table's columns: the model, `SIZES`, and p50 ms of every row that any entry has."""
    return ["variant", "input", *SIZES, *_row_names(study)]


def study_rows(study: Study) -> list[list[str]]:
    """The cells, an entry a line."""
    return [_cells(entry, _row_names(study)) for entry in study.entries]


def study_lines(study: Study) -> list[str]:
    """What a reader must know of the table."""
    settings = study.settings
    lines = [
        f"Milliseconds, median of inference alone, batch 1. {study.task}, weights {study.weights}: "
        "they do not change the time. Multiply-adds count attention's products.",
        f"{study.machine.cpu}, {counted(study.machine.cores, 'core')}; {duration(study.seconds)} in all.",
    ]
    if settings:
        lines.append(
            f"{counted(settings.rounds, 'round')} of {settings.slice_s:.2g} s a row, the rows of one variant and size "
            "interleaved, no sample removed."
        )
    for entry in study.entries:
        words = f"{entry.variant} {entry.height}x{entry.width}"
        if entry.reason:
            lines.append(f"{words} FAILED: {entry.reason}")
        lines += [f"{words} {row.name} FAILED: {row.reason}" for row in entry.rows if row.status == "failed"]
        lines += [f"BUSY MACHINE at {words}: {reason}" for reason in entry.busy]
    return lines


def study_page(study: Study) -> str:
    """The study as Markdown."""
    sections = [
        f"# PVT-v2 {study.task}: cost against size and variant",
        table(study_columns(study), [[plain(cell) for cell in row] for row in study_rows(study)], words=2),
        bullets([plain(line) for line in study_lines(study)]),
        f"```sh\n{study.command}\n```",
    ]
    return "\n\n".join(sections) + "\n"


def _row_names(study: Study) -> list[str]:
    return list(dict.fromkeys(row.name for entry in study.entries for row in entry.rows if row.status == "measured"))


def _cells(entry: StudyEntry, names: Sequence[str]) -> list[str]:
    model, rows = entry.model, {row.name: row for row in entry.rows}
    params = f"{model.parameters / 1e6:.2f}" if model and model.parameters else NOTHING
    macs = f"{model.macs / 1e9:.2f}" if model and model.macs else NOTHING
    return [
        entry.variant,
        str(entry.height) if entry.height == entry.width else f"{entry.height}x{entry.width}",
        params,
        macs,
        _mebibytes(entry.rows, "fp32"),
        _mebibytes(entry.rows, "int8"),
        *(_p50(rows.get(name)) for name in names),
    ]


def _mebibytes(rows: Sequence[Row], precision: str) -> str:
    sizes = [row.model_bytes for row in rows if row.precision == precision and row.model_bytes]
    return f"{sizes[0] / 2**20:.1f}" if sizes else NOTHING


def _p50(row: Row | None) -> str:
    return ms(row.inference.p50) if row and row.inference else NOTHING
