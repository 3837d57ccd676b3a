"""Long work on the command line: its steps in a log, and its end by Ctrl-C."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
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
def interruption_told(words: str = STOPPED) -> Iterator[None]:
    """Say on Ctrl-C what is left behind, the interrupt's own words first: typer ends without one."""
    try:
        yield
    except KeyboardInterrupt as stop:
        typer.echo(str(stop) or words, err=True)
        raise typer.Exit(130) from None
