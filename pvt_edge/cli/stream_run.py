"""How `pvt-edge predict` runs its streams into its sinks, to their end or to a signal, and what it tells then."""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from threading import TIMEOUT_MAX, Timer
from typing import TYPE_CHECKING

import typer

from pvt_edge.cli.progress import bar_shown, status_lines, statuses_shown
from pvt_edge.errors import escaped
from pvt_edge.results.fields import MeanSpeed
from pvt_edge.sources import ImageFiles
from pvt_edge.streams.counting import ObjectCounter
from pvt_edge.streams.delivery import Delivery
from pvt_edge.streams.service import Service, stop_on_signals
from pvt_edge.streams.status import STALLS_TO_HANG

if TYPE_CHECKING:
    from rich.console import Console

    from pvt_edge.results import Result
    from pvt_edge.sinks import Sink
    from pvt_edge.streams import StreamRunner

MOST_SHOWN = 8  # classes that a line names
MOST_SKIPPED = 50  # lines on what was skipped


class StreamSummary:
    """Sums over a run that may last for weeks, and what became of its sources and sinks."""

    def __init__(self, runner: "StreamRunner", sinks: "Sequence[Sink]") -> None:
        self._runner, self._sinks = runner, sinks
        self.frames = 0
        self.found: Counter[str] = Counter()  # boxes, or pictures of a classifier or with a class of a mask
        self.areas: dict[str, float] = defaultdict(float)  # shares of pictures, summed
        self.objects = ObjectCounter()
        self.tracked = False
        self.speed = MeanSpeed()

    def add(self, result: "Result") -> None:
        """Count one result."""
        self.frames += 1
        self.found.update(result.found_names())
        for name, share in result.areas().items():
            self.areas[name] += share
        self.objects.add(result)
        self.tracked |= result.boxes is not None and result.boxes.id is not None
        self.speed.add(result.speed)

    def print(self, console: "Console", *, failed: "Sequence[Sink]" = ()) -> None:
        """Tell what was skipped and failed, the streams' last status and counts, what was found, and the files.

        What a sink that `failed` left behind is not called written.
        """
        skipped = [line for source in self._runner.sources for line in source.skipped]
        for line in skipped[:MOST_SKIPPED]:
            console.print(f"skipped: {escaped(line)}", style="yellow", markup=False, highlight=False)
        if len(skipped) > MOST_SKIPPED:
            more = len(skipped) - MOST_SKIPPED
            console.print(f"skipped: {more} more", style="yellow", markup=False, highlight=False)
        for line in self._runner.failures:
            console.print(f"error: {line}", style="red", markup=False, highlight=False)
        lines = status_lines(self._runner.statuses()) if self._runner.live else []
        for line in [*lines, *self._counts(), self._sum(len(skipped)), *self._times(), *self._files(failed)]:
            console.print(line, markup=False, highlight=False)

    def _counts(self) -> list[str]:
        """Each line and zone, with its stream in front where there are several."""
        statuses = self._runner.statuses()
        return [
            (f"{status.id} {status.source}: " if len(statuses) > 1 else "")
            + f"{name}: {', '.join(f'{key} {count}' for key, count in counts.items())}"
            for status in statuses
            for name, counts in (status.counts or {}).items()
        ]

    def _sum(self, skipped: int) -> str:
        runtime = self._runner.predictor.runtime
        stills = all(isinstance(source, ImageFiles) for source in self._runner.sources)
        skips = f", {skipped} skipped" if skipped else ""
        run = f"{_number(self.frames, 'picture' if stills else 'frame')}{skips} with {runtime.name} {runtime.precision}"
        return f"{run}: {self._found(stills)}"

    def _found(self, stills: bool) -> str:
        """What was found, and what is counted there: a video shows an object in many frames."""
        counts = self._runner.predictor.task.counts
        boxes = self.found.total()
        if counts is None:
            return "feature maps"
        if not boxes:
            return "nothing found"
        if counts == "areas":
            return f"mean areas: {self._shares()}"
        if counts == "pictures":
            return _by_class(self.found)
        if self.tracked:
            objects = self.objects.counts()
            counts = f": {_by_class(objects)}" if objects else ""
            return f"{_number(objects.total(), 'object')} in {_number(boxes, 'box', 'boxes')}{counts}"
        if stills:
            return f"{_number(boxes, 'object')}: {_by_class(self.found)}"
        note = " (an object has one in each frame; --track counts objects)"
        return f"{_number(boxes, 'box', 'boxes')}{note}: {_by_class(self.found)}"

    def _shares(self) -> str:
        """The mean share of each class, largest first: "background 91.2%, RBC 7.4%"."""
        ordered = sorted(self.areas.items(), key=lambda item: -item[1])
        rest = len(ordered) - MOST_SHOWN
        shown = ", ".join(f"{name} {share / self.frames:.1%}" for name, share in ordered[:MOST_SHOWN])
        return f"{shown} and {_number(rest, 'more class', 'more classes')}" if rest > 0 else shown

    def _times(self) -> list[str]:
        steps = ", ".join(f"{step} {ms:.1f}" for step, ms in self.speed.means().items())
        return [f"mean ms a frame: {steps}"] if steps else []

    def _files(self, failed: "Sequence[Sink]") -> list[str]:
        return [
            f"{'incomplete:' if sink in failed else 'wrote'} {escaped(str(path.resolve()))}"
            for sink in self._sinks
            for path in sink.written()
            if sink not in failed or path.exists()
        ]


def _number(count: int, one: str, many: str | None = None) -> str:
    """ "1 frame", "3,100 frames"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _by_class(counts: "Counter[str]") -> str:
    shown = ", ".join(f"{count:,} {name}" for name, count in counts.most_common(MOST_SHOWN))
    rest = len(counts) - MOST_SHOWN
    return f"{shown} and {_number(rest, 'more class', 'more classes')}" if rest > 0 else shown


def run_to_end(
    runner: "StreamRunner", sinks: "Sequence[Sink]", console: "Console", *, duration_s: float | None, stall_s: float
) -> None:
    """Give every result to every sink, and tell what came of it. The sinks are closed then.

    Ends after `duration_s`, at SIGINT or SIGTERM, and when the sources or, of files, all sinks have ended. Exits with
    1 where a source or sink failed, and with 128 and the signal's number where a signal cut short what has an end.
    """
    summary = StreamSummary(runner, sinks)
    with Delivery(sinks, live=runner.live) as delivery:
        try:
            with stop_on_signals(runner.stop, hurry=runner.hurry) as signals:
                _deliver(runner, delivery, summary, console, duration_s, stall_s)
                delivery.close()
        except KeyboardInterrupt:
            _leave(delivery, console)
    summary.print(console, failed=delivery.failed)
    for target, count in delivery.losses.items():
        _print_line(console, f"warning: {target} did not get {count} results")
    if runner.failures or delivery.failures:
        raise typer.Exit(1)
    if signals and not runner.live:
        raise typer.Exit(128 + signals[0])


def _deliver(
    runner: "StreamRunner",
    delivery: Delivery,
    summary: StreamSummary,
    console: "Console",
    duration_s: float | None,
    stall_s: float,
) -> None:
    with ExitStack() as stack:
        stack.enter_context(Service(runner.statuses, hung_s=STALLS_TO_HANG * stall_s))
        if duration_s is not None:
            timer = Timer(min(duration_s, TIMEOUT_MAX), runner.stop)
            timer.daemon = True
            timer.start()
            stack.callback(timer.cancel)
        advance: Callable[[], None] = lambda: None  # noqa: E731
        if runner.live:
            stack.enter_context(statuses_shown(console, runner.statuses))
        else:
            advance = stack.enter_context(bar_shown(console, *_work(runner)))
        for result in runner:
            delivery.put(result)
            summary.add(result)
            advance()
            if delivery.useless and not runner.live:  # files can be run again, a camera's watch goes on
                break


def _work(runner: "StreamRunner") -> tuple[str, int | None]:
    """What the bar is called, and how many frames it is long; None where that is unknown."""
    counts = [source.frame_count for source in runner.sources]
    total = None if None in counts else sum(count for count in counts if count is not None)
    return runner.sources[0].name if len(runner.sources) == 1 else f"{len(runner.sources)} sources", total


def _leave(delivery: Delivery, console: "Console") -> None:
    """End the process now: neither slow sinks nor sources that hang are waited for."""
    delivery.close(within_s=0.0)
    console.show_cursor()
    _print_line(console, "stopped at once: results that waited were not written")
    os._exit(130)


def _print_line(console: "Console", line: str) -> None:
    console.print(line, style="yellow", markup=False, highlight=False)
