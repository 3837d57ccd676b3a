"""The inputs and outputs of an ONNX file, whose names OpenCV gives without dtypes and shapes."""

from pathlib import Path

from pvt_edge.runtimes.onnx_protobuf import Value, fields, graph_fields, mapped, text
from pvt_edge.runtimes.runtime import TensorSpec

# Field numbers and data types of onnx.proto3, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3
_GRAPH_INPUT, _GRAPH_OUTPUT = 11, 12
_INFO_NAME, _INFO_TYPE, _TYPE_TENSOR, _TENSOR_DTYPE, _TENSOR_SHAPE, _SHAPE_SIZE, _SIZE_VALUE = 1, 2, 1, 1, 2, 1, 1
_DTYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64",
    9: "bool", 10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 16: "bfloat16",
}  # fmt: skip


def onnx_ports(path: Path) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """The inputs and the outputs that the file declares, in its order; a size without a number is -1.

    Raises `ValueError` for a file that is not ONNX and `OSError` for one that cannot be read.
    """
    with mapped(path) as model:
        found = list(graph_fields(model))
        inputs = tuple(_port(model, at) for field, at in found if field == _GRAPH_INPUT)
        outputs = tuple(_port(model, at) for field, at in found if field == _GRAPH_OUTPUT)
    if not inputs or not outputs:
        raise ValueError("not an ONNX file: it declares no input or no output")
    return inputs, outputs


def _port(model: memoryview, at: Value) -> TensorSpec:
    (name,) = _values(model, at, _INFO_NAME)
    (tensor,) = (inner for kind in _values(model, at, _INFO_TYPE) for inner in _values(model, kind, _TYPE_TENSOR))
    (dtype,) = _values(model, tensor, _TENSOR_DTYPE)
    sizes = [size for shape in _values(model, tensor, _TENSOR_SHAPE) for size in _values(model, shape, _SHAPE_SIZE)]
    shape = tuple(next((n for n in _values(model, size, _SIZE_VALUE) if isinstance(n, int)), -1) for size in sizes)
    if not isinstance(dtype, int) or dtype not in _DTYPES:
        raise ValueError(f"{text(model, name)} is of ONNX's data type {dtype}")
    return TensorSpec(text(model, name), _DTYPES[dtype], shape)


def _values(model: memoryview, at: Value, wanted: int) -> list[Value]:
    """The values of one field of the message that lies there."""
    if isinstance(at, int):
        raise ValueError("not an ONNX file: a number where a message belongs")
    return [value for number, value in fields(model, *at) if number == wanted]
