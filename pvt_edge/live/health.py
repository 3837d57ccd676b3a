"""Whether the streams do what they should."""

from collections.abc import Sequence
from typing import Literal

from pvt_edge.streams.status import ENDED, OPENING, RUNNING, StreamStatus

Health = Literal["ok", "degraded", "down"]


def health(statuses: Sequence[StreamStatus], *, hung_s: float) -> Health:
    """ "ok" when every stream runs or was read to its end, "down" when none does, else "degraded".

    A stream that should run and has given no answer for `hung_s` does not.
    """
    fine = [is_fine(status, hung_s=hung_s) for status in statuses]
    if all(fine):
        return "ok"
    return "degraded" if any(fine) else "down"


def is_fine(status: StreamStatus, *, hung_s: float) -> bool:
    """Whether the stream runs, or has done all it had to."""
    return status.state == ENDED or (status.state in (OPENING, RUNNING) and status.idle_s <= hung_s)
