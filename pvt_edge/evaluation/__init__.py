"""How well a bundle's artifacts do on labelled pictures: COCO AP of detectors, top-1 and top-5 of classifiers,
mean IoU of segmenters.

>>> from pvt_edge.evaluation import evaluate
>>> evaluation = evaluate("out/b0", "instances_val.json", "images/", runtime="all")
>>> evaluation.rows[0].figures["AP"]
0.621
"""

from pvt_edge.evaluation.evaluate import evaluate
from pvt_edge.evaluation.record import Evaluation, Failure, Row
from pvt_edge.metrics.labelled import Settings

__all__ = ["Evaluation", "Failure", "Row", "Settings", "evaluate"]
