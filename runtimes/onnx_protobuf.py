"""Messages of an ONNX file, read from its bytes: what runs it does not tell all, and onnx may be absent."""

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MODEL_GRAPH = 7  # field number of onnx.proto3, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3

Span = tuple[int, int]  # where the bytes of a message start and end in the file
Value = int | Span


@contextmanager
def mapped(path: Path) -> Iterator[memoryview]:
    """The bytes of the file, which are not read before they are looked at.

    Raises `ValueError` for an empty file and `OSError` for one that cannot be read.
    """
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        memoryview(content) as model,
    ):
        yield model


def graph_fields(model: memoryview) -> Iterator[tuple[int, Value]]:
    """(field number, value) of all that the model's main graph holds. Raises `ValueError` as `fields` does."""
    for field, graph_at in fields(model, 0, len(model)):
        if field == _MODEL_GRAPH and not isinstance(graph_at, int):
            yield from fields(model, *graph_at)


def fields(data: memoryview, start: int, end: int) -> Iterator[tuple[int, Value]]:
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


def text(data: memoryview, at: Value) -> str:
    """The string that lies there."""
    return str(data[slice(*at)], "utf-8") if not isinstance(at, int) else ""


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
