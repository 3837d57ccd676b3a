"""Does an artifact give the model's answers? Checked on pictures at every export."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pvt_edge.errors import ExportError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pvt_edge.export.graph import DeployGraph
    from pvt_edge.models.create import Model
    from pvt_edge.runtimes import Runtime

    Arrays = Mapping[str, NDArray[Any]]

TENSOR_TOLERANCE = 1e-4  # of the largest value of an output
SCORE_TOLERANCE = 2e-3
BOX_TOLERANCE_PX = 0.5
MATCHED_SHARE = 0.99  # candidates at the edge of a top-k may change places with one just outside
SURE_SCORE = 0.05  # above it every candidate must have its match


@dataclass(frozen=True)
class Parity:
    """The worst difference seen, in words ("0.02 px, 1.3e-05 in score") and whether it is within tolerance."""

    within: bool
    text: str


def model_outputs(model: "Model", graph: "DeployGraph", inputs: "Sequence[NDArray[np.uint8]]") -> "list[Arrays]":
    """What the model as it was trained gives for each input, under the names of `graph`'s outputs.

    Nothing is shared with `graph`: a mistake in the deploy form shows against these.
    """
    import copy

    import torch

    from pvt_edge.models.decode import Decode
    from pvt_edge.models.detector import Detector
    from pvt_edge.preprocessing import normalise

    decode = Decode(model.config, model.num_classes, graph.imgsz) if isinstance(model, Detector) else None
    trained = copy.deepcopy(model).eval().float().cpu()
    expected: list[Arrays] = []
    with torch.inference_mode():
        for image in inputs:
            outputs = trained(normalise(torch.from_numpy(image), graph.normalisation))
            values = outputs if isinstance(outputs, tuple) else (outputs,)
            if decode is not None:
                values = decode(*values)
            expected.append({name: value.numpy() for name, value in zip(graph.output_names, values, strict=True)})
    return expected


def check_runs(runtime: "Runtime", input_name: str, inputs: "Sequence[NDArray[np.uint8]]") -> "list[Arrays]":
    """What `runtime` gives for each input (1, H, W, 3); raises `ExportError` unless all of it is finite.

    NaN is neither above nor below a tolerance, so it is looked for by itself.
    """
    batch = runtime.inputs[0].shape[0]
    found: list[Arrays] = []
    for image in inputs:
        fed = image if batch in (1, -1) else np.repeat(image, batch, axis=0)
        found.append({name: array[:1] for name, array in runtime.infer({input_name: fed}).items()})
    broken = {name for arrays in found for name, array in arrays.items() if not np.isfinite(array).all()}
    if broken:
        told = f"{', '.join(sorted(broken))} not finite"
        raise ExportError(f"{runtime.name} {runtime.precision} does not give the model's answers: {told}")
    return found


def check_parity(
    runtime: "Runtime", input_name: str, inputs: "Sequence[NDArray[np.uint8]]", expected: "Sequence[Arrays]"
) -> Parity:
    """The parity of `runtime` with `expected` on `inputs`; raises `ExportError` when out of tolerance."""
    found = check_runs(runtime, input_name, inputs)
    compare = _candidates_differ if "boxes" in expected[0] else _tensors_differ
    parity = compare(found, expected)
    if not parity.within:
        raise ExportError(f"{runtime.name} {runtime.precision} does not give the model's answers: {parity.text}")
    return parity


def _tensors_differ(found: "Sequence[Arrays]", expected: "Sequence[Arrays]") -> Parity:
    worst = 0.0
    for got, want in zip(found, expected, strict=True):
        for name, value in want.items():
            scale = max(float(np.abs(value).max()), 1e-6)
            worst = max(worst, float(np.abs(got[name] - value).max()) / scale)
    return Parity(worst <= TENSOR_TOLERANCE, f"largest difference {worst:.1e} of the largest value")


def _candidates_differ(found: "Sequence[Arrays]", expected: "Sequence[Arrays]") -> Parity:
    """Candidates are compared as sets, both ways: equal scores may come in any order, none may come from nowhere."""
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
