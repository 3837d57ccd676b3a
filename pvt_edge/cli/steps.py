"""Long work on the command line: its steps in a log, and its end by Ctrl-C."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from types import FrameType

    from rich.console import Console

STOPPED = "stopped; nothing half-written was kept"


def step_log(console: "Console") -> Callable[[str], None]:
    """Prints what it is told where no line can be written over, once a step: "timing: 3 of 9" is of "timing"."""
    last = ""

    def tell(text: str) -> None:
        nonlocal last
        step = text.partition(":")[0]
        if not console.is_terminal and step != last:
            console.print(text, markup=False, highlight=False)
        last = step

    return tell


@contextmanager
def interruption_told(words: str = STOPPED) -> Iterator[Callable[[], None]]:
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
    except KeyboardInterrupt as stop:
        typer.echo(str(stop) or words, err=True)
        raise typer.Exit(130) from None
    finally:
        if usual:
            signal.signal(signal.SIGINT, signal.default_int_handler)
