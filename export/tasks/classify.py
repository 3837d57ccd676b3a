"""Exports of classifiers and of backbones alone: the graph gives what the model gives."""

from typing import TYPE_CHECKING, ClassVar

from pvt_edge.export.tasks.task import TaskExport

if TYPE_CHECKING:
    from pvt_edge.bundle.schema import Activation


class ClassifyExport(TaskExport):
    """logits (B, K)."""

    name = "classify"

    def activation(self, classes: int) -> "Activation":
        return "sigmoid" if classes == 1 else "softmax"

    def model_type(self, classes: int) -> str | None:
        return None if classes == 1 else "Classification"


class FeaturesExport(TaskExport):
    """stage1..stage4, (B, C_i, H/2^(i+2), W/2^(i+2))."""

    name = "features"
    output_names: ClassVar = ("stage1", "stage2", "stage3", "stage4")
