"""Whether a window can be shown here, and one picture shown until its window is closed."""

import os
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvt_edge.errors import DataError, RuntimeMissingError, escaped
from pvt_edge.machine.installed import read_build

CLOSING_KEYS = (ord("q"), 27)  # 27: escape
ANSWER_MS = 50  # how often a window that waits looks for keys and clicks


def check_screen(asked: str, instead: str) -> None:
    """Raise where no window can be shown; `asked` is the call or option that needs one, `instead` what works.

    `RuntimeMissingError` for an OpenCV without windows, `DataError` where there is no screen.
    """
    if read_build().gui is None:
        raise RuntimeMissingError(
            f"{asked} needs an OpenCV with windows, and this one is headless: pip uninstall opencv-python-headless, "
            f"pip install opencv-python; or {instead}"
        )
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise DataError(f"{asked} finds no screen (DISPLAY is not set): {instead}")
    os.environ.setdefault("QT_LOGGING_RULES", "*.warning=false")  # of fonts that OpenCV's wheels lack, by the dozen


def open_window(name: str, image_hw: tuple[int, int]) -> None:
    """A window of that name that keeps the picture's shape and fits on a usual screen."""
    import cv2

    scale = min(1.0, 1280 / image_hw[1], 720 / image_hw[0])
    cv2.namedWindow(name, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
    cv2.resizeWindow(name, max(1, round(image_hw[1] * scale)), max(1, round(image_hw[0] * scale)))


def show_image(image: NDArray[np.uint8], name: str) -> None:
    """Show a picture (H, W, 3) BGR: in a notebook below the cell, else in a window until q, escape or its cross.

    Raises as `check_screen`.
    """
    import cv2

    if _in_notebook():
        from IPython.display import Image, display

        display(Image(data=cv2.imencode(".png", image)[1].tobytes()))
        return
    check_screen("show()", "write the picture with save()")
    name = escaped(name)  # which OpenCV needs in UTF-8
    try:
        open_window(name, (image.shape[0], image.shape[1]))
        cv2.imshow(name, image)
    except cv2.error as error:
        raise DataError(f"show() cannot open a window ({error.err}): write the picture with save()") from error
    while cv2.waitKey(ANSWER_MS) & 0xFF not in CLOSING_KEYS and is_open(name):
        pass
    if is_open(name):
        cv2.destroyWindow(name)


def is_open(name: str) -> bool:
    """Whether the window of that name is still there."""
    import cv2

    try:
        return cv2.getWindowProperty(name, cv2.WND_PROP_VISIBLE) >= 1
    except cv2.error:  # Qt's answer once the last window is closed
        return False


def _in_notebook() -> bool:
    shells: Any = sys.modules.get("IPython")
    shell = shells.get_ipython() if shells is not None else None
    return getattr(shell, "kernel", None) is not None
