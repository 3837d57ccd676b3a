"""What a model is for. All that is known of a task where torch is not, in one file a task, found by its name.

>>> get_task("detect").outputs
('boxes', 'scores', 'labels')
"""

from pvt_edge.tasks.classify import Classify
from pvt_edge.tasks.detect import Detect
from pvt_edge.tasks.features import Features
from pvt_edge.tasks.segment import Segment
from pvt_edge.tasks.task import TASKS, Task, agreement, get_task, register

for task in (Classify(), Features(), Detect(), Segment()):
    register(task)

__all__ = ["TASKS", "Task", "agreement", "get_task", "register"]
