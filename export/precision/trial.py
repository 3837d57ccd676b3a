"""A placement compiled for this machine: run it, time it, and ask the runtime's own counters where the time goes."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pvt_edge.bundle.block_names import block_of
from pvt_edge.export.precision.record import Latency, LayerGroup
from pvt_edge.runtimes.openvino import openvino_core

if TYPE_CHECKING:
    import openvino
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[Any]]

ROUND = 5  # calls of one run before the next has its turn
LayerTimes = Sequence[tuple[str, str, float]]  # (operations' names, kind and type, ms), as `Trial.layer_ms` gives
BY_KIND = {  # what the runtime calls a layer -> its group
    "GroupConvolution": "depthwise convolution",
    "Convolution": "linear and convolution",
    "FullyConnected": "linear and convolution",
    "FullyConnectedQuantizedLegacy": "linear and convolution",
    "MatMul": "linear and convolution",
    "RMS": "norm",
    "MVN": "norm",
    "TopK": "top-k",
    "Transpose": "moves",
    "Reorder": "moves",
    "Split": "moves",
    "VariadicSplit": "moves",
    "StridedSlice": "moves",
    "Slice": "moves",
    "Concatenation": "moves",
    "Gather": "moves",
    "GatherElements": "moves",
    "Convert": "moves",
}
ATTENTION = ("products#", "softmax", "scaled_dot_product")  # in the names of its fused kernel, ours or another's


def has_bf16() -> bool:
    """Whether OpenVINO runs bfloat16 on this CPU."""
    return "BF16" in openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class Trial:
    """`model` on the CPU; what is float in it runs in float32, or with `bf16` in bfloat16."""

    def __init__(
        self, model: "openvino.Model", *, bf16: bool, counters: bool = False, threads: int | None = None
    ) -> None:
        options: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
            "PERF_COUNT": counters,
            **({} if threads is None else {"INFERENCE_NUM_THREADS": threads}),
        }
        compiled = openvino_core().compile_model(model, "CPU", options)
        self.threads = int(compiled.get_property("INFERENCE_NUM_THREADS"))
        self._request = compiled.create_infer_request()
        shape = compiled.inputs[0].get_partial_shape()
        self.batch = shape[0].get_length() if shape[0].is_static else 1
        self._names = [output.get_any_name() for output in compiled.outputs]
        self._compiled = compiled

    def run(self, picture: "NDArray[np.uint8]") -> "Arrays":
        """Outputs by name, batch axis of 1, for one picture (1, H, W, 3); it fills the whole of a static batch."""
        batch = np.repeat(picture, self.batch, axis=0)
        results = self._request.infer([batch], share_inputs=True, share_outputs=False)
        return {name: results[i][:1] for i, name in enumerate(self._names)}

    def layer_ms(self, picture: "NDArray[np.uint8]", runs: int = 10) -> list[tuple[str, str, float]]:
        """(names of the model's operations in it, kind and type it runs in, median ms) of every layer executed.

        Needs `counters`. Their own cost is in the figures: compare, do not add up.
        """
        times: dict[tuple[str, str], list[float]] = {}
        for run in range(runs + 3):
            self.run(picture)
            for info in self._request.profiling_info:
                if run >= 3:
                    key = info.node_name, f"{info.node_type} {info.exec_type}"
                    times.setdefault(key, []).append(info.real_time.total_seconds() * 1e3)
        ops = self._compiled.get_runtime_model().get_ops()
        originals = {op.get_friendly_name(): op.get_rt_info()["originalLayersNames"].astype(str) for op in ops}
        return [(originals.get(name, ""), kind, float(np.median(values))) for (name, kind), values in times.items()]


def measure(runs: Mapping[str, Callable[[], object]], seconds: float) -> dict[str, Latency]:
    """Latency of every run, in turns of a few calls for about `seconds` in all; the first turn warms up."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    _turn(runs, times)
    for values in times.values():
        values.clear()
    started = time.perf_counter()
    while not all(times.values()) or time.perf_counter() - started < seconds:
        _turn(runs, times)
    return {name: _latency(values) for name, values in times.items()}


def _turn(runs: Mapping[str, Callable[[], object]], times: dict[str, list[float]]) -> None:
    for name, run in runs.items():
        for _ in range(ROUND):
            begun = time.perf_counter()
            run()
            times[name].append((time.perf_counter() - begun) * 1e3)


def _latency(milliseconds: Sequence[float]) -> Latency:
    p50, p90, p99 = (round(float(v), 3) for v in np.percentile(milliseconds, (50, 90, 99)))
    return Latency(p50=p50, p90=p90, p99=p99, inferences=len(milliseconds))


def block_ms(layers: LayerTimes) -> dict[str, float]:
    """Milliseconds of every block: of all executed layers that hold one of its operations."""
    times: defaultdict[str, float] = defaultdict(float)
    for names, _, ms in layers:
        blocks = {block_of(name) for name in names.split(",") if "#" in name}
        for block in blocks:
            times[block] += ms / len(blocks)
    return dict(times)


def group_ms(layers: LayerTimes) -> tuple[dict[str, float], Counter[str]]:
    """Milliseconds and number of executed layers of every group, the costliest first; of any model's layers."""
    times: defaultdict[str, float] = defaultdict(float)
    counts: Counter[str] = Counter()
    for names, kind, ms in layers:
        if ms > 0:  # what the plugin folded away takes none
            group = _group(names, kind)
            times[group] += ms
            counts[group] += 1
    return dict(sorted(times.items(), key=lambda item: -item[1])), counts


def layer_groups(before: LayerTimes, after: LayerTimes) -> tuple[LayerGroup, ...]:
    """Both, group by group, the costliest of `after` first."""
    first, _ = group_ms(before)
    second, counts = group_ms(after)
    return tuple(
        LayerGroup(
            group=group,
            before_ms=round(first.get(group, 0.0), 3),
            after_ms=round(second.get(group, 0.0), 3),
            layers=counts[group],
        )
        for group in dict.fromkeys([*second, *first])
    )


def _group(names: str, kind: str) -> str:
    if any(word in names for word in ATTENTION):
        return "attention"
    return BY_KIND.get(kind.split()[0], "quantise and elementwise")
