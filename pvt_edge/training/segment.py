"""Training of segmenters."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from pvt_edge.checkpoints.preprocessing import normalise as normalise_pictures
from pvt_edge.data.labelled_set import MaskSample
from pvt_edge.errors import ArgumentError
from pvt_edge.models import Model, build_model
from pvt_edge.models.segment_decode import SegmentDecode
from pvt_edge.models.segment_heads import KINDS
from pvt_edge.training.segmentation_loss import imitation_loss, segmentation_loss
from pvt_edge.training.task import Defaults, TrainingTask, usual_size
from pvt_edge.training.view import View
from pvt_edge.variants import get_variant

if TYPE_CHECKING:
    from pvt_edge.bundle.schema import NormaliseSpec

LONGEST = 640  # pixels
CROPS_UNTIL = 0.7  # of a run, as for detectors
CROP = 0.6  # of each side
BACKGROUND = "background"
THRESHOLD = 0.5  # of the one logit beside the background, which the loss is learnt at


class SegmentTraining(TrainingTask[MaskSample]):
    """Cross-entropy and Dice on masks at the view's size; crops first, whole frames at the end.

    One class beside "background" gets one logit, whose sigmoid says how likely a pixel is of it.
    """

    name = "segment"
    defaults: ClassVar = Defaults(batch=8, epochs=40, fresh_epochs=120, lr=6e-4, head_lr=1.5e-3, fresh_lr=1.2e-3)
    scale: ClassVar = (0.7, 1.4)
    best_figure = "mIoU"
    shown_figures = ("mIoU", "pixel_accuracy")
    heads = tuple(KINDS)
    least_classes = 2

    def choose_imgsz(self, sizes_wh: Sequence[tuple[int, int]]) -> tuple[int, int]:
        return usual_size(sizes_wh, LONGEST)

    def count_outputs(self, names: Sequence[str]) -> int:
        if len(names) < 2:
            raise ArgumentError(
                f"train(): {', '.join(names)} is the only class, and a segmenter tells two apart: name the rest "
                f"{BACKGROUND!r} in classes.txt"
            )
        return 1 if len(names) == 2 and names[0].lower() == BACKGROUND else len(names)

    def build(self, variant: str, num_classes: int, head: Any, drop_path: float, drop: float) -> Model:
        if drop:
            raise ArgumentError("train(): drop is before a classifier's head; a segmenter's has its own")
        model = build_model(get_variant(variant), self.name, num_classes, head, drop_path)
        if num_classes == 1:
            model.thresholds = {"threshold": THRESHOLD}
        return model

    def view_hw(self, imgsz: tuple[int, int], progress: float) -> tuple[int, int]:
        if progress >= CROPS_UNTIL or min(imgsz) < 320:
            return imgsz
        return 32 * round(CROP * imgsz[0] / 32), 32 * round(CROP * imgsz[1] / 32)

    def target(self, sample: MaskSample, view: View) -> Tensor:
        return torch.from_numpy(view.mask(sample.mask()))

    def loss(
        self, model: nn.Module, outputs: Any, targets: Sequence[Any], view_hw: tuple[int, int]
    ) -> dict[str, Tensor]:
        masks = torch.stack([*targets]).to(outputs.device).long()
        class_loss, dice_loss = segmentation_loss(outputs, masks)
        return {"class": class_loss, "dice": dice_loss}

    def distil(self, model: nn.Module, outputs: Any, taught: Any, view_hw: tuple[int, int]) -> dict[str, Tensor]:
        return {"shares": imitation_loss(outputs, taught)}

    def whole(self, model: nn.Module, imgsz: tuple[int, int], normalise: "NormaliseSpec") -> nn.Module:
        return _WholeSegmenter(model, imgsz, normalise)

    def metadata(self, model: Model) -> dict[str, str]:
        return {"head": str(model.config)}

    def fields(self, sample: MaskSample, count: int) -> dict[str, Any]:
        return {"mask": sample.mask()}


class _WholeSegmenter(nn.Module):
    def __init__(self, model: nn.Module, imgsz: tuple[int, int], spec: "NormaliseSpec") -> None:
        super().__init__()
        self.model, self.spec = model, spec
        thresholds: Any = model.thresholds or {}
        classes: Any = model.num_classes
        self.decode = SegmentDecode(classes, imgsz, float(thresholds.get("threshold", THRESHOLD)))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        (mask,) = self.decode(self.model(normalise_pictures(images, self.spec)).float())
        return {"mask": mask}
