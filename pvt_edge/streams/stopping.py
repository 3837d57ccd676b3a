"""Ctrl-C and `systemctl stop` end a run in good order."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def stop_on_signals(stop: Callable[[], None], *, hurry: Callable[[], None] = lambda: None) -> Iterator[list[int]]:
    """Within, SIGINT and SIGTERM call `stop`; the list that is given holds the numbers of those that came.

    A second SIGINT calls `hurry` and raises `KeyboardInterrupt`, for the impatient; a third ends the process. Does
    nothing outside the main thread, where Python takes no signals.
    """
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return

    def handle(number: int, _frame: object) -> None:
        came.append(number)
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, handle_second)
        stop()

    def handle_second(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        hurry()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
