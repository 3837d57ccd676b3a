"""Top-1 and top-5 of a classifier, through the predictor that users run."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from pvt_edge.evaluation.pictures import prepared
from pvt_edge.evaluation.record import Judged, Row
from pvt_edge.mean_speed import MeanSpeed
from pvt_edge.metrics.top1 import place, shares

if TYPE_CHECKING:
    from pvt_edge.predictor import Predictor


def evaluate_ranks(
    predictor: "Predictor", advance: Callable[[], None], *, samples: Sequence[tuple[Path, int]]
) -> Judged:
    """The classifier's row on `samples`, (path, index of its label) each.

    `advance` is called after each picture.
    """
    thresholds = predictor.choose_thresholds()
    places: defaultdict[int, list[float]] = defaultdict(list)
    speed = MeanSpeed()
    started = perf_counter()
    for group in prepared(predictor, samples, lambda sample: sample[0]):
        results = predictor.complete([ready for _, ready in group], thresholds)
        for ((_, label), _), result in zip(group, results, strict=True):
            assert result.probs is not None
            data = result.probs.data
            places[label].append(place(data if len(data) > 1 else data - 0.5, label))
            speed.add(result.speed)
            advance()
    runtime = predictor.runtime
    row = Row(
        runtime.name,
        runtime.precision,
        runtime.device,
        shares([one for of_class in places.values() for one in of_class]),
        {predictor.names[i]: {"pictures": len(places[i]), **shares(places[i])} for i in sorted(places)},
        speed.means(),
        perf_counter() - started,
    )
    return Judged(row, [], [])
