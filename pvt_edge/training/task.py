"""What training asks of a task: everything that differs between tasks, in one class a task."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy as np
from torch import Tensor, nn

from pvt_edge.bundle.schema import ResizeSpec
from pvt_edge.data.labelled_set import LabelledSet
from pvt_edge.errors import TrainingError, UnknownNameError
from pvt_edge.training.view import View

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pvt_edge.bundle.schema import NormaliseSpec
    from pvt_edge.metrics.labelled import Answer
    from pvt_edge.models import Model

S = TypeVar("S")

# task -> (module, class); a task of one's own is added here before `train` is called
TRAINING_TASKS: dict[str, tuple[str, str]] = {
    "classify": ("pvt_edge.training.classify", "ClassifyTraining"),
    "detect": ("pvt_edge.training.detect", "DetectTraining"),
    "segment": ("pvt_edge.training.segment", "SegmentTraining"),
}


@dataclass(frozen=True)
class Defaults:
    """Numbers that suit a task: rates of AdamW at `batch`, for all of a trained model, its head alone, a fresh one."""

    batch: int
    epochs: int
    fresh_epochs: int
    lr: float
    head_lr: float
    fresh_lr: float


class TrainingTask(ABC, Generic[S]):
    """One kind of model in training; `S` is the kind of its labelled pictures.

    Attributes:
        name: The task's, as `--task` spells it.
        defaults: What a recipe takes where nothing was said.
        resize: How whole pictures become the input, in validation and in the bundle.
        scale: The least and the most that a view is scaled by, of the size that the network will see.
        stretch: The most that a view is wider or higher than the picture, as a factor.
        best_figure: The figure of `val` that the best weights are chosen by.
        shown_figures: Those that a line on the terminal has.
        heads: The heads to choose from; empty where there is one.
        least_classes: How many classes there must be labels of.
    """

    name: ClassVar[str]
    defaults: ClassVar[Defaults]
    resize: ClassVar[ResizeSpec] = ResizeSpec(mode="letterbox")
    scale: ClassVar[tuple[float, float]]
    stretch: ClassVar[float] = 1.17
    best_figure: ClassVar[str]
    shown_figures: ClassVar[tuple[str, ...]]
    heads: ClassVar[tuple[str, ...]] = ()
    least_classes: ClassVar[int] = 1

    @abstractmethod
    def choose_imgsz(self, sizes_wh: Sequence[tuple[int, int]]) -> tuple[int, int]:
        """The (height, width) of the input that suits pictures of these sizes."""

    def count_outputs(self, names: Sequence[str]) -> int:
        """The `num_classes` of a model of the classes `names`. Raises `ArgumentError` where they make none."""
        return len(names)

    @abstractmethod
    def build(self, variant: str, num_classes: int, head: Any, drop_path: float, drop: float) -> "Model":
        """A fresh model in training form; `head` as `create_model` takes it, None for the task's own."""

    def view_hw(self, imgsz: tuple[int, int], progress: float) -> tuple[int, int]:
        """The size of the views at a point of the run, 0..1."""
        return imgsz

    @abstractmethod
    def target(self, sample: S, view: View) -> Any:
        """What a view of a picture is to give, of its label."""

    @abstractmethod
    def loss(
        self, model: nn.Module, outputs: Any, targets: Sequence[Any], view_hw: tuple[int, int]
    ) -> dict[str, Tensor]:
        """The parts of the loss by name, each a scalar; what is learnt from is their sum."""

    def distil(self, model: nn.Module, outputs: Any, taught: Any, view_hw: tuple[int, int]) -> dict[str, Tensor]:
        """The parts of the loss of outputs where a teacher's outputs stand for labels."""
        raise TrainingError(f"a model for {self.name} cannot be healed by another's answers: leave --distil out")

    @abstractmethod
    def whole(self, model: nn.Module, imgsz: tuple[int, int], normalise: "NormaliseSpec") -> nn.Module:
        """uint8 BGR pictures (B, H, W, 3) -> the task's outputs by name."""

    def sampling_weights(self, dataset: LabelledSet[Any]) -> "NDArray[np.float64]":
        """How often each picture is drawn in an epoch, relative to the others."""
        return np.ones(len(dataset.samples))

    def metadata(self, model: "Model") -> dict[str, str]:
        """What the file of weights notes beside labels and preprocessing."""
        return {}

    @abstractmethod
    def fields(self, sample: S, count: int) -> dict[str, Any]:
        """The fields of a `Result` that shows a picture's label, one of `count` classes."""

    def shown(self, answer: "Answer") -> "Answer":
        """What a picture of the answer shows."""
        return answer


def get_training(name: str) -> TrainingTask[Any]:
    """What training knows of the task `name`; `UnknownNameError` for one that cannot be trained."""
    if name not in TRAINING_TASKS:
        raise UnknownNameError("task to train", name, TRAINING_TASKS)
    module, kind = TRAINING_TASKS[name]
    found: TrainingTask[Any] = getattr(import_module(module), kind)()
    return found


def usual_size(sizes_wh: Sequence[tuple[int, int]], longest: int) -> tuple[int, int]:
    """The (height, width) that pictures of such sizes fit in: of their usual shape, up to `longest` a side.

    Square where some stand and some lie.
    """
    sizes = np.array(sizes_wh, float)  # (n, 2)
    long = min(float(np.median(sizes.max(axis=1))), longest)
    lying = float((sizes[:, 0] >= sizes[:, 1]).mean())
    ratio = float(np.median(sizes[:, 1] / sizes[:, 0]))  # height by width
    if 0.1 < lying < 0.9:
        ratio = 1.0
    width, height = (long, long * ratio) if ratio <= 1 else (long / ratio, long)
    return _multiple(height), _multiple(width)


def _multiple(side: float) -> int:
    return max(64, 32 * round(side / 32))
