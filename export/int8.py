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
    """Names of the operations that stay in float: attention's products and depthwise convolutions.

    Attention runs as one fused kernel in bfloat16, and a depthwise convolution gains nothing from int8 while its
    quantise and dequantise steps cost as much as itself.
    """
    names = []
    for op in model.get_ordered_ops():
        product_of_activations = op.get_type_name() == "MatMul" and not any(
            _is_constant(source.get_node()) for source in op.input_values()
        )
        if product_of_activations or op.get_type_name() == "GroupConvolution":
            names.append(op.get_friendly_name())
    return names


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
    with contextlib.redirect_stdout(io.StringIO()):  # NNCF draws progress bars of its own
        quantised: openvino.Model = nncf.quantize(
            model,
            nncf.Dataset(list(batches), lambda batch: {input_name: batch}),
            preset=nncf.QuantizationPreset.MIXED,
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(batches),
            ignored_scope=nncf.IgnoredScope(names=float_operations(model)),
        )
    return quantised
