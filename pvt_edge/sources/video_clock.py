"""When the frames of a video are shown."""

JUMP_S = 10.0  # forward, that broadcasts and joined recordings make where they were cut; as FFMPEG's own limit
BACK_FRAMES = 2  # that a time stamp may lie behind the one before by a rounding


class VideoClock:
    """Time stamps -> seconds since the first frame that is shown, never backwards.

    A frame without a time stamp comes one interval after the one before. Where the stamps begin anew, in joined
    recordings say, the time goes on by one interval; with `cut`, so it does over a gap of more than 10 s.
    """

    def __init__(self, fps: float | None, *, cut: bool) -> None:
        self._interval_s = 1 / (fps or 25.0)
        self._longest_s = JUMP_S if cut else float("inf")
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
