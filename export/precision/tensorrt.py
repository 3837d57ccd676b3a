"""The two graphs for TensorRT: strongly typed FP16, and INT8 as Q/DQ in it, both judged before they are kept."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pvt_edge.export.precision.extremes import (
    float_activations,
    layer_ranges,
    observe_extremes,
    outputs_of,
    placeable_blocks,
)
from pvt_edge.export.precision.half import audit_overflow, to_half
from pvt_edge.export.precision.qdq import add_qdq
from pvt_edge.export.precision.recipes import FOR_TENSORRT
from pvt_edge.export.precision.record import BlockSensitivity, GraphTrial, OverflowAudit
from pvt_edge.export.precision.sensitivity import measure_blocks, raise_blocks

if TYPE_CHECKING:
    import numpy as np
    import onnx
    from numpy.typing import NDArray

    from pvt_edge.comparison.difference import Arrays
    from pvt_edge.export.precision.judge import Judge
    from pvt_edge.export.precision.layers import Ranges

TOLD_APART = 1e-9  # of a metric: rounding


@dataclass(frozen=True)
class Placed:
    """An INT8 graph that is worth writing."""

    model: "onnx.ModelProto"
    blocks: frozenset[str]
    trial: GraphTrial


class TensorRtGraphs:
    """FP16 and INT8 of one float32 ONNX file in TensorRT's form, and what was found out on the way.

    `judge` holds the pictures that both are judged by, and the reference where it is not `fp32` itself; `batches` are
    those that ranges are taken from.
    """

    def __init__(
        self,
        fp32: Path,
        judge: "Judge",
        batches: "Sequence[NDArray[np.uint8]]",
        *,
        pictures: str,
        budget: float | None,
    ) -> None:
        import onnx

        self.fp32 = onnx.load(str(fp32))
        self.budget = budget
        self.known = placeable_blocks(self.fp32)
        extremes = observe_extremes(self.fp32, float_activations(self.fp32), batches)
        self.audit: OverflowAudit = audit_overflow(self.fp32, extremes, pictures)
        self.ranges: Ranges = layer_ranges(self.fp32, extremes)
        self.half = to_half(self.fp32, self.audit.pinned)
        reference = judge.reference or tuple(outputs_of(self.fp32, judge.inputs))
        self.judge = replace(judge, reference=reference)
        self.reference_value = self.judge.value(self.judge.reference)
        self.sensitivities: list[BlockSensitivity] = []

    def fp16(self) -> GraphTrial:
        """What FP16 loses."""
        pinned = len(self.audit.pinned)
        words = "float16" + (f", {pinned} tensors pinned to float32" if pinned else "")
        return self._trial("fp16", words, self.half, 0)

    def int8(
        self, given: Collection[str] | None, on_step: Callable[[str], None], *, search: bool = False
    ) -> tuple[list[GraphTrial], Placed | None]:
        """The placements tried, and the best within the budget; where blocks are `given`, only these are tried.

        The recorded ones are tried from the most blocks to the fewest. Where the first does not hold the budget, a
        `search` measures every block alone, which `sensitivities` keeps, and raises as few as do to float instead.
        """
        candidates = [(recipe.name, recipe.words, recipe.blocks(self.known)) for recipe in FOR_TENSORRT]
        if given is not None:
            candidates = [("int8", "the plan that was given", frozenset(given))]
        trials: list[GraphTrial] = []
        first, *lighter = candidates
        placed = self._judge(*first, trials, on_step)
        if placed is None and search and given is None:
            placed = self._raise(first[0], first[2], trials, on_step)
        for candidate in lighter:
            placed = placed or self._judge(*candidate, trials, on_step)
        return trials, placed

    def _judge(
        self, name: str, words: str, blocks: frozenset[str], trials: list[GraphTrial], on_step: Callable[[str], None]
    ) -> Placed | None:
        on_step(f"judging {name} for TensorRT: {len(blocks)} of {len(self.known)} blocks in INT8")
        model = add_qdq(self.half, blocks, self.ranges)
        trials.append(self._trial(name, words, model, len(blocks)))
        return Placed(model, blocks, trials[-1]) if trials[-1].within_budget else None

    def _raise(
        self, name: str, blocks: frozenset[str], trials: list[GraphTrial], on_step: Callable[[str], None]
    ) -> Placed | None:
        """`blocks` with as few raised to float as hold the budget; None where none does."""
        measured = measure_blocks([b for b in self.known if b in blocks], self.judge, self._outputs, on_step)
        self.sensitivities = list(measured)
        found: dict[int, Placed] = {}

        def holds(count: int, rest: frozenset[str]) -> bool:
            words = f"{name} with {count} blocks raised to float"
            placed = self._judge(f"{name} -{count}", words, rest, trials, on_step)
            if placed is not None:
                found[count] = placed
            return placed is not None

        raise_blocks(blocks, self.sensitivities, holds)
        return found[min(found)] if found else None

    def _outputs(self, blocks: Collection[str], pictures: "Sequence[NDArray[np.uint8]]") -> "list[Arrays]":
        return outputs_of(add_qdq(self.half, blocks, self.ranges), pictures)

    def _trial(self, name: str, words: str, model: "onnx.ModelProto", int8_blocks: int) -> GraphTrial:
        value, details = self.judge.judge(outputs_of(model, self.judge.inputs))
        drop = self.reference_value - value
        return GraphTrial(
            name=name,
            words=words,
            int8_blocks=int8_blocks,
            float_blocks=len(self.known) - int8_blocks,
            value=value,
            drop=drop,
            details=details,
            within_budget=self.budget is None or drop <= self.budget + TOLD_APART,
        )
