"""The bar that long work shows."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn


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
