"""The study table: what each variant costs at each size, with random weights, which take as long as any."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from time import perf_counter

import pvt_edge
from pvt_edge.benchmarks.benchmark import Progress, run_benchmark
from pvt_edge.benchmarks.comparison_models import STOCK, check_models
from pvt_edge.benchmarks.facts import describe_machine
from pvt_edge.benchmarks.options import Options
from pvt_edge.benchmarks.planning import export_to_measure
from pvt_edge.benchmarks.record import Benchmark, Study, StudyEntry
from pvt_edge.benchmarks.rows import unnamed
from pvt_edge.reporting.plots import shorten
from pvt_edge.runtimes.boundary import one_line
from pvt_edge.variants import get_variant

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

    Comparison models among `options.compare` take turns with the first variant of each size that can be measured. What
    cannot be exported or run says why and the others go on. Names and sizes are checked first: raises
    `UnknownNameError`, `ImageSizeError` and what `check_models` does.
    """
    from pvt_edge.export.deploy.form import check_imgsz  # needs torch

    names = list(dict.fromkeys(get_variant(name).name for name in variants))
    sizes = list(dict.fromkeys(sizes))
    for size in sizes:
        check_imgsz(size)
    options.choice.check()
    check_models(options.compare, task)
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
    others: list[StudyEntry] = []  # of comparison models: below the variants
    found: list[Benchmark] = []
    combinations = [(name, size) for name in names for size in sizes]
    for done, (name, size) in enumerate(combinations):
        words = f"{name} {size[0]}x{size[1]}"

        def on_step(text: str, done: int = done, words: str = words) -> None:
            if progress:
                progress(done, len(combinations), f"{words}: {text}")

        beside = options.compare
        if any((entry.height, entry.width) == size for entry in others):
            beside = tuple(other for other in beside if other == STOCK)
        entry, measured = _measure(name, size, replace(options, compare=beside), task, weights, int8, on_step)
        entries.append(entry)
        if measured is not None:
            found.append(measured)
            others += _others(measured)
    return Study(
        pvt_edge=pvt_edge.__version__,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        command=command,
        task=task,
        weights="random" if weights == "none" else weights,
        settings=found[0].settings if found else None,
        machine=describe_machine(),
        entries=(*entries, *others),
        seconds=round(perf_counter() - began, 1),
    )


def _measure(
    name: str,
    size: tuple[int, int],
    options: Options,
    task: str,
    weights: str,
    int8: bool,
    on_step: Callable[[str], None],
) -> tuple[StudyEntry, Benchmark | None]:
    began = perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        try:
            on_step("exporting")
            exported = export_to_measure(
                Path(folder),
                name,
                task=task,
                weights=weights,
                head=options.head,
                imgsz=size,
                int8=int8,
                on_step=on_step,
            )
            measured = run_benchmark(
                exported.bundle,
                options,
                torch_model=exported.torch_model,
                made_for_this=True,
                progress=lambda _done, _steps, text: on_step(text),
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
        rows=tuple(row for row in measured.rows if row.model is None),
        busy=measured.noise.busy,
        seconds=round(perf_counter() - began, 1),
    )
    return entry, measured


def _others(measured: Benchmark) -> list[StudyEntry]:
    """The entries of the comparison models in a run."""
    facts = {model.name: model for model in measured.compared}
    entries = []
    for name in dict.fromkeys(row.model for row in measured.rows if row.model is not None):
        rows = tuple(row for row in measured.rows if row.model == name)
        reason = None if any(row.status == "measured" for row in rows) else rows[0].reason
        entries.append(
            StudyEntry(
                model=None,
                variant=name,
                height=measured.model.height,
                width=measured.model.width,
                rows=rows,
                reason=reason,
                seconds=0.0,
                compared=facts.get(name),
            )
        )
    return entries
