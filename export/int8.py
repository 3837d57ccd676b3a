"""OpenVINO model -> INT8 OpenVINO model, by NNCF, with our placement."""

import contextlib
import io
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pvt_edge.errors import RuntimeMissingError

if TYPE_CHECKING:
    import numpy as np
    import openvino
    from numpy.typing import NDArray


def float_operations(model: "openvino.Model") -> list[str]:
    """Names of the operations that stay in float; measured on `cells`, real validation images.

    Attention's products: they run as one fused kernel in bfloat16. Depthwise convolutions: they gain nothing from
    int8, while quantising around them costs as much as they do. Spatial-reduction convolutions: int8 there loses
    0.008 AP. Look-ups: NNCF takes a Gather for an embedding and quantises its table, which for the decoder's
    anchors is a grid of 2.5 pixels and loses 0.01 AP.
    """
    return [op.get_friendly_name() for op in model.get_ordered_ops() if _stays_float(op)]


def _stays_float(op: "openvino.Node") -> bool:
    kind = op.get_type_name()
    if kind == "MatMul":
        return not any(_is_constant(source.get_node()) for source in op.input_values())
    if kind == "Convolution":  # patches that do not overlap: the spatial reduction's, and no other's
        kernel_hw = list(op.input_value(1).get_shape())[2:]
        return kernel_hw == list(op.get_attributes()["strides"]) != [1, 1]
    return kind in ("GroupConvolution", "Gather")


def _is_constant(node: "openvino.Node") -> bool:
    """Whether `node` is a weight: a constant, perhaps behind operations that only convert or reshape it."""
    if node.get_type_name() == "Constant":
        return True
    sources = [value.get_node() for value in node.input_values()]
    return bool(sources) and all(_is_constant(source) for source in sources)


def quantise(model: "openvino.Model", batches: "Sequence[NDArray[np.uint8]]", input_name: str) -> "openvino.Model":
    """`model` with linear and convolution layers in INT8, ranges from `batches` of the model's own (B, H, W, 3)."""
    try:
        import nncf
    except ImportError:
        raise RuntimeMissingError('NNCF is not installed: pip install "pvt-edge[export]"') from None
    logging.getLogger("nncf").setLevel(logging.ERROR)
    # SmoothQuant would put a multiplication behind every LayerNorm, and gains no accuracy here
    no_smoothing = nncf.AdvancedSmoothQuantParameters(convolution=-1, matmul=-1)
    with contextlib.redirect_stdout(io.StringIO()):  # NNCF draws progress bars of its own
        quantised: openvino.Model = nncf.quantize(
            model,
            nncf.Dataset(list(batches), lambda batch: {input_name: batch}),
            preset=nncf.QuantizationPreset.MIXED,
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(batches),
            ignored_scope=nncf.IgnoredScope(names=float_operations(model)),
            advanced_parameters=nncf.AdvancedQuantizationParameters(smooth_quant_alphas=no_smoothing),
        )
    return quantised
