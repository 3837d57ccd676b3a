"""Training of segmenters: the data's masks, and a loss in which pixels of no class count for nothing."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pvt_edge.checkpoints.preprocessing import normalise as normalise_pictures
from pvt_edge.class_map import VOID
from pvt_edge.data.class_table import BACKGROUND
from pvt_edge.data.labelled_set import MaskSample
from pvt_edge.errors import ArgumentError
from pvt_edge.models import Model, build_model
from pvt_edge.models.segment_heads import KINDS, resize_to
from pvt_edge.models.segmenter import SegmentDecode
from pvt_edge.training.task import Defaults, TrainingTask, usual_size
from pvt_edge.training.view import View
from pvt_edge.variants import get_variant

if TYPE_CHECKING:
    from pvt_edge.bundle.schema import NormaliseSpec

WEIGHTS = (0.7, 1.4)  # of a pixel by how rare its class is: the further apart, the more specks of rare classes
LONGEST = 640  # pixels
CROPS_UNTIL = 0.7  # of a run, as for detectors
CROP = 0.6  # of each side
THRESHOLD = 0.5  # of the one logit beside the background, which the loss is learnt at


def segmentation_loss(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """(cross-entropy, 1 - Dice), scalars, of logits (B, K, h, w) grown to the size of `targets`.

    `targets` (B, H, W) int64 are ids of classes, 255 for none. A class of which a batch has fewer pixels than of others
    weighs more, by the square root and up to 2 to 1. Dice is the mean over the classes that the batch has. With K = 1,
    ids are 0 and 1, and the logit is that of 1.
    """
    grown = resize_to(logits.float(), (targets.shape[1], targets.shape[2]))
    labelled = targets != VOID
    ids = targets[labelled]  # (N,)
    if len(ids) == 0:
        return grown.sum() * 0, grown.sum() * 0
    rows = grown.permute(0, 2, 3, 1)[labelled]  # (N, K)
    if rows.shape[1] == 1:
        rows = torch.cat((torch.zeros_like(rows), rows), dim=1)  # whose softmax is the sigmoid of the one
    counts = ids.bincount(minlength=rows.shape[1]).float()  # (K,)
    shares = rows.softmax(dim=1)
    common = torch.zeros_like(counts).index_add(0, ids, shares.gather(1, ids[:, None])[:, 0])
    dice = 2 * common / (shares.sum(dim=0) + counts)
    return F.cross_entropy(rows, ids, class_weights(counts)), 1 - dice[counts > 0].mean()


def class_weights(counts: Tensor) -> Tensor:
    """The weight (K,) of a pixel of each class, where there are `counts` (K,) of them; 1 for the usual count."""
    usual = counts[counts > 0].mean()
    return (usual / counts.clamp(min=1)).sqrt().clamp(*WEIGHTS)


def imitation_loss(logits: Tensor, taught: Tensor) -> Tensor:
    """How far the shares of classes lie from a teacher's, both of logits (B, K, h, w): Kullback-Leibler, a pixel."""
    if logits.shape[1] == 1:
        logits, taught = (torch.cat((torch.zeros_like(x), x), dim=1) for x in (logits, taught))
    found, wanted = (x.float().log_softmax(dim=1) for x in (logits, taught))
    return F.kl_div(found, wanted, log_target=True, reduction="none").sum(dim=1).mean()


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
