"""What the terminal shows of a download: one line to say what comes from where, and a bar while it comes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pvt_edge.cli.bar import passing_bar

if TYPE_CHECKING:
    from rich.console import Console

    from pvt_edge.weights.download import Progress


@contextmanager
def download_shown(console: "Console") -> "Iterator[Progress]":
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

    def tell(url: str, done: int, total: int | None) -> None:
        nonlocal announced
        if announced != url:
            console.print(f"downloading {url}", markup=False, highlight=False)
            announced = url
        arrives = total is None or done < total
        bar.columns = (*columns, *byte_columns) if arrives else columns
        bar.update(step, completed=done, total=total, description="downloading" if arrives else "loading the weights")

    with bar:
        yield tell
