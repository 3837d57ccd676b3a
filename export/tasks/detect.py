"""Exports of detectors: candidates are decoded in the graph, and compared as sets."""

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from torch import nn

from pvt_edge.bundle.schema import PostprocessSpec, ResizeSpec
from pvt_edge.export.deploy.detector import DeployDecode
from pvt_edge.export.tasks.task import Parity, TaskExport
from pvt_edge.models import Detector, Model
from pvt_edge.models.anchors import Decode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pvt_edge.export.deploy.form import Target
    from pvt_edge.export.tasks.task import Arrays
    from pvt_edge.weights import BundledWeights

SCORE_TOLERANCE = 2e-3
BOX_TOLERANCE_PX = 0.5
MATCHED_SHARE = 0.99  # candidates at the edge of a top-k may change places with one just outside
SURE_SCORE = 0.05  # above it every candidate must have its match


class DetectExport(TaskExport):
    """boxes (B, N, 4) xyxy in input pixels, scores (B, N), labels (B, N) int64, as `Decode` gives them."""

    name = "detect"
    default_imgsz: ClassVar = (640, 640)

    def resize(self, timm: bool) -> ResizeSpec:
        return ResizeSpec(mode="letterbox")

    def postprocess(self, model: Model, bundled: "BundledWeights | None") -> PostprocessSpec:
        """The overlap of bundled weights, else what a file's test_cfg says."""
        return PostprocessSpec(iou=bundled.iou) if bundled else PostprocessSpec(**(model.thresholds or {}))

    def decode(
        self, model: Model, imgsz: tuple[int, int], post: PostprocessSpec | None = None, *, logits: bool = False
    ) -> Decode:
        assert isinstance(model, Detector)
        return Decode(model.config, model.num_classes, imgsz)

    def deploy_decode(
        self,
        model: Model,
        imgsz: tuple[int, int],
        post: PostprocessSpec | None = None,
        *,
        logits: bool = False,
        target: "Target" = "onnxruntime",
    ) -> nn.Module:
        return DeployDecode(self.decode(model, imgsz))

    def compare(self, found: "Sequence[Arrays]", expected: "Sequence[Arrays]") -> Parity:
        """As sets, both ways: equal scores may come in any order, none may come from nowhere."""
        both = [pair for got, want in zip(found, expected, strict=True) for pair in ((got, want), (want, got))]
        pairs = [_match_candidates(got, want) for got, want in both]
        box_px, score_gap, scores = (np.concatenate(column) for column in zip(*pairs, strict=True))
        lost = box_px > BOX_TOLERANCE_PX
        sure_lost = int((lost & (scores >= SURE_SCORE)).sum())
        if sure_lost or lost.mean() > 1 - MATCHED_SHARE:
            return Parity(False, f"{int(lost.sum())} of {len(lost)} candidates have no match, {sure_lost} of them sure")
        kept = ~lost
        return Parity(True, f"boxes within {box_px[kept].max():.2g} px, scores within {score_gap[kept].max():.1e}")


def _match_candidates(got: "Arrays", want: "Arrays") -> "tuple[NDArray[Any], NDArray[Any], NDArray[Any]]":
    """For each wanted candidate of one image: its distance (px) to the nearest of like class and score, the gap
    between their scores, and its own score; an infinite distance where there is none."""
    wanted = zip(want["boxes"][0], want["scores"][0], want["labels"][0], strict=True)
    distances, gaps = [], []
    for box, score, label in wanted:
        like = (np.abs(got["scores"][0] - score) <= SCORE_TOLERANCE) & (got["labels"][0] == label)
        distance = np.where(like, np.abs(got["boxes"][0] - box).max(axis=1), np.inf)
        best = int(distance.argmin())
        distances.append(distance[best])
        gaps.append(abs(float(got["scores"][0][best]) - float(score)))
    return np.array(distances), np.array(gaps), np.asarray(want["scores"][0])
