"""Deploy graph -> one plain ONNX file."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from pvt_edge.bundle.block_names import modules_of, name_layers, name_others
from pvt_edge.errors import ExportError
from pvt_edge.export.graph import INPUT_NAME, DeployGraph
from pvt_edge.runtimes.boundary import one_line

if TYPE_CHECKING:
    import onnx

    from pvt_edge.export.metadata import ModelMetadata

OPSET = 20  # Gelu became an operator here; TensorRT 10.0 reads up to 20
MAX_BATCH = 64  # of a dynamic batch, for the tracer's bounds
# Operators that only appear when shapes are computed at run time, which static graphs must not do.
SHAPE_OPERATORS = ("Shape", "Range", "NonZero", "Loop", "If", "ConstantOfShape")
# Left to the runtimes, which do it too: here it would take the names of layers, by which INT8 is placed.
NOT_FUSED = ("fuse_matmul_add_bias_into_gemm", "fuse_qkv")
# TensorRT fuses attention only behind a linear with a bias, so one of zeros (untrained weights) must stay.
ZERO_BIASES = "eliminate_nop_with_unit"


def export_onnx(
    graph: DeployGraph,
    path: Path,
    *,
    batch: int = 1,
    dynamic_batch: bool = False,
    metadata: "ModelMetadata | None" = None,
) -> None:
    """Write `graph` to `path` as ONNX: weights inside, sizes as constants, simplified, and checked for form.

    With `dynamic_batch` the first axis is named "batch" and everything else stays static. Raises `ExportError`.
    """
    skipped = (*NOT_FUSED, *((ZERO_BIASES,) if graph.target == "tensorrt" else ()))
    traced = _trace(graph, 2 if dynamic_batch else batch, dynamic_batch)  # of 1 the tracer makes a constant
    modules = modules_of(traced)
    model = _simplify(traced, skipped)
    _check_form(model, dynamic_batch)
    name_layers(model)
    name_others(model, modules)
    if metadata is not None:
        metadata.write_onnx(model, "fp32")
    import onnx

    onnx.save(model, str(path))


def _trace(graph: DeployGraph, batch: int, dynamic_batch: bool) -> "onnx.ModelProto":
    shapes = ({0: torch.export.Dim("batch", min=1, max=MAX_BATCH)},) if dynamic_batch else None
    with quiet(), _mapped("torch.onnx.export"):
        example = torch.zeros((batch, *graph.imgsz, 3), dtype=torch.uint8)
        program = torch.onnx.export(
            graph,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            external_data=False,
            input_names=[INPUT_NAME],
            output_names=list(graph.output_names),
            dynamic_shapes=shapes,
            custom_translation_table={
                torch.ops.aten.floor_divide.default: _integer_divide,
                torch.ops.aten.upsample_bilinear2d.vec: _bilinear,
            },
            optimize=False,  # a third of its time, for rewrites that onnxsim makes too
            verbose=False,
        )
        if program is None:
            raise ExportError("the ONNX exporter returned no model")
        _fold(program.model)
    return program.model_proto


def _fold(model: Any) -> None:
    """Make constants of what is computed from constants alone, in place: onnxsim leaves some of it."""
    from onnx_ir.passes.common import LiftConstantsToInitializersPass, RemoveUnusedNodesPass
    from onnxscript.optimizer import fold_constants

    fold_constants(model)
    RemoveUnusedNodesPass()(model)
    LiftConstantsToInitializersPass(lift_all_constants=False, size_limit=0)(model)


def _integer_divide(numerator: Any, denominator: Any) -> Any:
    """aten.floor_divide of non-negative integers as ONNX's Div, which truncates.

    The stock translation adds corrections for negative numbers, or goes through floats, where int64 indices
    lose their last digits in half precision.
    """
    from onnxscript import opset20 as op

    return op.Div(numerator, op.CastLike(denominator, numerator))


def _bilinear(x: Any, size: Any, align_corners: bool, factors: Any) -> Any:
    """aten.upsample_bilinear2d to a constant size as ONNX's Resize by half pixels.

    The stock translation says pytorch_half_pixel, of which runtimes differ where an output side is 1.
    """
    from onnxscript import opset20 as op

    assert not align_corners and factors is None
    sizes = op.Concat(op.Shape(x, end=2), op.Cast(size, to=7), axis=0)  # 7: int64
    return op.Resize(x, None, None, sizes, mode="linear", coordinate_transformation_mode="half_pixel")


def _simplify(model: "onnx.ModelProto", skipped: tuple[str, ...]) -> "onnx.ModelProto":
    import onnxsim

    with _mapped("onnxsim"):
        simplified, same = onnxsim.simplify(model, skipped_optimizers=list(skipped))
    if not same:
        raise ExportError("onnxsim's simplified graph does not give the original's outputs")
    result: onnx.ModelProto = simplified
    return result


def _check_form(model: "onnx.ModelProto", dynamic_batch: bool) -> None:
    import onnx

    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"onnx.checker refuses the exported graph: {error}") from error
    found = {node.op_type for node in model.graph.node}
    if not dynamic_batch and found.intersection(SHAPE_OPERATORS):
        raise ExportError(f"the exported graph computes shapes: {sorted(found.intersection(SHAPE_OPERATORS))}")


@contextmanager
def _mapped(step: str) -> Iterator[None]:
    """What a third-party step raises, whatever its type, as an `ExportError`."""
    try:
        yield
    except Exception as error:
        # torch's own words are of how to report it
        raise ExportError(f"{step} failed: {one_line(error.__cause__ or error)}") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the exporter's notes about packages it does not need and its own deprecations."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
