"""A bundle that runs: pictures in, results out."""

from pvt_edge.predictor.predictor import Predictor, load

__all__ = ["Predictor", "load"]
