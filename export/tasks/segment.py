"""Exports of segmenters: the graph gives the class map, and on request the logits it was made of."""

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from torch import nn

from pvt_edge.bundle.schema import PostprocessSpec, ResizeSpec
from pvt_edge.export.deploy.segmenter import PhaseDecode
from pvt_edge.export.tasks.task import Parity, TaskExport
from pvt_edge.models import Model, Segmenter
from pvt_edge.models.segmenter import LogitDecode, SegmentDecode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pvt_edge.export.deploy.form import Target
    from pvt_edge.export.tasks.task import Arrays
    from pvt_edge.weights import BundledWeights

EQUAL_PIXELS = 0.9995  # where two logits are equal but for rounding, runtimes differ on the larger


class SegmentExport(TaskExport):
    """mask (B, H, W) uint8, int32 beyond 256 classes; with logits (B, K, H/4, W/4) behind it."""

    name = "segment"
    default_imgsz: ClassVar = (512, 512)
    more_outputs: ClassVar = ("logits",)

    def resize(self, timm: bool) -> ResizeSpec:
        return ResizeSpec(mode="letterbox")

    def postprocess(self, model: Model, bundled: "BundledWeights | None") -> PostprocessSpec | None:
        """The threshold of one class: what a file says of it, else mmseg's."""
        return PostprocessSpec(**(model.thresholds or {})) if model.num_classes == 1 else None

    def labels(self, labels: "Sequence[str]") -> tuple[str, ...]:
        """Of one class, what is not of it has a name too: ids of the mask index the labels."""
        return ("background", *labels) if len(labels) == 1 else tuple(labels)

    def decode(
        self, model: Model, imgsz: tuple[int, int], post: PostprocessSpec | None = None, *, logits: bool = False
    ) -> SegmentDecode:
        return SegmentDecode(model.num_classes, imgsz, self._threshold(model, post), keep_logits=logits)

    def deploy_decode(
        self,
        model: Model,
        imgsz: tuple[int, int],
        post: PostprocessSpec | None = None,
        *,
        logits: bool = False,
        target: "Target" = "onnxruntime",
    ) -> nn.Module:
        kind = PhaseDecode if target == "openvino" else LogitDecode
        return kind(model.num_classes, imgsz, self._threshold(model, post), keep_logits=logits)

    def _threshold(self, model: Model, post: PostprocessSpec | None) -> float:
        assert isinstance(model, Segmenter)
        spec = post or self.postprocess(model, None) or PostprocessSpec()
        return spec.threshold

    def compare(self, found: "Sequence[Arrays]", expected: "Sequence[Arrays]") -> Parity:
        """By the share of equal pixels; logits, where there are any, by their values."""
        pairs = list(zip(found, expected, strict=True))
        if any(got["mask"].shape != want["mask"].shape for got, want in pairs):
            return Parity(False, f"a mask {pairs[0][0]['mask'].shape} where {pairs[0][1]['mask'].shape} is wanted")
        equal = float(np.mean([np.mean(got["mask"] == want["mask"]) for got, want in pairs]))
        text = f"{equal:.4%} of pixels equal"
        values = [[{"logits": row["logits"]} for row in pair] for pair in pairs if "logits" in pair[1]]
        if not values:
            return Parity(equal >= EQUAL_PIXELS, text)
        parity = super().compare(*zip(*values, strict=True))
        return Parity(equal >= EQUAL_PIXELS and parity.within, f"{text}; logits: {parity.text}")
