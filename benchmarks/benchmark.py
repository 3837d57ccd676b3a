"""run_benchmark: a bundle -> the figures of every row, measured in one run."""

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from typing import Any

import pvt_edge
from pvt_edge.benchmarks.cold_start import measure_cold_start, own_compiler_cache
from pvt_edge.benchmarks.comparison_models import check_models
from pvt_edge.benchmarks.contestants import Contestant, Stages, layer_group_ms, open_contestant, prepare
from pvt_edge.benchmarks.facts import describe_machine, describe_model
from pvt_edge.benchmarks.noise import NoiseWatch, read_counters
from pvt_edge.benchmarks.opening import TorchModel
from pvt_edge.benchmarks.options import Options
from pvt_edge.benchmarks.pictures import Pictures, draw_pictures, measure_accuracy, read_labels, read_pictures
from pvt_edge.benchmarks.planning import plan_run
from pvt_edge.benchmarks.record import Benchmark, EndToEnd, Noise, Peaks, Row, Times
from pvt_edge.benchmarks.roofline import GraphCosts, find_costs, find_floor, measure_peaks
from pvt_edge.benchmarks.rows import Plan, find_torch_model
from pvt_edge.benchmarks.timing import Track, measure_timer, run_rounds, summarise
from pvt_edge.bundle import Bundle
from pvt_edge.errors import BundleError, PvtEdgeError
from pvt_edge.metrics.labelled import Labelled
from pvt_edge.reporting.wording import counted
from pvt_edge.runtimes import missing
from pvt_edge.runtimes.boundary import one_line
from pvt_edge.variants import get_variant

Progress = Callable[[int, int, str], None]  # steps done, steps in all, what is done now

INFER, WHOLE = "infer", "end to end"


@dataclass(frozen=True)
class Measured:
    """A benchmark, and every sample behind it: row name -> "infer" and "end to end" -> ms, in the order timed."""

    benchmark: Benchmark
    samples_ms: dict[str, dict[str, list[float]]]


def run_benchmark(
    bundle: Bundle,
    options: Options,
    *,
    command: str = "",
    torch_model: TorchModel | None = None,
    made_for_this: bool = False,
    notes: Sequence[str] = (),
    progress: Progress | None = None,
    announce: Callable[[str], None] | None = None,
) -> Measured:
    """The figures of every row of the bundle that `options` choose, measured in turns.

    `torch_model` is the trained model where the caller has it; `made_for_this` says that the bundle was exported only
    to be measured; `notes` go into the record; `announce` is told how long it will take. A row that fails says so and
    the others go on. Raises `DataError` for labels that do not fit the bundle, a `PvtEdgeError` where nothing can run.
    """
    run = Run(bundle, options, torch_model, progress)
    run.notes += notes
    run.announce = announce
    return run.measure(command, made_for_this)


class Run:
    """One benchmark in the making."""

    def __init__(
        self, bundle: Bundle, options: Options, torch_model: TorchModel | None, progress: Progress | None
    ) -> None:
        self.bundle, self.options, self.progress = bundle, options, progress
        self.torch_model = torch_model or find_torch_model(bundle, options.weights, options.head)
        self.rows: dict[str, Row] = {}
        self.notes: list[str] = []
        manifest = bundle.manifest
        if manifest.moves:
            words = manifest.moves.words(get_variant(manifest.variant))
            self.notes.append(f"files of {' and '.join(manifest.approximated)} are approximated: {words}")
        self.announce: Callable[[str], None] | None = None
        self.done, self.steps = 0, 1

    def begin(self, text: str) -> None:
        """Say that a step begins."""
        if self.progress:
            self.progress(self.done, self.steps, text)
        self.done += 1

    def measure(self, command: str, made_for_this: bool) -> Measured:
        """All of it."""
        options = self.options
        check_models(options.compare, self.bundle.manifest.task)
        self.begin("looking at the machine")
        labelled = judged_on = None
        if options.data is not None:
            labelled = read_labels(self.bundle, options.data, options.images)
            judged_on = f"{counted(len(labelled.samples), 'labelled picture')} of {options.data.name}"
        load = read_counters().load
        machine, timer = describe_machine(), measure_timer()
        pictures = self._pictures(labelled)
        with tempfile.TemporaryDirectory() as scratch, own_compiler_cache(Path(scratch)):
            plans, compared = plan_run(
                self.bundle, options, self.torch_model, Path(scratch), on_step=self.begin, announce=self.announce
            )
            self.rows = {plan.name: plan.row for plan in plans}
            live = [plan for plan in plans if plan.opening is not None]
            rounds = (options.rounds + (options.warmup_s > 0)) * (1 + options.end_to_end) * len(live)
            each = 1 + options.cold_start + (labelled is not None)
            self.steps = self.done + len(live) * each + rounds + options.roofline + options.layers
            live = self._cold_starts(live) if options.cold_start else live
            peaks = self._peaks()
            with ExitStack() as stack:
                opened = self._open(live, pictures, stack)
                watch = NoiseWatch(load)
                tracks = self._rounds(opened, watch)
                noise = watch.summary()
                samples = self._summarise(opened, tracks)
                self._check_any_measured()
                if labelled is not None:
                    self._accuracies(opened, labelled)
            costs = find_costs(live)
            if peaks is not None:
                self._floors(opened, costs, peaks)
            if options.layers:
                self._layers(live, opened, pictures)
        measured = Benchmark(
            pvt_edge=pvt_edge.__version__,
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            command=command,
            model=describe_model(self.bundle, self.torch_model, judged_on, made_for_this=made_for_this),
            settings=options.settings(pictures.words),
            machine=machine,
            noise=noise,
            timer=timer,
            peaks=peaks,
            rows=tuple(self.rows.values()),
            fastest=find_fastest(self.rows.values(), noise),
            notes=tuple(self.notes),
            compared=tuple(compared),
        )
        return Measured(measured, samples)

    def _pictures(self, labelled: Labelled[Any] | None) -> Pictures:
        """Those for end-to-end; with labels, of the pictures they are of, which may lie in folders of folders."""
        place = self.options.images
        if place is None:
            return draw_pictures()
        pictures = read_pictures(place, [sample.path for sample in labelled.samples] if labelled else ())
        self.notes += (f"left out: {line}" for line in pictures.skipped)
        return pictures

    def _cold_starts(self, plans: Sequence[Plan]) -> list[Plan]:
        """The plans whose runtimes survive a process of their own."""
        alive = []
        for plan in plans:
            self.begin(f"cold start of {plan.name}")
            assert plan.opening is not None
            try:
                self._update(plan.name, cold_start=measure_cold_start(plan.opening))
            except PvtEdgeError as error:
                self._fail(plan.name, str(error))
            else:
                alive.append(plan)
        return alive

    def _peaks(self) -> Peaks | None:
        if not self.options.roofline:
            return None
        self.begin("measuring what the machine can do at best")
        if (reason := missing("openvino")) is not None:
            self.notes.append(f"no roofline, whose peaks are measured with OpenVINO: {reason}")
            return None
        return measure_peaks(self.options.choice.threads, seconds=min(1.0, self.options.duration_s))

    def _open(self, plans: Sequence[Plan], pictures: Pictures, stack: ExitStack) -> dict[str, Contestant]:
        opened = {}
        for plan in plans:
            self.begin(f"opening {plan.name}")
            assert plan.opening is not None
            try:
                opened[plan.name] = open_contestant(plan.opening, self.bundle, pictures, stack)
            except Exception as error:  # whatever a runtime raises is its row's end, not the benchmark's
                self._fail(plan.name, one_line(error))
        return opened

    def _rounds(self, opened: Mapping[str, Contestant], watch: NoiseWatch) -> dict[tuple[str, str], Track]:
        turns = {}
        for name, contestant in opened.items():
            turns[f"{INFER}: {name}"] = contestant.infer
            if self.options.end_to_end:
                turns[f"{WHOLE}: {name}"] = contestant.end_to_end
        options = self.options
        tracks = run_rounds(
            turns,
            rounds=options.rounds,
            slice_s=options.slice_s,
            seed=options.seed,
            warmup_s=options.warmup_s,
            between=watch.listen,
            on_step=self.begin,
        )
        kinds = (INFER, WHOLE) if self.options.end_to_end else (INFER,)
        return {(kind, name): tracks[f"{kind}: {name}"] for name in opened for kind in kinds}

    def _summarise(
        self, opened: Mapping[str, Contestant], tracks: Mapping[tuple[str, str], Track]
    ) -> dict[str, dict[str, list[float]]]:
        """Write the rows' figures; all samples by row."""
        samples = {}
        for name, contestant in opened.items():
            its = {kind: track for (kind, row), track in tracks.items() if row == name}
            error = next((track.error for track in its.values() if track.error is not None), None)
            if error is not None:
                count = sum(len(track.whole.samples_ms) for track in its.values())
                self._fail(name, f"failed after {count} timed calls: {error}")
                continue
            batch, percentiles = self.rows[name].batch, self.options.percentiles
            times = {
                kind: summarise(track.whole.samples_ms, percentiles, batch=batch, seconds=track.whole.seconds)
                for kind, track in its.items()
            }
            self._update(
                name,
                device=contestant.device,
                threads=contestant.threads,
                callers=contestant.callers,
                inference=times[INFER],
                end_to_end=_end_to_end(times[WHOLE], its[WHOLE].whole.answers) if WHOLE in its else None,
            )
            samples[name] = {kind: track.whole.samples_ms for kind, track in its.items()}
        return samples

    def _check_any_measured(self) -> None:
        if not any(row.status == "measured" for row in self.rows.values()):
            reasons = "; ".join(f"{row.name}: {row.reason}" for row in self.rows.values() if row.status == "failed")
            raise BundleError(f"no row of {self.bundle.folder} could be measured: {reasons}")

    def _accuracies(self, opened: Mapping[str, Contestant], labelled: Labelled[Any]) -> None:
        """Write what each measured row finds in the labelled pictures; once for all batches of a file."""
        self.notes += labelled.notes
        found: dict[tuple[str, str, str], dict[str, float] | None] = {}
        for name, contestant in opened.items():
            row = self.rows[name]
            if row.model is not None:
                continue  # random weights
            file = row.route, row.runtime, row.precision
            if row.inference is not None and file not in found:
                self.begin(f"accuracy of {name}")
                try:
                    found[file] = measure_accuracy(contestant.predictor, labelled)
                except Exception as error:  # what was timed is not to be lost
                    self.notes.append(f"no accuracy of {name}: {one_line(error)}")
                    found[file] = None
            self._update(name, accuracy=found.get(file))

    def _floors(self, opened: Mapping[str, Contestant], costs: Mapping[str, GraphCosts], peaks: Peaks) -> None:
        """Write the floors of the rows that run on the CPU, one caller at a time."""
        for name, contestant in opened.items():
            row = self.rows[name]
            if row.inference is None or contestant.device != "cpu" or contestant.callers > 1 or name not in costs:
                continue
            floats = contestant.float_precision
            floor = find_floor(
                costs[name], peaks, precision=row.precision, float_precision=floats, p50_ms=row.inference.p50
            )
            self._update(name, floor=floor)

    def _layers(self, plans: Sequence[Plan], opened: Mapping[str, Contestant], pictures: Pictures) -> None:
        """Write where OpenVINO's time goes, of one picture and one caller."""
        self.begin("asking OpenVINO where its time goes")
        for plan in plans:
            row = self.rows[plan.name]
            if plan.opening is None or row.inference is None or row.runtime != "openvino" or row.model is not None:
                continue
            contestant = opened[plan.name]
            if row.batch == 1 and contestant.callers == 1 and contestant.float_precision in ("fp32", "bf16"):
                picture = prepare(pictures.encoded[0], self.bundle.manifest)
                bf16 = contestant.float_precision == "bf16"
                self._update(plan.name, layers_ms=layer_group_ms(plan.opening, picture, bf16=bf16))

    def _update(self, name: str, **values: object) -> None:
        self.rows[name] = self.rows[name].model_copy(update=values)

    def _fail(self, name: str, reason: str) -> None:
        self._update(name, status="failed", reason=reason)


def find_fastest(rows: Iterable[Row], noise: Noise) -> str | None:
    """The name of the bundle's row with the least median an image; None on a busy machine, whose order is chance."""
    timed = [(row.inference.p50 / row.batch, row.name) for row in rows if row.inference and row.model is None]
    return min(timed)[1] if timed and not noise.busy else None


def _end_to_end(times: Times, stages: Sequence[Stages]) -> EndToEnd:
    medians = {name: round(median(getattr(one, name) for one in stages), 4) for name in Stages._fields}
    return EndToEnd(times=times, stages=medians)
