"""What an export knows of a task beside what `pvt_edge.tasks` says of it: the half that needs torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from torch import nn

from pvt_edge.bundle.schema import PostprocessSpec, ResizeSpec
from pvt_edge.errors import UnknownNameError
from pvt_edge.tasks import get_task

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pvt_edge.bundle.schema import Activation
    from pvt_edge.export.deploy.form import Target
    from pvt_edge.models import Model
    from pvt_edge.weights import BundledWeights

    Arrays = Mapping[str, NDArray[Any]]

TENSOR_TOLERANCE = 1e-4  # of the largest value of an output


@dataclass(frozen=True)
class Parity:
    """The worst difference seen, in words ("0.02 px, 1.3e-05 in score") and whether it is within tolerance."""

    within: bool
    text: str


class TaskExport:
    """One task in an export. What is written here does for a task whose model gives one tensor an output.

    Attributes:
        name: As `--task` spells it.
        default_imgsz: (height, width) where none is asked for.
        more_outputs: Those that the graph gives on request, behind its own.
    """

    name: ClassVar[str]
    default_imgsz: ClassVar[tuple[int, int]] = (224, 224)
    more_outputs: ClassVar[tuple[str, ...]] = ()

    @property
    def output_names(self) -> tuple[str, ...]:
        """Of the graph's outputs, in order."""
        return get_task(self.name).outputs

    def resize(self, timm: bool) -> ResizeSpec:
        """How pictures are resized unless weights or options say otherwise; `timm` for weights trained there.

        The published evaluation's rule of classifiers: a bicubic centre crop of 0.875, timm's of 0.9.
        """
        return ResizeSpec(mode="crop", interpolation="bicubic", crop_fraction=0.9 if timm else 0.875)

    def postprocess(self, model: "Model", bundled: "BundledWeights | None") -> PostprocessSpec | None:
        """Thresholds for the host; None where the task has none."""
        return None

    def labels(self, labels: Sequence[str]) -> tuple[str, ...]:
        """The bundle's labels, of one name a class of the model."""
        return tuple(labels)

    def activation(self, classes: int) -> "Activation | None":
        """What turns outputs into confidences; None where they are, or there are none."""
        return None

    def model_type(self, classes: int) -> str | None:
        """The wrapper of Model API that reads the graph's outputs; None where none does."""
        return None

    def decode(
        self, model: "Model", imgsz: tuple[int, int], post: PostprocessSpec | None = None, *, logits: bool = False
    ) -> nn.Module | None:
        """What turns the outputs of `model` in training form into the graph's: the reference; None where they are.

        Args:
            model: In training form.
            imgsz: (height, width) of the input.
            post: Thresholds that lie in the graph; by default the model's own.
            logits: Whether the graph gives `more_outputs` too.
        """
        return None

    def deploy_decode(
        self,
        model: "Model",
        imgsz: tuple[int, int],
        post: PostprocessSpec | None = None,
        *,
        logits: bool = False,
        target: "Target" = "onnxruntime",
    ) -> nn.Module | None:
        """The same in deploy form, as `target` runs it fastest."""
        return self.decode(model, imgsz, post, logits=logits)

    def compare(self, found: "Sequence[Arrays]", expected: "Sequence[Arrays]") -> Parity:
        """Whether an artifact gives the model's answers: outputs of the same pictures, a batch axis of 1."""
        worst = 0.0
        for got, want in zip(found, expected, strict=True):
            for name, value in want.items():
                scale = max(float(np.abs(value).max()), 1e-6)
                worst = max(worst, float(np.abs(got[name] - value).max()) / scale)
        return Parity(worst <= TENSOR_TOLERANCE, f"largest difference {worst:.1e} of the largest value")


TASK_EXPORTS: dict[str, TaskExport] = {}


def register_task_export(task: TaskExport) -> None:
    """Add what an export knows of a task to the table."""
    TASK_EXPORTS[task.name] = task


def get_task_export(name: str) -> TaskExport:
    """What an export knows of the task called `name`; `UnknownNameError` for one that cannot be exported."""
    if name not in TASK_EXPORTS:
        raise UnknownNameError("task", name, TASK_EXPORTS)
    return TASK_EXPORTS[name]
