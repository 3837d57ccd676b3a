"""What an export knows of a task, in one file a task, found by its name."""

from pvt_edge.export.tasks.classify import ClassifyExport, FeaturesExport
from pvt_edge.export.tasks.detect import DetectExport
from pvt_edge.export.tasks.segment import SegmentExport
from pvt_edge.export.tasks.task import TASK_EXPORTS, Parity, TaskExport, get_task_export, register_task_export

for _known in (ClassifyExport(), FeaturesExport(), DetectExport(), SegmentExport()):
    register_task_export(_known)

__all__ = ["TASK_EXPORTS", "Parity", "TaskExport", "get_task_export", "register_task_export"]
