"""Training of classifiers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pvt_edge.bundle.schema import ResizeSpec
from pvt_edge.checkpoints.preprocessing import normalise as normalise_pictures
from pvt_edge.data.labelled_set import ClassSample, LabelledSet
from pvt_edge.errors import ArgumentError
from pvt_edge.models import Model, build_model
from pvt_edge.results import Probs
from pvt_edge.training.task import Defaults, TrainingTask, usual_size
from pvt_edge.training.view import View
from pvt_edge.variants import get_variant

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pvt_edge.bundle.schema import NormaliseSpec

SMOOTHING = 0.1  # of labels
LONGEST = 224  # pixels, as the published weights were trained at


class ClassifyTraining(TrainingTask[ClassSample]):
    """Cross-entropy with smoothed labels; rare classes are drawn more often."""

    name = "classify"
    defaults: ClassVar = Defaults(batch=32, epochs=30, fresh_epochs=100, lr=5e-4, head_lr=3e-3, fresh_lr=1e-3)
    # a letterbox would tell how long a picture is by its empty part, and a network would learn classes from that
    resize: ClassVar = ResizeSpec(mode="stretch")
    scale: ClassVar = (0.85, 1.35)
    stretch = 1.35
    best_figure = "balanced"
    shown_figures = ("top1", "balanced")
    least_classes = 2

    def choose_imgsz(self, sizes_wh: Sequence[tuple[int, int]]) -> tuple[int, int]:
        side = max(usual_size(sizes_wh, LONGEST))
        return side, side

    def build(self, variant: str, num_classes: int, head: Any, drop_path: float, drop: float) -> Model:
        if head is not None:
            raise ArgumentError(f"train(): a classifier has one head, not {head!r}: leave head out")
        if num_classes < 2:
            raise ArgumentError("train(): a classifier needs two classes: add a folder of other pictures")
        model = build_model(get_variant(variant), self.name, num_classes, None, drop_path)
        if drop:
            model.get_submodule("head").register_forward_pre_hook(_Drop(drop))
        return model

    def target(self, sample: ClassSample, view: View) -> int:
        return sample.label

    def loss(
        self, model: nn.Module, outputs: Any, targets: Sequence[Any], view_hw: tuple[int, int]
    ) -> dict[str, Tensor]:
        labels = torch.tensor(targets, device=outputs.device)
        return {"class": F.cross_entropy(outputs.float(), labels, label_smoothing=SMOOTHING)}

    def distil(self, model: nn.Module, outputs: Any, taught: Any, view_hw: tuple[int, int]) -> dict[str, Tensor]:
        shares = taught.float().softmax(dim=1)
        return {"shares": F.kl_div(outputs.float().log_softmax(dim=1), shares, reduction="batchmean")}

    def whole(self, model: nn.Module, imgsz: tuple[int, int], normalise: "NormaliseSpec") -> nn.Module:
        return _WholeClassifier(model, normalise)

    def sampling_weights(self, dataset: LabelledSet[Any]) -> "NDArray[np.float64]":
        """A class that is four times as rare is drawn half as often, not a quarter."""
        labels = np.array([sample.label for sample in dataset.samples])
        return np.asarray(1 / np.sqrt(np.bincount(labels)[labels]))

    def fields(self, sample: ClassSample, count: int) -> dict[str, Any]:
        return {"probs": Probs(np.eye(count, dtype=np.float32)[sample.label])}


class _Drop:
    """Dropout of what goes into the head, in training mode."""

    def __init__(self, share: float) -> None:
        self.share = share

    def __call__(self, head: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (F.dropout(inputs[0], self.share, head.training), *inputs[1:])


class _WholeClassifier(nn.Module):
    def __init__(self, model: nn.Module, spec: "NormaliseSpec") -> None:
        super().__init__()
        self.model, self.spec = model, spec

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {"logits": self.model(normalise_pictures(images, self.spec)).float()}
