"""The table of tasks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pvt_edge.comparison.figure import FIGURES
from pvt_edge.errors import UnknownNameError

if TYPE_CHECKING:
    from pvt_edge.bundle.schema import PostprocessSpec
    from pvt_edge.comparison.difference import Arrays
    from pvt_edge.tasks.task import Task

TASKS: "dict[str, Task]" = {}


def register(task: "Task") -> None:
    """Add a task to the table, and the figures that are its own."""
    TASKS[task.name] = task
    FIGURES.update(task.own_figures)


def get_task(name: str) -> "Task":
    """The task called `name`; `UnknownNameError` names the nearest otherwise."""
    if name not in TASKS:
        raise UnknownNameError("task", name, TASKS)
    return TASKS[name]


def agreement(
    name: str, found: "Sequence[Arrays]", reference: "Sequence[Arrays]", post: "PostprocessSpec | None" = None
) -> dict[str, float]:
    """How far the answers `found` agree with a `reference`'s to the same pictures; no labels needed.

    Args:
        name: The task's.
        found: What `Runtime.infer` gives, one mapping a picture, with a batch axis of 1.
        reference: The same of the other side.
        post: A detector's thresholds; other tasks have none.

    Returns:
        The task's figures, all finite: a picture with NaN or infinity on either side counts as one without any
        agreement. "agreement", up to 1.0, is the one to judge by.

    Raises:
        UnknownNameError: For a task that does not exist.
        DataError: Unless both sides are of the same pictures, at least one.
    """
    return get_task(name).agreement(found, reference, post)
