"""Models in training form: a backbone of a family (`pvt_v2.py`), and on it what a task needs (`classifier.py`, ...)."""

from pvt_edge.models.classifier import Classifier
from pvt_edge.models.detector import Detector
from pvt_edge.models.model import Backbone, Model
from pvt_edge.models.segmenter import Segmenter
from pvt_edge.models.table import (
    FAMILIES,
    MODELS,
    Family,
    build_backbone,
    build_model,
    check_model,
    get_family,
    kind_of,
    register_family,
    register_model,
)

register_model(Classifier)
register_model(Segmenter)
register_model(Detector)
register_model(Backbone)

__all__ = [
    "FAMILIES",
    "MODELS",
    "Backbone",
    "Classifier",
    "Detector",
    "Family",
    "Model",
    "Segmenter",
    "build_backbone",
    "build_model",
    "check_model",
    "get_family",
    "kind_of",
    "register_family",
    "register_model",
]
