"""The overflow audit: which activations come near the largest number of float16, on real pictures."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pvt_edge.bundle.block_names import block_of
from pvt_edge.export.precision.half import LARGEST, always_float
from pvt_edge.export.precision.record import ActivationRange, OverflowAudit

if TYPE_CHECKING:
    import onnx

    from pvt_edge.export.precision.extremes import Extremes

HEADROOM = 4.0  # pictures in the field go further than those at hand: what is within this factor is pinned


def audit_overflow(model: "onnx.ModelProto", extremes: "Mapping[str, Extremes]", pictures: str) -> OverflowAudit:
    """The range of every activation of `model` that may become float16, and which of them it is not trusted with.

    `extremes` are those of `float_activations`; `pictures` says what they were taken from. Infinite and undefined
    values are pinned too.
    """
    rows = []
    kinds, blocks, outside = _kinds(model), _blocks(model), always_float(model.graph)
    for tensor, found in extremes.items():
        if tensor in outside:
            continue
        safe = found.largest * HEADROOM <= LARGEST  # False for NaN
        rows.append(
            ActivationRange(
                tensor=tensor,
                block=blocks.get(tensor, "input"),
                kind=kinds.get(tensor, "other"),
                lowest=found.lowest,
                highest=found.highest,
                pinned=not safe,
            )
        )
    return OverflowAudit(pictures=pictures, limit=LARGEST, headroom=HEADROOM, ranges=tuple(rows))


def _kinds(model: "onnx.ModelProto") -> dict[str, str]:
    """What a tensor is where half precision is known to break: "norm" and "softmax" are their inputs."""
    from pvt_edge.export.precision.extremes import source_of

    sources = source_of(model)
    kinds: dict[str, str] = {}
    for node in model.graph.node:
        if node.op_type == "LayerNormalization":
            kinds.setdefault(sources.get(node.input[0], node.input[0]), "norm")
        elif node.op_type == "Softmax":
            kinds[sources.get(node.input[0], node.input[0])] = "softmax"
        elif node.op_type == "Add":
            kinds[node.output[0]] = "residual"
        elif block_of(node.name).endswith(".attn.sr"):
            kinds[node.output[0]] = "reduction"
    return kinds


def _blocks(model: "onnx.ModelProto") -> dict[str, str]:
    """The block that computed a tensor, or for operations between blocks the last one before."""
    blocks: dict[str, str] = {}
    for node in model.graph.node:
        known = [blocks[name] for name in node.input if name in blocks]
        block = block_of(node.name) if "#" in node.name else (known[-1] if known else "input")
        blocks.update(dict.fromkeys(node.output, block))
    return blocks
