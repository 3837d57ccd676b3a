"""A run as a service: ended in good order by Ctrl-C and `systemctl stop`, and told of to systemd (sd_notify)."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from pvt_edge.streams.status import RUNNING, StreamStatus

if TYPE_CHECKING:
    from typing_extensions import Self

EVERY_S = 5.0  # that systemd is told of us, where its watchdog does not ask for more


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


class Service:
    """Keeps systemd's watchdog quiet while frames are answered or their sources are known to be away.

    Does nothing where systemd did not start us (NOTIFY_SOCKET is not set). A stream that should run and has given
    no answer for `hung_s` is a hang, in a driver say, and systemd restarts the unit (WatchdogSec=).
    """

    def __init__(self, statuses: Callable[[], Sequence[StreamStatus]], *, hung_s: float) -> None:
        self._statuses, self._hung_s = statuses, hung_s
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        watchdog_us = os.environ.get("WATCHDOG_USEC", "")
        half_s = int(watchdog_us) / 2e6 if watchdog_us.isdigit() else 0.0  # systemd asks for twice as often as it must
        self._every_s = min(EVERY_S, half_s or EVERY_S)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pvt-edge service", daemon=True)

    def hung(self) -> bool:
        """Whether a stream should run and does not."""
        return any(status.state == RUNNING and status.idle_s > self._hung_s for status in self._statuses())

    def _run(self) -> None:
        self._notify("READY=1")
        while not self._ended.wait(self._every_s):
            lines = "; ".join(status.line() for status in self._statuses())
            line = " ".join(lines.split())  # a second line would be a second message
            self._notify(f"STATUS={line}" + ("" if self.hung() else "\nWATCHDOG=1"))
        self._notify("STOPPING=1")

    def _notify(self, state: str) -> None:
        message = state.encode(errors="backslashreplace")  # a file's name may hold bytes that are no text
        path = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:  # systemd's own loss
            channel.sendto(message, path)

    def __enter__(self) -> "Self":
        if self._address:
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
