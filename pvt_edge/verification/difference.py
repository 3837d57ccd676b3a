"""How the answers to one picture differ, and sums of that over many pictures."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pvt_edge.metrics.agreement import Matches, cosine, is_finite, logit_cosine, match_detections
from pvt_edge.postprocessing import against_rest, softmax
from pvt_edge.verification.tolerance import FIGURES, TASK_FIGURES

if TYPE_CHECKING:
    from pvt_edge.bundle.schema import PostprocessSpec

    Arrays = Mapping[str, NDArray[Any]]


TIE = 0.01  # of the share: between classes so near to each other, rounding decides which is the best


class Tally(NamedTuple):
    """A figure before it is divided: the sum of its parts and how many there are."""

    total: float
    parts: float


@dataclass(frozen=True)
class Difference:
    """One picture's `tallies` by figure; `broken` names outputs of the artifact that are not finite,
    `broken_reference` those of the reference; `matches` are a detector's."""

    tallies: Mapping[str, Tally]
    broken: tuple[str, ...] = ()
    broken_reference: tuple[str, ...] = ()
    matches: Matches | None = None

    @property
    def finite(self) -> bool:
        """Whether both sides gave numbers."""
        return not self.broken and not self.broken_reference

    def value(self, figure: str) -> float:
        """This picture's figure."""
        return ratio(figure, [self.tallies[figure]])

    def severity(self, limits: Mapping[str, float]) -> float:
        """How much of what is allowed the worst figure uses up: 1 at its limit, infinite for NaN."""
        if not self.finite:
            return float("inf")
        return max(FIGURES[name].severity(self.value(name), limit) for name, limit in limits.items())


def compare(task: str, found: "Arrays", reference: "Arrays", post: "PostprocessSpec") -> Difference:
    """The difference of what two artifacts give for one picture, a batch axis of 1; boxes in the same pixels.

    detect: the two sides' detections above `post.conf`, matched as `detection_agreement` tells; "box_px" is a pair's
    largest corner difference, "score_drift" the difference of its scores. classify: "top1", whether the best class is
    the reference's or one it gives all but the same share; the "cosine" of the logits; "score_drift", the difference
    in the share of the reference's best class. features: the least "cosine" of the maps and the largest
    "feature_error", |difference| / |reference| of a map's values as a vector.
    """
    broken, broken_reference = _not_finite(found), _not_finite(reference)
    measure = {"detect": _boxes, "classify": _logits, "features": _maps}[task]
    if broken or broken_reference:
        matches = match_detections(found, reference, post) if task == "detect" else None
        # nothing agrees; how far apart they are is no number
        lost = {name: Tally(0, 1 if FIGURES[name].least else 0) for name in TASK_FIGURES[task]}
        return Difference(lost, broken, broken_reference, matches)
    return measure(found, reference, post)


def ratio(figure: str, tallies: Iterable[Tally]) -> float:
    """The figure over all pictures of the tallies; of nothing, that of equal answers."""
    rows = list(tallies)
    parts = sum(tally.parts for tally in rows)
    return sum(tally.total for tally in rows) / parts if parts else FIGURES[figure].empty


def _boxes(found: "Arrays", reference: "Arrays", post: "PostprocessSpec") -> Difference:
    m = match_detections(found, reference, post)
    pairs = len(m.drifts)
    tallies = {
        "f1": Tally(m.matched_found + m.matched_reference, m.n_found + m.n_reference),
        "box_px": Tally(sum(px for _, px in m.drifts), pairs),
        "score_drift": Tally(sum(score for score, _ in m.drifts), pairs),
    }
    return Difference(tallies, matches=m)


def _logits(found: "Arrays", reference: "Arrays", post: "PostprocessSpec") -> Difference:
    alike = logit_cosine(found["logits"][0], reference["logits"][0])
    got, want = against_rest(found["logits"][0]), against_rest(reference["logits"][0])
    shares, best = softmax(want), int(want.argmax())
    drift = abs(float(softmax(got)[best]) - float(shares[best]))
    same = float(shares[best] - shares[int(got.argmax())]) <= TIE
    return Difference({"top1": Tally(same, 1), "cosine": Tally(alike, 1), "score_drift": Tally(drift, 1)})


def _maps(found: "Arrays", reference: "Arrays", post: "PostprocessSpec") -> Difference:
    least = min(cosine(found[name], want) for name, want in reference.items())
    error = max(relative_error(found[name], want) for name, want in reference.items())
    return Difference({"cosine": Tally(least, 1), "feature_error": Tally(error, 1)})


def relative_error(got: NDArray[Any], want: NDArray[Any]) -> float:
    """|got - want| / |want|; of a reference of zeros, 0 for zeros and else 1."""
    size = float(np.linalg.norm(want.astype(np.float64)))
    gap = float(np.linalg.norm(got.astype(np.float64) - want))
    return gap / size if size else float(gap > 0)


def _not_finite(arrays: "Arrays") -> tuple[str, ...]:
    return tuple(name for name, array in arrays.items() if not is_finite(array))
