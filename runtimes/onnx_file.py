"""What a loose ONNX file holds, read from its bytes: ONNX Runtime and OpenCV do not say all, and onnx may be absent.

A bundle's `model.json` says it; this is for files without one, and for bundles of schema 1.
"""

import mmap
from collections.abc import Iterator
from pathlib import Path

from pvt_edge.runtimes.runtime import ModelSpec, TensorSpec

# Field numbers and data types of onnx.proto3, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT = 1, 5, 11, 12
_NODE_OP_TYPE, _TENSOR_DATA_TYPE = 4, 2
_INFO_NAME, _INFO_TYPE, _TYPE_TENSOR, _TENSOR_DTYPE, _TENSOR_SHAPE, _SHAPE_SIZE, _SIZE_VALUE = 1, 2, 1, 1, 2, 1, 1
_DTYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64",
    9: "bool", 10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 16: "bfloat16",
}  # fmt: skip
_FLOAT16, _BFLOAT16 = 10, 16
_QUANTIZED_OPS = frozenset(
    b"QuantizeLinear DynamicQuantizeLinear QLinearConv QLinearMatMul ConvInteger MatMulInteger".split()
)

Span = tuple[int, int]  # where the bytes of a message start and end in the file
Value = int | Span


def read_onnx(path: Path) -> ModelSpec:
    """The file's precision, inputs and outputs, in its order; a size without a number is -1.

    The precision is "int8" for a graph that quantises activations, else "fp16" or "bf16" by its weights, else "fp32".

    Raises:
        ValueError: The file is not ONNX, is cut short, or declares no input or no output.
        OSError: The file cannot be read.
    """
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        memoryview(content) as model,
    ):
        ops: set[bytes] = set()
        types: set[int] = set()
        inputs, outputs = [], []
        for field, at in _graph_fields(model):
            if field == _GRAPH_NODE:
                ops.update(bytes(model[slice(*value)]) for value in _messages(model, at, _NODE_OP_TYPE))
            elif field == _GRAPH_INITIALIZER:
                types.update(value for value in _values(model, at, _TENSOR_DATA_TYPE) if isinstance(value, int))
            elif field == _GRAPH_INPUT:
                inputs.append(_tensor(model, at))
            elif field == _GRAPH_OUTPUT:
                outputs.append(_tensor(model, at))
    if not inputs or not outputs:
        raise ValueError("not an ONNX file: it declares no input or no output")
    floats = "fp16" if _FLOAT16 in types else "bf16" if _BFLOAT16 in types else "fp32"
    return ModelSpec("int8" if ops & _QUANTIZED_OPS else floats, tuple(inputs), tuple(outputs))


def _tensor(model: memoryview, at: Value) -> TensorSpec:
    """An input or output as the graph declares it."""
    (name,) = _messages(model, at, _INFO_NAME)
    (tensor,) = (inner for kind in _messages(model, at, _INFO_TYPE) for inner in _messages(model, kind, _TYPE_TENSOR))
    (dtype,) = _values(model, tensor, _TENSOR_DTYPE)
    sizes = [size for shape in _messages(model, tensor, _TENSOR_SHAPE) for size in _messages(model, shape, _SHAPE_SIZE)]
    shape = tuple(next((n for n in _values(model, size, _SIZE_VALUE) if isinstance(n, int)), -1) for size in sizes)
    text = str(model[slice(*name)], "utf-8")
    if not isinstance(dtype, int) or dtype not in _DTYPES:
        raise ValueError(f"{text} is of ONNX's data type {dtype}")
    return TensorSpec(text, _DTYPES[dtype], shape)


def _graph_fields(model: memoryview) -> Iterator[tuple[int, Value]]:
    """(field number, value) of all that the model's main graph holds."""
    for graph_at in _messages(model, (0, len(model)), _MODEL_GRAPH):
        yield from _fields(model, *graph_at)


def _values(model: memoryview, at: Value, wanted: int) -> list[Value]:
    """The values of one field of the message that lies there."""
    if isinstance(at, int):
        raise ValueError("not an ONNX file: a number where a message belongs")
    return [value for number, value in _fields(model, *at) if number == wanted]


def _messages(model: memoryview, at: Value, wanted: int) -> list[Span]:
    """The same of a field whose values are messages or texts."""
    return [value for value in _values(model, at, wanted) if not isinstance(value, int)]


def _fields(data: memoryview, start: int, end: int) -> Iterator[tuple[int, Value]]:
    """(field number, value) of one message; a value is a number, or where its bytes lie.

    Raises `ValueError` for bytes that are not protobuf or end too early.
    """
    while start < end:
        tag, start = _varint(data, start, end)
        number, wire = tag >> 3, tag & 7
        value: Value
        if wire == 0:
            value, start = _varint(data, start, end)
        elif wire in (1, 2, 5):  # eight bytes, a length and its bytes, four bytes
            length = {1: 8, 5: 4}.get(wire)
            if length is None:
                length, start = _varint(data, start, end)
            value, start = (start, start + length), start + length
        else:
            raise ValueError(f"not an ONNX file: protobuf wire type {wire}")
        if start > end:
            raise ValueError("the file is cut short")
        yield number, value


def _varint(data: memoryview, start: int, end: int) -> tuple[int, int]:
    """A base-128 number and where it ends, https://protobuf.dev/programming-guides/encoding"""
    number = shift = 0
    while start < end and shift < 64:
        byte = data[start]
        number |= (byte & 0x7F) << shift
        start, shift = start + 1, shift + 7
        if byte < 0x80:
            return number, start
    raise ValueError("the file is cut short")
