"""AP of a detector in training form."""

import torch
from torch import nn

from pvt_edge.data.coco import CocoDataset
from pvt_edge.metrics.average_precision import average_precision
from pvt_edge.models.decode import Decode
from pvt_edge.models.detector import Detector
from pvt_edge.postprocessing import Detections, select
from pvt_edge.preprocessing import normalise


@torch.inference_mode()
def evaluate(
    model: nn.Module, dataset: CocoDataset, imgsz: tuple[int, int], *, conf: float = 0.01, iou: float = 0.6
) -> dict[str, float]:
    """COCO AP (see `average_precision`) of `model` on pictures stretched to `imgsz` (height, width)."""
    import cv2

    assert isinstance(model, Detector)
    decode = Decode(model.config, model.num_classes, imgsz, pre_nms=1000)
    found: list[tuple[int, Detections]] = []
    height, width = imgsz
    for sample in dataset.samples:
        image = cv2.imread(str(sample.path))
        scale = torch.tensor([image.shape[1] / width, image.shape[0] / height] * 2)
        resized = cv2.resize(image, (width, height))
        logits, deltas = model(normalise(torch.from_numpy(resized)[None]))
        boxes, scores, labels = decode(logits, deltas)
        found.append(
            (
                sample.image_id,
                select(
                    (boxes[0] * scale).numpy(),
                    scores[0].numpy(),
                    labels[0].numpy(),
                    conf=conf,
                    iou=iou,
                    max_det=100,
                ),
            )
        )
    return average_precision(dataset, found)
