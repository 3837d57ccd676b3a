"""Training of detectors."""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from pvt_edge.checkpoints.preprocessing import normalise as normalise_pictures
from pvt_edge.data.labelled_set import BoxSample
from pvt_edge.errors import ArgumentError
from pvt_edge.models import Model, build_model
from pvt_edge.models.anchors import Decode, cell_anchors, level_anchors
from pvt_edge.models.retinanet import HEADS, HeadConfig
from pvt_edge.results.fields import Boxes
from pvt_edge.training.detection_loss import detection_loss, imitation_loss
from pvt_edge.training.task import Defaults, TrainingTask, usual_size
from pvt_edge.training.view import View
from pvt_edge.variants import get_variant

if TYPE_CHECKING:
    from pvt_edge.bundle.schema import NormaliseSpec
    from pvt_edge.metrics.labelled import Answer

LONGEST = 640  # pixels
CROPS_UNTIL = 0.7  # of a run: crops cost a third of a frame, and vary more
CROP = 0.6  # of each side
SHOWN_CONF = 0.25  # of a detection that a picture shows


class BoxTarget(NamedTuple):
    """What is to be found in a view: boxes xyxy (n, 4) float32 in its pixels, labels (n,) int64."""

    boxes_xyxy: Tensor
    labels: Tensor


class DetectTraining(TrainingTask[BoxSample]):
    """Task-aligned assignment, quality focal loss and GIoU; crops first, whole frames at the end."""

    name = "detect"
    defaults: ClassVar = Defaults(batch=8, epochs=50, fresh_epochs=150, lr=6e-4, head_lr=1.2e-3, fresh_lr=1.2e-3)
    scale: ClassVar = (0.7, 1.4)
    best_figure = "AP"
    shown_figures = ("AP", "AP50")
    heads = tuple(HEADS)

    def choose_imgsz(self, sizes_wh: Sequence[tuple[int, int]]) -> tuple[int, int]:
        return usual_size(sizes_wh, LONGEST)

    def build(self, variant: str, num_classes: int, head: Any, drop_path: float, drop: float) -> Model:
        if drop:
            raise ArgumentError("train(): drop is before a classifier's head; a detector has drop_path alone")
        return build_model(get_variant(variant), self.name, num_classes, head or "lite", drop_path)

    def view_hw(self, imgsz: tuple[int, int], progress: float) -> tuple[int, int]:
        if progress >= CROPS_UNTIL or min(imgsz) < 320:
            return imgsz
        return 32 * round(CROP * imgsz[0] / 32), 32 * round(CROP * imgsz[1] / 32)

    def target(self, sample: BoxSample, view: View) -> BoxTarget:
        boxes, kept = view.boxes(sample.boxes_xyxy)
        return BoxTarget(torch.from_numpy(boxes), torch.from_numpy(sample.labels[kept]))

    def loss(
        self, model: nn.Module, outputs: Any, targets: Sequence[Any], view_hw: tuple[int, int]
    ) -> dict[str, Tensor]:
        logits, deltas = outputs
        config: Any = model.config
        classes: Any = model.num_classes
        truths = [tuple(part.to(logits[0].device) for part in target) for target in targets]
        anchors = _anchors(config, view_hw, logits[0].device)
        class_loss, box_loss = detection_loss(logits, deltas, anchors, truths, classes)
        return {"class": class_loss, "box": box_loss}

    def distil(self, model: nn.Module, outputs: Any, taught: Any, view_hw: tuple[int, int]) -> dict[str, Tensor]:
        config: Any = model.config
        classes: Any = model.num_classes
        anchors = _anchors(config, view_hw, outputs[0][0].device)
        class_loss, box_loss = imitation_loss(outputs, taught, anchors, classes)
        return {"class": class_loss, "box": box_loss}

    def whole(self, model: nn.Module, imgsz: tuple[int, int], normalise: "NormaliseSpec") -> nn.Module:
        return _WholeDetector(model, imgsz, normalise)

    def metadata(self, model: Model) -> dict[str, str]:
        preset = next((name for name, config in HEADS.items() if config == model.config), None)
        return {} if preset is None else {"head": preset}

    def fields(self, sample: BoxSample, count: int) -> dict[str, Any]:
        ones = np.ones(len(sample.labels), np.float32)
        return {"boxes": Boxes(sample.boxes_xyxy, ones, sample.labels)}

    def shown(self, answer: "Answer") -> "Answer":
        boxes = answer["boxes"]
        seen = boxes.conf >= SHOWN_CONF
        return {**answer, "boxes": boxes[seen]}


@lru_cache(maxsize=8)
def _anchors(config: HeadConfig, view_hw: tuple[int, int], device: torch.device) -> Tensor:
    """The anchors (N, 4) of all levels."""
    return torch.cat(
        [
            level_anchors(
                (-(-view_hw[0] // stride), -(-view_hw[1] // stride)), stride, cell_anchors(config, level)
            ).float()
            for level, stride in enumerate(config.strides)
        ]
    ).to(device)


class _WholeDetector(nn.Module):
    def __init__(self, model: nn.Module, imgsz: tuple[int, int], spec: "NormaliseSpec") -> None:
        super().__init__()
        self.model, self.spec = model, spec
        config: Any = model.config
        classes: Any = model.num_classes
        self.decode = Decode(config, classes, imgsz).to(next(model.parameters()).device)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        logits, deltas = self.model(normalise_pictures(images, self.spec))
        boxes, scores, labels = self.decode([x.float() for x in logits], [x.float() for x in deltas])
        return {"boxes": boxes, "scores": scores, "labels": labels}
