"""Annotated frames in a window."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from pvt_edge.errors import escaped
from pvt_edge.pictures.screen import CLOSING_KEYS, check_screen, is_open, open_window
from pvt_edge.sinks.sink import Sink

if TYPE_CHECKING:
    from pvt_edge.results import Result


class Window(Sink):
    """A window a stream; q, escape or closing one calls `on_close`. Written to and closed by one thread.

    `RuntimeMissingError` for an OpenCV without windows, `DataError` where there is no screen.
    """

    newest_only = True
    idle_every_s = 0.05  # a window must answer, also while its camera is away
    target = "window"

    def __init__(self, on_close: Callable[[], None]) -> None:
        check_screen("--show", "watch in a browser with --serve 127.0.0.1:8080")
        self._on_close = on_close
        self._names: dict[int, str] = {}
        self._closed = False

    def write(self, result: "Result") -> None:
        import cv2

        if self._closed:  # what still comes would open a window anew
            return
        stream = result.frame.stream
        number = stream.id if stream is not None else 0
        if number not in self._names:
            source = stream.source if stream is not None else result.path or "picture"
            # two of one name would be one window, and a name that is no text takes the process down
            self._names[number] = f"pvt-edge {number}: {escaped(source)}"
            open_window(self._names[number], result.orig_hw)
        cv2.imshow(self._names[number], result.annotated)
        self.idle()

    def idle(self) -> None:
        """Take keys and clicks."""
        import cv2

        if not self._names or self._closed:
            return
        pressed = cv2.waitKey(1) & 0xFF in CLOSING_KEYS
        self._closed = pressed or not all(is_open(name) for name in self._names.values())
        if self._closed:
            self._on_close()

    def close(self) -> None:
        import cv2

        if self._names:
            self._names.clear()
            cv2.destroyAllWindows()
