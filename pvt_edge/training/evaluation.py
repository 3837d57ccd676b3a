"""AP of a detector in training form."""

import torch
from torch import Tensor, nn

from pvt_edge.bundle.schema import PostprocessSpec, ResizeSpec
from pvt_edge.data.labelled_set import BoxSet
from pvt_edge.evaluation.arrays import score_runtime
from pvt_edge.models.decode import Decode
from pvt_edge.models.detector import Detector
from pvt_edge.preprocessing import normalise
from pvt_edge.runtimes import TensorSpec
from pvt_edge.runtimes.torch import TorchRuntime
from pvt_edge.tasks import get_task


class WholeDetector(nn.Module):
    """uint8 BGR pictures (B, H, W, 3) -> candidates by output name, with a detector in training form."""

    def __init__(self, model: Detector, imgsz: tuple[int, int]) -> None:
        super().__init__()
        self.model = model
        self.decode = Decode(model.config, model.num_classes, imgsz)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        boxes, scores, labels = self.decode(*self.model(normalise(images)))
        return {"boxes": boxes, "scores": scores, "labels": labels}


NMS_IOU = 0.6  # red cells overlap; see the bundled weights


def evaluate(model: Detector, dataset: BoxSet, imgsz: tuple[int, int]) -> dict[str, float]:
    """AP, AP50, AP75 and those of each class of `model` on pictures letterboxed to `imgsz` (height, width)."""
    inputs = (TensorSpec("images", "uint8", (1, *imgsz, 3)),)
    task = get_task("detect")
    labelled = task.judge(dataset, dataset.names, task.judged_at(PostprocessSpec(iou=NMS_IOU), dataset.names))
    with torch.inference_mode(), TorchRuntime(WholeDetector(model, imgsz).eval(), inputs) as runtime:
        scores = score_runtime(task, labelled, runtime, ResizeSpec(mode="letterbox"), dataset.names)
    classes = {f"AP {name}": figures["AP"] for name, figures in scores.classes.items()}
    return {name: scores.figures[name] for name in ("AP", "AP50", "AP75")} | classes
