"""What the terminal shows while a bundle runs: a bar for files, a line a stream for cameras."""

import logging
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pvt_edge.cli.bar import passing_bar
from pvt_edge.streams.status import StreamStatus

if TYPE_CHECKING:
    from rich.console import Console

LINE_EVERY_S = 60.0  # into a log, where no line can be written over


class _ToConsole(logging.Handler):
    """Warnings and errors as coloured lines above the bar, "error: ..." as in a log without colours."""

    def __init__(self, console: "Console") -> None:
        super().__init__(logging.WARNING)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        style = "red" if record.levelno >= logging.ERROR else "yellow"
        line = f"{record.levelname.lower()}: {record.getMessage()}"
        self._console.print(line, style=style, markup=False, highlight=False)


@contextmanager
def events_shown(console: "Console") -> Iterator[None]:
    """Within, what the streams log is printed."""
    log, handler = logging.getLogger("pvt_edge.streams"), _ToConsole(console)
    before = log.propagate
    log.addHandler(handler)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.propagate = before


@contextmanager
def bar_shown(console: "Console", name: str, total: int | None) -> Iterator[Callable[[], None]]:
    """Within, a bar of so many frames; the function that is given moves it on by one."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with passing_bar(console, *columns) as bar:
        step = bar.add_task(name, total=total)
        yield lambda: bar.advance(step)


@contextmanager
def statuses_shown(console: "Console", statuses: Callable[[], Sequence[StreamStatus]]) -> Iterator[None]:
    """Within, a line for each stream: written over on a terminal, added every minute elsewhere."""
    if sys.stderr.isatty():
        from rich.live import Live
        from rich.text import Text

        def lines() -> Text:
            return Text("\n".join(status_lines(statuses())))

        with Live(get_renderable=lines, console=console, refresh_per_second=4, transient=True):
            yield
        return
    ended = threading.Event()

    def write() -> None:
        while not ended.wait(LINE_EVERY_S):
            for line in status_lines(statuses()):
                console.print(line, markup=False, highlight=False)

    thread = threading.Thread(target=write, name="pvt-edge status", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def status_lines(statuses: Sequence[StreamStatus]) -> list[str]:
    """Each stream's status, with its name in front where there are several."""
    if len(statuses) == 1:
        return [statuses[0].line()]
    return [f"{status.id} {status.source}: {status.line()}" for status in statuses]
