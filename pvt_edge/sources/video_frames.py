"""Frames of a video: when they are shown, how late they arrive, and their pixels as a player shows them."""

from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av import VideoFrame

FORWARD_JUMP_S = 10.0  # forward, that broadcasts and joined recordings make where they were cut; as FFMPEG's own limit
BACK_FRAMES = 2  # that a time stamp may lie behind the one before by a rounding
WINDOW_S = 30.0  # that the earliest arrival is remembered: clocks drift apart by a few ms in that time
CLOCK_JUMP_S = 60.0  # the sender's clock was set, or counts anew
MATRIX_BYTES = 36  # nine numbers of 32 bits: a b u, c d v, x y w


class VideoClock:
    """Time stamps -> seconds since the first frame that is shown, never backwards.

    A frame without a time stamp comes one interval after the one before. Where the stamps begin anew, in joined
    recordings say, the time goes on by one interval; with `cut`, so it does over a gap of more than 10 s.
    """

    def __init__(self, fps: float | None, *, cut: bool) -> None:
        self._interval_s = 1 / (fps or 25.0)
        self._longest_s = FORWARD_JUMP_S if cut else float("inf")
        self._offset_s = 0.0
        self._last_s: float | None = None

    def at(self, stamp_s: float | None) -> float:
        """The time of the next frame."""
        if self._last_s is None:
            self._offset_s, self._last_s = stamp_s or 0.0, 0.0
            return 0.0
        due_s = self._last_s + self._interval_s
        if stamp_s is None:
            now_s = due_s
        else:
            now_s = stamp_s - self._offset_s
            if not -BACK_FRAMES * self._interval_s <= now_s - self._last_s <= self._longest_s:
                self._offset_s, now_s = stamp_s - due_s, due_s
        self._last_s = max(self._last_s, now_s)
        return self._last_s


class Lateness:
    """Compares when frames arrive with when they were sent. The two clocks have no common beginning, so the earliest
    arrival, by the sender's clock, of the last half to whole minute counts as in time. A queue that grows is told, and
    one that was there before from when it was empty once; what holds up all frames alike is not.
    """

    def __init__(self) -> None:
        self._least_s: list[float] = []  # of this window and the one before
        self._until = 0.0

    def now_s(self, sent_s: float | None, now: float | None = None) -> float:
        """Seconds, 0 or more, that a frame sent at `sent_s` is late now; 0.0 where its time is not known."""
        if sent_s is None:
            return 0.0
        now = monotonic() if now is None else now
        offset_s = now - sent_s
        if not self._least_s or abs(offset_s - min(self._least_s)) > CLOCK_JUMP_S:
            self._least_s, self._until = [offset_s], now + WINDOW_S
        elif now > self._until:
            self._least_s, self._until = [self._least_s[-1], offset_s], now + WINDOW_S
        else:
            self._least_s[-1] = min(self._least_s[-1], offset_s)
        return offset_s - min(self._least_s)


class BgrConverter:
    """Pictures of one video as (H, W, 3) uint8 BGR, each of its own size.

    The colours are those that the video states: matrix, full or limited range, 8 bits or more; without a statement
    BT.601 and limited range, as FFMPEG takes them. Fields of interlaced pictures stay woven, each with its own colours.
    Transparency is left out, and pixels that are not square stay as they are stored.
    """

    def __init__(self) -> None:
        from av.video.reformatter import VideoReformatter

        self._reformatter = VideoReformatter()  # one for all: it keeps its tables while sizes stay
        self._matrix: tuple[int, ...] | None = None

    def convert(self, picture: "VideoFrame") -> NDArray[np.uint8] | None:
        """The picture, turned and mirrored as the video says; None where its pixels are of a kind without colours."""
        try:
            bgr = self._reformatter.reformat(picture, format="bgr24", interpolation="BICUBIC")
        except ValueError:
            return None
        image = picture.to_ndarray() if bgr is picture else pixels(bgr)  # the decoder's own memory is not given away
        if picture.key_frame:  # asking is dear, and where it changes a stream begins anew
            self._matrix = display_matrix(picture)
        return np.ascontiguousarray(turned(np.asarray(image, np.uint8), self._matrix))


def pixels(picture: "VideoFrame") -> NDArray[np.uint8]:
    """The pixels (H, W, 3) of a picture of three bytes a pixel, in its own memory where rows follow without a gap."""
    plane = picture.planes[0]
    row_bytes = 3 * picture.width
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)  # type: ignore[call-overload]  # a buffer
    return np.ascontiguousarray(rows[: picture.height, :row_bytes]).reshape(picture.height, picture.width, 3)


def display_matrix(picture: "VideoFrame") -> tuple[int, ...] | None:
    """The numbers of the picture's display matrix (ISO 14496-12, 6.2.2); None where it has none."""
    found: Any = picture.side_data.get("DISPLAYMATRIX")
    if found is None:
        return None
    data = bytes(found)[:MATRIX_BYTES]
    return tuple(np.frombuffer(data, np.int32).tolist()) if len(data) == MATRIX_BYTES else None


def turned(image: NDArray[np.uint8], matrix: tuple[int, ...] | None) -> NDArray[np.uint8]:
    """The image (H, W, 3) turned by quarters and mirrored as the matrix says; other angles are left alone.

    >>> turned(np.zeros((2, 5, 3), np.uint8), (0, -65536, 0, 65536, 0, 0, 0, 0, 1 << 30)).shape
    (5, 2, 3)
    """
    if matrix is None:
        return image
    a, b, _, c, d = matrix[:5]  # x' = a x + c y, y' = b x + d y
    if not b and not c and a and d:
        return image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
    if not a and not d and b and c:
        return image.swapaxes(0, 1)[:: -1 if b < 0 else 1, :: -1 if c < 0 else 1]
    return image
