"""`--data`: how good the answers of each row are, judged as `pvt-edge val` judges them."""

from math import isfinite
from pathlib import Path

from pvt_edge.bundle import Bundle
from pvt_edge.evaluation.labelled import Labelled, default_images, read_labelled
from pvt_edge.evaluation.thresholds import ap_settings
from pvt_edge.predictor import Predictor


def read_labels(bundle: Bundle, data: Path, images: Path | None) -> Labelled:
    """The labelled pictures, as `pvt-edge val` takes them. Raises `DataError` where they do not fit the bundle."""
    manifest = bundle.manifest
    settings = ap_settings(manifest) if manifest.task == "detect" else None
    return read_labelled(manifest, data, images or default_images(data), settings, limit=None, skip=False)


def measure_accuracy(predictor: Predictor, labelled: Labelled) -> dict[str, float]:
    """The figures of `pvt-edge val`, fractions 0..1; without those that nothing in the data stands for."""
    figures = labelled.judge(predictor, lambda: None).row.figures
    return {name: value for name, value in figures.items() if isfinite(value)}
