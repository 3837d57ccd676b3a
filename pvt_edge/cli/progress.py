"""What the terminal shows while work goes on: bars, a log of steps, a line a stream; and its end by Ctrl-C."""

import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import TYPE_CHECKING

import typer

from pvt_edge.errors import ExportError

if TYPE_CHECKING:
    from types import FrameType

    from rich.console import Console
    from rich.progress import Progress, ProgressColumn

    from pvt_edge.streams.status import StreamStatus
    from pvt_edge.weights.download import Progress as Listener

STOPPED = "stopped; nothing half-written was kept"
LINE_EVERY_S = 60.0  # into a log, where no line can be written over


def passing_bar(
    console: "Console", *columns: "ProgressColumn", redirect: bool = True, auto_refresh: bool = True
) -> "Progress":
    """A bar that is gone at its end; none where nothing can be redrawn, as all that came of it would be an empty line.

    With `redirect` what others print meanwhile is written above it.
    """
    from rich.progress import Progress

    return Progress(
        *columns,
        console=console,
        transient=True,
        auto_refresh=auto_refresh,
        redirect_stdout=redirect,
        redirect_stderr=redirect,
        disable=not console.is_terminal,
    )


@contextmanager
def download_shown(console: "Console") -> "Iterator[Listener]":
    """Within, a spinner, and for a download that the function given hears of, a bar of bytes."""
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        SpinnerColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    byte_columns = (BarColumn(20), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    bar = passing_bar(console, *columns, redirect=False)
    step = bar.add_task("loading the weights", total=None)
    announced = ""

    def show(url: str, done: int, total: int | None) -> None:
        nonlocal announced
        if announced != url:
            console.print(f"downloading {url}", markup=False, highlight=False)
            announced = url
        arrives = total is None or done < total
        bar.columns = (*columns, *byte_columns) if arrives else columns
        bar.update(step, completed=done, total=total, description="downloading" if arrives else "loading the weights")

    with bar:
        yield show


def step_log(console: "Console") -> Callable[[str], None]:
    """Prints what it is told where no line can be written over, once a step: "timing: 3 of 9" is of "timing"."""
    last = ""

    def show(text: str) -> None:
        nonlocal last
        step = text.partition(":")[0]
        if not console.is_terminal and step != last:
            console.print(text, markup=False, highlight=False)
        last = step

    return show


@contextmanager
def interruptible(words: str = STOPPED) -> Iterator[Callable[[], None]]:
    """Say on Ctrl-C what is left behind, the interrupt's own words first: typer ends without one.

    What is given raises `KeyboardInterrupt` where Ctrl-C was pressed and is still unheard: an import or a callback of a
    library may swallow it. Long work calls it at each step.
    """
    pressed = False

    def press(number: int, frame: "FrameType | None") -> None:
        nonlocal pressed
        pressed = True
        raise KeyboardInterrupt

    def check() -> None:
        if pressed:
            raise KeyboardInterrupt

    # else it is ignored, or another's
    usual = current_thread() is main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if usual:
        signal.signal(signal.SIGINT, press)
    try:
        yield check
    except (KeyboardInterrupt, ExportError) as stop:
        if isinstance(stop, ExportError) and not pressed:
            raise
        # of a library that swallowed it the failure is only what came of that
        typer.echo((isinstance(stop, KeyboardInterrupt) and str(stop)) or words, err=True)
        raise typer.Exit(130) from None
    finally:
        if usual:
            signal.signal(signal.SIGINT, signal.default_int_handler)


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

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with passing_bar(console, *columns) as bar:
        step = bar.add_task(name, total=total)
        yield lambda: bar.advance(step)


@contextmanager
def statuses_shown(console: "Console", statuses: "Callable[[], Sequence[StreamStatus]]") -> Iterator[None]:
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


def status_lines(statuses: "Sequence[StreamStatus]") -> list[str]:
    """Each stream's status, with its name in front where there are several."""
    if len(statuses) == 1:
        return [statuses[0].line()]
    return [f"{status.id} {status.source}: {status.line()}" for status in statuses]
