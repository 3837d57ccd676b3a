"""What `doctor` asks every runtime: one tiny model that is run once, and the devices there are."""

from typing import Any

from pvt_edge.errors import RuntimeMissingError

Facts = dict[str, Any]  # "version", and "devices": a list of what `device_row` gives

# An ONNX model, y = x @ x of (2, 2) float32, opset 17: what runs it once can run.
TINY_ONNX = (
    b'\x08\x08:@\n\x11\n\x01x\n\x01x\x12\x01y"\x06MatMul\x12\x01gZ\x13\n\x01x\x12\x0e\n\x0c\x08\x01\x12\x08\n\x02\x08'
    b"\x02\n\x02\x08\x02b\x13\n\x01y\x12\x0e\n\x0c\x08\x01\x12\x08\n\x02\x08\x02\n\x02\x08\x02B\x04\n\x00\x10\x11"
)
TINY_INPUT, TINY_OUTPUT = [[1.0, 2.0], [3.0, 4.0]], [[7.0, 10.0], [15.0, 22.0]]


def check_tiny(output: object) -> None:
    """Raise `RuntimeMissingError` unless that is what the tiny model gives for its input."""
    if output != TINY_OUTPUT:
        raise RuntimeMissingError(f"it computes {output} where {TINY_OUTPUT} is right: install it again")


def device_row(name: str, description: object, precisions: list[str]) -> dict[str, Any]:
    """A device that a runtime runs on, and the precisions it takes there."""
    return {"name": name, "description": printable(description), "precisions": precisions}


def printable(text: object) -> str:
    """`text` on one line, control characters gone: libraries say what they like, and terminals obey."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(str(text).split()))
