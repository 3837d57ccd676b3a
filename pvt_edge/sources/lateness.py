"""How late the frames of a stream arrive, told from the sender's own clock."""

from time import monotonic

WINDOW_S = 30.0  # that the earliest arrival is remembered: clocks drift apart by a few ms in that time
JUMP_S = 60.0  # the sender's clock was set, or counts anew


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
        if not self._least_s or abs(offset_s - min(self._least_s)) > JUMP_S:
            self._least_s, self._until = [offset_s], now + WINDOW_S
        elif now > self._until:
            self._least_s, self._until = [self._least_s[-1], offset_s], now + WINDOW_S
        else:
            self._least_s[-1] = min(self._least_s[-1], offset_s)
        return offset_s - min(self._least_s)
