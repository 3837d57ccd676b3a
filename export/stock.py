"""The default route: the model as it was trained, exported by torch.onnx.export as anyone would."""

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from pvt_edge.checkpoints.preprocessing import IMAGENET, normalise
from pvt_edge.errors import ExportError
from pvt_edge.export.graph import INPUT_NAME
from pvt_edge.export.onnx import quiet
from pvt_edge.export.tasks import get_task_export
from pvt_edge.models import Model
from pvt_edge.runtimes.boundary import one_line
from pvt_edge.runtimes.openvino import openvino_core

if TYPE_CHECKING:
    from pvt_edge.bundle.schema import NormaliseSpec


class StockGraph(nn.Module):
    """uint8 BGR pixels (B, H, W, 3) -> the outputs named in `output_names`, as a tuple: no rewrite, float32.

    A `model` that is none of ours gives the outputs of `task` as they are.
    """

    def __init__(
        self, model: nn.Module, imgsz: tuple[int, int], *, task: str = "", normalisation: "NormaliseSpec" = IMAGENET
    ) -> None:
        super().__init__()
        self.normalisation = normalisation
        export = get_task_export(model.task if isinstance(model, Model) else task)
        self.model, self.output_names = model, export.output_names
        self.decode = export.decode(model, imgsz) if isinstance(model, Model) else None
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        outputs = self.model(normalise(images, self.normalisation))
        if self.decode is not None:
            outputs = self.decode(*outputs) if isinstance(outputs, tuple) else self.decode(outputs)
        return tuple(outputs) if isinstance(outputs, (tuple, list)) else (outputs,)


class NamedOutputs(nn.Module):
    """A graph's outputs by name, as the torch runtime takes them."""

    def __init__(self, graph: StockGraph) -> None:
        super().__init__()
        self.graph = graph
        self.eval()

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return dict(zip(self.graph.output_names, self.graph(images), strict=True))


def export_stock_onnx(graph: StockGraph, path: Path, *, imgsz: tuple[int, int], batch: int = 1) -> Path:
    """The path, after writing `graph` there by torch.onnx.export with its defaults. Raises `ExportError`."""
    example = torch.zeros((batch, *imgsz, 3), dtype=torch.uint8)
    try:
        with quiet(), contextlib.redirect_stdout(io.StringIO()):
            program = torch.onnx.export(
                graph,
                (example,),
                dynamo=True,
                input_names=[INPUT_NAME],
                output_names=list(graph.output_names),
                external_data=False,
                verbose=False,
            )
            if program is None:
                raise ExportError("it returned no model")
            program.save(str(path))
    except Exception as error:  # of whatever type: this is not our export
        raise ExportError(f"torch.onnx.export cannot export the stock graph: {one_line(error)}") from error
    return path


def quantise_by_default(path: Path, pictures: "Sequence[object]", out: Path, *, transformer: bool = True) -> Path:
    """`out`, after writing there as IR what NNCF makes by default of the ONNX file at `path`.

    `pictures` are inputs (B, H, W, 3) uint8; NNCF is told of a `transformer`, as its manual says. Raises
    `ExportError`; NNCF must be installed.
    """
    import nncf
    import openvino

    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            dataset = nncf.Dataset(list(pictures), lambda picture: {INPUT_NAME: picture})
            model = nncf.quantize(
                openvino_core().read_model(path),
                dataset,
                model_type=nncf.ModelType.TRANSFORMER if transformer else None,
                subset_size=len(pictures),
            )
        out.parent.mkdir(parents=True, exist_ok=True)
        openvino.save_model(model, out, compress_to_fp16=False)
    except Exception as error:
        raise ExportError(f"NNCF cannot quantise the stock graph: {one_line(error)}") from error
    return out
