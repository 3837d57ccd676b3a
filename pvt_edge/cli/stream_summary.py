"""What `pvt-edge predict` tells at the end."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pvt_edge.cli.progress import status_lines
from pvt_edge.errors import escaped
from pvt_edge.predictor.mean_speed import MeanSpeed
from pvt_edge.sources import ImageFiles
from pvt_edge.streams.counting import ObjectCounter

if TYPE_CHECKING:
    from rich.console import Console

    from pvt_edge.results import Result
    from pvt_edge.sinks import Sink
    from pvt_edge.streams import StreamRunner

MOST_SHOWN = 8  # classes that a line names


MOST_SKIPPED = 50  # lines


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
        told = ", ".join(f"{step} {ms:.1f}" for step, ms in self.speed.means().items())
        return [f"mean ms a frame: {told}"] if told else []

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
