"""OpenVINO's core, one for the process."""

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openvino import Core


@lru_cache(maxsize=1)
def openvino_core() -> "Core":
    """The core, which stays until the process ends.

    Each core's CPU plugin lends the thread a stack for signal handlers and puts back the one before when it goes
    (OpenVINO 2026.4). Of two that go in the order in which they came, the second puts back the first's, which is no
    more, and the next Ctrl-C takes the process down.
    """
    import openvino

    return openvino.Core()
