"""At which scores and overlaps a detector is judged."""

from typing import TYPE_CHECKING

from pvt_edge.bundle.schema import PostprocessSpec
from pvt_edge.evaluation.record import Settings
from pvt_edge.metrics.detector import AP_CONF
from pvt_edge.postprocessing import choose_thresholds

if TYPE_CHECKING:
    from pvt_edge.bundle import Manifest


def ap_settings(
    manifest: "Manifest", conf: float | None = None, iou: float | None = None, max_det: int | None = None
) -> Settings:
    """Those given, else the bundle's; but a score of 0.01, as average precision sweeps the threshold itself."""
    spec = (manifest.postprocess or PostprocessSpec()).model_copy(update={"conf": AP_CONF})
    chosen = choose_thresholds(spec, manifest.labels, conf=conf, iou=iou, max_det=max_det)
    return Settings(chosen.conf, chosen.iou, chosen.max_det)
