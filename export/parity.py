"""Does an artifact give the model's answers? Checked on pictures at every export."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pvt_edge.errors import ExportError
from pvt_edge.export.tasks import Parity, get_task_export

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pvt_edge.export.graph import DeployGraph
    from pvt_edge.models import Model
    from pvt_edge.runtimes import Runtime

    Arrays = Mapping[str, NDArray[Any]]


def model_outputs(model: "Model", graph: "DeployGraph", inputs: "Sequence[NDArray[np.uint8]]") -> "list[Arrays]":
    """What the model as it was trained gives for each input, under the names of `graph`'s outputs.

    Nothing is shared with `graph`: a mistake in the deploy form shows against these.
    """
    import copy

    import torch

    from pvt_edge.checkpoints.preprocessing import normalise

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
