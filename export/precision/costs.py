"""Time of each block and of each kind of layer, by the runtime's own counters."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from pvt_edge.bundle.block_names import block_of
from pvt_edge.export.precision.record import LayerGroup

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
