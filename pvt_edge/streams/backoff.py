"""How long to wait before a lost source is tried again."""

import random

FIRST_S, MOST_S = 0.5, 10.0
PEEK_S = 0.5  # from one cheap look for the source to the next, while an attempt to connect is waited for


class Backoff:
    """Waits of 0.5, 1, 2 ... 10 s, each shortened by chance by up to half, so that many cameras behind one switch
    do not all come back in the same instant. A source that then holds as long as its last wait starts anew.
    """

    def __init__(self, rng: random.Random | None = None) -> None:
        self._rng = rng or random.Random()
        self._next_s = FIRST_S
        self.last_s = 0.0

    def wait_s(self) -> float:
        """Seconds to wait now."""
        self.last_s = self._next_s * self._rng.uniform(0.5, 1.0)
        self._next_s = min(self._next_s * 2, MOST_S)
        return self.last_s

    def peek_s(self) -> float:
        """Seconds until a cheap look whether the source is there."""
        return PEEK_S * self._rng.uniform(0.5, 1.0)

    def held(self, seconds: float) -> None:
        """The source has given frames for so long."""
        if seconds >= self.last_s:
            self.restart()

    def restart(self) -> None:
        """What made the last attempts fail is over."""
        self._next_s, self.last_s = FIRST_S, 0.0
