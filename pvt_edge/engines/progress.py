"""What a build does now, told as it goes, and Ctrl-C heard in the middle of it."""

from collections.abc import Callable
from typing import Any

Progress = Callable[[str, int, int], None]  # phase, steps done, steps in all


def make_monitor(trt: Any, progress: Progress) -> Any:
    """An IProgressMonitor of the module `trt`; its `check` raises again what interrupted the build."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.outer: tuple[str, int] | None = None  # the phase that all others lie in, and its steps
            self.stopped: BaseException | None = None

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            if self.outer is None:
                self.outer = (phase_name, num_steps)
            self._tell(phase_name, 0)

        def phase_finish(self, phase_name: str) -> None:
            if self.outer is not None:
                self._tell(phase_name, self.outer[1])

        def step_complete(self, phase_name: str, step: int) -> bool:
            self._tell(phase_name, step)
            return self.stopped is None  # False stops the build

        def _tell(self, phase: str, done: int) -> None:
            if self.outer is None or phase != self.outer[0]:
                return
            try:
                progress(phase, done, self.outer[1])
            except BaseException as stop:  # raised into C++ it would be lost
                self.stopped = stop

        def check(self) -> None:
            if self.stopped is not None:
                raise self.stopped

    return Monitor()
