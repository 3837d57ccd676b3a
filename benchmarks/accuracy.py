"""`--data`: how good the answers of each row are, judged as `pvt-edge val` judges them."""

from math import isfinite
from pathlib import Path
from typing import Any

from pvt_edge.bundle import Bundle
from pvt_edge.evaluation.evaluate import judge, read_labelled
from pvt_edge.metrics.labelled import Labelled
from pvt_edge.predictor import Predictor


def read_labels(bundle: Bundle, data: Path, images: Path | None) -> Labelled[Any]:
    """The labelled pictures, as `pvt-edge val` takes them. Raises `DataError` where they do not fit the bundle."""
    return read_labelled(bundle.manifest, data, images)


def measure_accuracy(predictor: Predictor, labelled: Labelled[Any]) -> dict[str, float]:
    """The figures of `pvt-edge val`, fractions 0..1; without those that nothing in the data stands for."""
    figures = judge(predictor, labelled, lambda: None)[0].figures
    return {name: value for name, value in figures.items() if isfinite(value)}
