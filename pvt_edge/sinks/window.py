"""Annotated frames in a window."""

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from pvt_edge.errors import DataError, RuntimeMissingError
from pvt_edge.opencv_build import read_build
from pvt_edge.sinks.sink import Sink

if TYPE_CHECKING:
    from pvt_edge.results import Result

CLOSING_KEYS = (ord("q"), 27)  # 27: escape


class Window(Sink):
    """A window a stream; q, escape or closing one calls `on_close`. Written to and closed by one thread.

    `RuntimeMissingError` for an OpenCV without windows, `DataError` where there is no screen.
    """

    newest_only = True
    idle_every_s = 0.05  # a window must answer, also while its camera is away
    target = "window"

    def __init__(self, on_close: Callable[[], None]) -> None:
        if read_build().gui is None:
            raise RuntimeMissingError(
                "--show needs an OpenCV with windows, and this one is headless: pip uninstall opencv-python-headless, "
                "pip install opencv-python; or watch in a browser with --serve 127.0.0.1:8080"
            )
        if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise DataError(
                "--show finds no screen (DISPLAY is not set): watch in a browser with --serve 127.0.0.1:8080"
            )
        os.environ.setdefault("QT_LOGGING_RULES", "*.warning=false")  # of fonts that OpenCV's wheels lack, by the dozen
        self._on_close = on_close
        self._names: dict[int, str] = {}

    def write(self, result: "Result") -> None:
        import cv2

        stream = result.frame.stream
        number = stream.id if stream is not None else 0
        if number not in self._names:
            source = stream.source if stream is not None else result.path or "picture"
            self._names[number] = f"pvt-edge {number}: {source}"  # two of one name would be one window
            cv2.namedWindow(self._names[number], cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
            cv2.resizeWindow(self._names[number], *_fitting(result.orig_hw))
        cv2.imshow(self._names[number], result.annotated)
        self.idle()

    def idle(self) -> None:
        """Take keys and clicks."""
        import cv2

        if not self._names:
            return
        closed = cv2.waitKey(1) & 0xFF in CLOSING_KEYS
        if closed or any(cv2.getWindowProperty(name, cv2.WND_PROP_VISIBLE) < 1 for name in self._names.values()):
            self._on_close()

    def close(self) -> None:
        import cv2

        if self._names:
            self._names.clear()
            cv2.destroyAllWindows()


def _fitting(hw: tuple[int, int]) -> tuple[int, int]:
    """Width and height of a window that fits on a usual screen."""
    scale = min(1.0, 1280 / hw[1], 720 / hw[0])
    return max(1, round(hw[1] * scale)), max(1, round(hw[0] * scale))
