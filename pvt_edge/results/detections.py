"""Boxes and masks as `supervision.Detections`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pvt_edge.errors import RuntimeMissingError
from pvt_edge.results.masks import count_pixels

if TYPE_CHECKING:
    from supervision import Detections

    from pvt_edge.results.boxes import Boxes

Names = Sequence[str] | Mapping[int, str]


def box_detections(boxes: "Boxes", names: Names) -> "Detections":
    """The boxes, with their tracks. `RuntimeMissingError` without supervision."""
    return _detections()(
        xyxy=boxes.xyxy,
        confidence=boxes.conf,
        class_id=boxes.cls.astype(int),
        tracker_id=None if boxes.id is None else boxes.id.astype(int),
        data={"class_name": np.array([names[i] for i in boxes.cls.tolist()], dtype=str)},
    )


def mask_detections(mask: NDArray[Any], names: Names) -> "Detections":
    """One detection a class, in order of their ids: its region, and the box around that. Errors as above."""
    import cv2

    ids = sorted(count_pixels(mask))
    regions = np.array([mask == i for i in ids], bool).reshape(len(ids), *mask.shape)
    around = [cv2.boundingRect(region.astype(np.uint8)) for region in regions]
    return _detections()(
        xyxy=np.array([(x, y, x + w, y + h) for x, y, w, h in around], np.float32).reshape(-1, 4),
        mask=regions,
        class_id=np.array(ids, int),
        data={"class_name": np.array([names[i] for i in ids], dtype=str)},
    )


def _detections() -> "type[Detections]":
    try:
        from supervision import Detections
    except ImportError as error:
        raise RuntimeMissingError(
            f'supervision cannot be imported ({error}); pip install "pvt-edge[supervision]"'
        ) from error
    return Detections
