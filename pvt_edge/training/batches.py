"""Endless training batches: real pictures and drawn scenes, augmented."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pvt_edge.data.labelled_set import BoxSet
from pvt_edge.errors import DataError
from pvt_edge.preprocessing import normalise
from pvt_edge.training.augment import augment
from pvt_edge.training.recipe import Phase

if TYPE_CHECKING:
    from numpy.typing import NDArray

Truth = tuple[Tensor, Tensor]  # boxes xyxy (n, 4) float32, labels (n,) int64


@dataclass(frozen=True)
class Picture:
    """An annotated picture in memory: image (H, W, 3) uint8 BGR, boxes xyxy (n, 4), labels (n,)."""

    image: "NDArray[np.uint8]"
    boxes_xyxy: "NDArray[np.float32]"
    labels: "NDArray[np.int64]"


def load_pictures(dataset: BoxSet) -> list[Picture]:
    """Every picture of a data set."""
    import cv2

    pictures = []
    for sample in dataset.samples:
        image = cv2.imread(str(sample.path))
        if image is None:
            raise DataError(f"cannot read image {sample.path} named in {dataset.source}")
        pictures.append(Picture(image, sample.boxes_xyxy, sample.labels))
    return pictures


def draw_pictures(count: int, seed: int) -> list[Picture]:
    """`count` generated scenes."""
    from pvt_edge.scenes import draw_scene

    scenes = [draw_scene(seed + i) for i in range(count)]
    return [Picture(s.image, s.boxes_xyxy, s.labels) for s in scenes]


def batches(
    real: list[Picture], drawn: list[Picture], drawn_share: float, phase: Phase, rng: np.random.Generator
) -> Iterator[tuple[Tensor, list[Truth]]]:
    """Batches of a phase without end: normalised images (B, 3, h, w) and the truth of each."""
    order: list[int] = []
    while True:
        images, truths = [], []
        for _ in range(phase.batch):
            if drawn and rng.random() < drawn_share:
                picture = drawn[rng.integers(len(drawn))]
            else:
                order = order or rng.permutation(len(real)).tolist()
                picture = real[order.pop()]
            view, boxes, labels = augment(
                picture.image, picture.boxes_xyxy, picture.labels, phase.crop_hw, phase.scale, rng
            )
            images.append(view)
            truths.append((torch.from_numpy(boxes), torch.from_numpy(labels)))
        yield normalise(torch.from_numpy(np.stack(images))), truths
