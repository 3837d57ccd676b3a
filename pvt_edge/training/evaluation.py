"""AP of a detector in training form."""

import torch
from torch import Tensor, nn

from pvt_edge.bundle.schema import PostprocessSpec, ResizeSpec
from pvt_edge.data.coco import CocoDataset
from pvt_edge.metrics.detector import detector_accuracy
from pvt_edge.models.decode import Decode
from pvt_edge.models.detector import Detector
from pvt_edge.preprocessing import normalise
from pvt_edge.runtimes import TensorSpec
from pvt_edge.runtimes.torch import TorchRuntime


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


def evaluate(model: Detector, dataset: CocoDataset, imgsz: tuple[int, int]) -> dict[str, float]:
    """COCO AP (see `average_precision`) of `model` on pictures letterboxed to `imgsz` (height, width)."""
    inputs = (TensorSpec("images", "uint8", (1, *imgsz, 3)),)
    with torch.inference_mode(), TorchRuntime(WholeDetector(model, imgsz).eval(), inputs) as runtime:
        return detector_accuracy(runtime, dataset, ResizeSpec(mode="letterbox"), PostprocessSpec(iou=NMS_IOU))
