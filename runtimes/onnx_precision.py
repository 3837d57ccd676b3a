"""The precision of an ONNX file, which ONNX Runtime and OpenCV do not tell."""

from pathlib import Path

from pvt_edge.runtimes.onnx_protobuf import fields, graph_fields, mapped

# Field numbers and data types of onnx.proto3, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3
_GRAPH_NODE, _GRAPH_INITIALIZER, _NODE_OP_TYPE, _TENSOR_DATA_TYPE = 1, 5, 4, 2
_FLOAT16, _BFLOAT16 = 10, 16
_QUANTIZED_OPS = frozenset(
    b"QuantizeLinear DynamicQuantizeLinear QLinearConv QLinearMatMul ConvInteger MatMulInteger".split()
)


def onnx_precision(path: Path) -> str:
    """ "int8" for a graph that quantises activations, else "fp16" or "bf16" by its weights, else "fp32".

    Raises `ValueError` for a file that is not protobuf and `OSError` for one that cannot be read.
    """
    with mapped(path) as model:
        ops, types = _graph_content(model)
    if ops & _QUANTIZED_OPS:
        return "int8"
    return "fp16" if _FLOAT16 in types else "bf16" if _BFLOAT16 in types else "fp32"


def _graph_content(model: memoryview) -> tuple[set[bytes], set[int]]:
    """The op types of the main graph and the data types of its initializers."""
    ops: set[bytes] = set()
    types: set[int] = set()
    for kind, part_at in graph_fields(model):
        if kind not in (_GRAPH_NODE, _GRAPH_INITIALIZER) or isinstance(part_at, int):
            continue
        for number, value in fields(model, *part_at):
            if kind == _GRAPH_NODE and number == _NODE_OP_TYPE and not isinstance(value, int):
                ops.add(bytes(model[slice(*value)]))
            elif kind == _GRAPH_INITIALIZER and number == _TENSOR_DATA_TYPE and isinstance(value, int):
                types.add(value)
    return ops, types
