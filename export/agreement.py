"""Does an artifact give the model's answers? Checked on pictures at every export, and judged by labels at its end."""

import copy
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from pvt_edge.bundle.reader import ways_of
from pvt_edge.bundle.schema import AccuracyRecord, PostprocessSpec
from pvt_edge.checkpoints.preprocessing import normalise
from pvt_edge.comparison.difference import FIGURES, ratio
from pvt_edge.errors import ExportError
from pvt_edge.export.graph import INPUT_NAME
from pvt_edge.export.precision.trial import has_bf16
from pvt_edge.export.tasks import Parity, get_task_export
from pvt_edge.runtimes import RUNTIMES, open_runtime
from pvt_edge.tasks import get_task
from pvt_edge.verification.checks import APPROXIMATED, compare, outside

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pvt_edge.bundle.schema import Artifact, Manifest
    from pvt_edge.comparison.difference import Arrays
    from pvt_edge.export.graph import DeployGraph
    from pvt_edge.export.precision.judge import LabelledJudge
    from pvt_edge.models import Model
    from pvt_edge.runtimes import Runtime

RECORDED = 3  # figures, the most telling


def model_outputs(model: "Model", graph: "DeployGraph", inputs: "Sequence[NDArray[np.uint8]]") -> "list[Arrays]":
    """What the model as it was trained gives for each input, under the names of `graph`'s outputs.

    Nothing is shared with `graph`: a mistake in the deploy form shows against these.
    """
    decode = get_task_export(model.task).decode(model, graph.imgsz, graph.post, logits=graph.logits)
    trained = copy.deepcopy(model).eval().float().cpu()
    expected: list[Arrays] = []
    with torch.inference_mode():
        for image in inputs:
            outputs = trained(normalise(torch.from_numpy(image), graph.normalisation))
            values = outputs if isinstance(outputs, tuple) else (outputs,)
            if decode is not None:
                decoded = decode(*values)
                values = decoded if isinstance(decoded, tuple) else (decoded,)
            expected.append({name: value.numpy() for name, value in zip(graph.output_names, values, strict=True)})
    return expected


def answers(runtime: "Runtime", input_name: str, inputs: "Sequence[NDArray[np.uint8]]") -> "list[Arrays]":
    """What `runtime` gives for each input (1, H, W, 3), which fills the whole of a static batch."""
    batch = runtime.inputs[0].shape[0]
    found: list[Arrays] = []
    for image in inputs:
        fed = image if batch in (1, -1) else np.repeat(image, batch, axis=0)
        found.append({name: array[:1] for name, array in runtime.infer({input_name: fed}).items()})
    return found


def check_runs(runtime: "Runtime", input_name: str, inputs: "Sequence[NDArray[np.uint8]]") -> "list[Arrays]":
    """What `runtime` gives for each input (1, H, W, 3); raises `ExportError` unless all of it is finite.

    NaN is neither above nor below a tolerance, so it is looked for by itself.
    """
    found = answers(runtime, input_name, inputs)
    broken = {name for arrays in found for name, array in arrays.items() if not np.isfinite(array).all()}
    if broken:
        why = f"{', '.join(sorted(broken))} not finite"
        raise ExportError(f"{runtime.name} {runtime.precision} does not give the model's answers: {why}")
    return found


def check_parity(
    runtime: "Runtime", input_name: str, inputs: "Sequence[NDArray[np.uint8]]", expected: "Sequence[Arrays]", task: str
) -> Parity:
    """The parity of `runtime` with `expected` on `inputs`, as `task` compares; `ExportError` when out of tolerance."""
    parity = get_task_export(task).compare(check_runs(runtime, input_name, inputs), expected)
    if not parity.within:
        raise ExportError(f"{runtime.name} {runtime.precision} does not give the model's answers: {parity.text}")
    return parity


def measure_agreement(
    artifacts: "Sequence[Artifact]",
    path_of: Callable[[str], Path],
    inputs: "Sequence[NDArray[np.uint8]]",
    expected: "Sequence[Arrays]",
    *,
    task: str,
    post: PostprocessSpec | None,
    source: str,
) -> AccuracyRecord | None:
    """`verify`'s figures of each artifact, engines apart, against `expected`, the trained model's answers to `inputs`.

    OpenVINO's fp32 file is run in bf16 too where the CPU can. None where a detector's two sides detect nothing.
    Raises `ExportError` where an artifact gives what is no number.
    """
    spec = post or PostprocessSpec()
    metrics, seen = {}, 0
    for runtime, precision, file in _runs(artifacts):
        with open_runtime(runtime, path_of(file), precision=precision) as opened:
            found = check_runs(opened, INPUT_NAME, inputs)
        differences = [compare(task, got, want, spec) for got, want in zip(found, expected, strict=True)]
        metrics[f"{runtime}-{precision}"] = {
            name: ratio(name, [difference.tallies[name] for difference in differences])
            for name in get_task(task).figures
        }
        seen += sum(d.matches.n_found + d.matches.n_reference if d.matches else 1 for d in differences)
    if not seen:
        return None
    return AccuracyRecord(data=f"{len(inputs)} pictures of {source}", metrics=metrics)


def measure_accuracy(
    artifacts: "Sequence[Artifact]",
    path_of: Callable[[str], Path],
    judge: "LabelledJudge",
    known: "Mapping[str, Sequence[Arrays]]",
) -> AccuracyRecord:
    """AP or mIoU of each artifact, engines apart, on the pictures of `judge`.

    `known` is what files gave on them already, by "runtime-precision".
    """
    metrics = {}
    for artifact in artifacts:
        if RUNTIMES[artifact.runtime].needs_gpu:
            continue
        name = f"{artifact.runtime}-{artifact.precision}"
        outputs = known.get(name)
        if outputs is None:
            with open_runtime(artifact.runtime, path_of(artifact.file), precision=artifact.precision) as runtime:
                outputs = answers(runtime, INPUT_NAME, judge.inputs)
        scores = judge.scores(outputs)
        first = next(iter(scores.figures))
        by_class = {f"{first} {name}": found for name, found in scores.by_class.items()}
        metrics[name] = dict(islice(scores.figures.items(), RECORDED)) | by_class
    return AccuracyRecord(data=judge.metric.data, metrics=metrics)


def agreement_lines(manifest: "Manifest") -> list[tuple[str, bool]]:
    """For each artifact its figures in words, and whether they are within `verify`'s tolerance."""
    lines = []
    for key, figures in (manifest.agreement.metrics if manifest.agreement else {}).items():
        runtime, _, precision = key.rpartition("-")
        files = [a for a in manifest.artifacts if (a.runtime, a.precision) == (runtime, precision)]
        moved = any(artifact.approximated for artifact in files)
        within = not outside(manifest.task, APPROXIMATED if moved else precision, figures)
        shown = ", ".join(f"{FIGURES[figure].words} {FIGURES[figure].text(value)}" for figure, value in figures.items())
        lines.append((f"{runtime} {precision}: {shown}", within))
    return lines


def _runs(artifacts: "Sequence[Artifact]") -> list[tuple[str, str, str]]:
    """(runtime, precision, file) of all that can run where exports are made."""
    return [
        (way.runtime, way.precision, way.artifact.file)
        for way in ways_of(artifacts)
        if way.artifact is not None and way.by_default and not way.borrowed
        if not RUNTIMES[way.runtime].needs_gpu and (way.precision != "bf16" or has_bf16())
    ]
