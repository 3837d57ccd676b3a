"""The precision of an ONNX file, read from the protobuf: ONNX Runtime does not tell, onnx may be absent."""

import mmap
from collections.abc import Iterator
from pathlib import Path

# Field numbers and data types of onnx.proto3, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3
_MODEL_GRAPH, _GRAPH_NODE, _GRAPH_INITIALIZER, _NODE_OP_TYPE, _TENSOR_DATA_TYPE = 7, 1, 5, 4, 2
_FLOAT16, _BFLOAT16 = 10, 16
_QUANTIZED_OPS = frozenset(
    b"QuantizeLinear DynamicQuantizeLinear QLinearConv QLinearMatMul ConvInteger MatMulInteger".split()
)


def onnx_precision(path: Path) -> str:
    """ "int8" for a graph that quantises activations, else "fp16" or "bf16" by its weights, else "fp32".

    Raises `ValueError` for a file that is not protobuf and `OSError` for one that cannot be read.
    """
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        memoryview(mapped) as model,
    ):
        ops, types = _graph_content(model)
    if ops & _QUANTIZED_OPS:
        return "int8"
    return "fp16" if _FLOAT16 in types else "bf16" if _BFLOAT16 in types else "fp32"


def _graph_content(model: memoryview) -> tuple[set[bytes], set[int]]:
    """The op types of the main graph and the data types of its initializers."""
    ops: set[bytes] = set()
    types: set[int] = set()
    for field, graph_at in _fields(model, 0, len(model)):
        if field != _MODEL_GRAPH or isinstance(graph_at, int):
            continue
        for kind, part_at in _fields(model, *graph_at):
            if kind not in (_GRAPH_NODE, _GRAPH_INITIALIZER) or isinstance(part_at, int):
                continue
            for number, value in _fields(model, *part_at):
                if kind == _GRAPH_NODE and number == _NODE_OP_TYPE and not isinstance(value, int):
                    ops.add(bytes(model[slice(*value)]))
                elif kind == _GRAPH_INITIALIZER and number == _TENSOR_DATA_TYPE and isinstance(value, int):
                    types.add(value)
    return ops, types


def _fields(data: memoryview, start: int, end: int) -> Iterator[tuple[int, int | tuple[int, int]]]:
    """(field number, value) of one message; a value is a number, or the (start, end) of its bytes."""
    while start < end:
        tag, start = _varint(data, start, end)
        number, wire = tag >> 3, tag & 7
        value: int | tuple[int, int]
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
