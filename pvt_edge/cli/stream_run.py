"""How `pvt-edge predict` runs its streams into its sinks, to their end or to a signal."""

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from threading import Timer
from typing import TYPE_CHECKING

import typer

from pvt_edge.cli.progress import bar_shown, statuses_shown
from pvt_edge.cli.stream_summary import StreamSummary
from pvt_edge.streams.delivery import Delivery
from pvt_edge.streams.service import Service
from pvt_edge.streams.status import STALLS_TO_HANG
from pvt_edge.streams.stopping import stop_on_signals

if TYPE_CHECKING:
    from rich.console import Console

    from pvt_edge.sinks import Sink
    from pvt_edge.streams import StreamRunner


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
        _tell(console, f"warning: {target} did not get {count} results")
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
            timer = Timer(duration_s, runner.stop)
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
    _tell(console, "stopped at once: results that waited were not written")
    os._exit(130)


def _tell(console: "Console", line: str) -> None:
    console.print(line, style="yellow", markup=False, highlight=False)
