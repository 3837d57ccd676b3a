"""Time of each block and of each kind of layer, by the runtime's own counters."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from pvt_edge.export.block_names import block_of

LayerTimes = Sequence[tuple[str, str, float]]  # (operations' names, kind and type, ms), as `Trial.layer_ms` gives

GROUPS = (  # kind of layer -> its group, the first that fits
    ("attention products", ("attn.products",)),
    ("depthwise", ("mlp.dwconv",)),
    ("linear", ("attn.q", "attn.k", "attn.v", "attn.proj", "mlp.fc1", "mlp.fc2", "neck.lateral", "embed_norm")),
    ("spatial reduction", ("attn.sr",)),
    ("patch embed", ("patch_embed",)),
    ("neck and head", ("neck.", "head")),
)
BY_KIND = (
    ("norm", ("RMS", "MVN")),
    ("moves", ("Transpose", "Reorder", "Split", "VariadicSplit", "Concatenation", "Convert", "Gather")),
    ("top-k", ("TopK",)),
)


def block_ms(layers: LayerTimes) -> dict[str, float]:
    """Milliseconds of every block: of all executed layers that hold one of its operations."""
    times: defaultdict[str, float] = defaultdict(float)
    for names, _, ms in layers:
        blocks = {block_of(name) for name in names.split(",") if "#" in name}
        for block in blocks:
            times[block] += ms / len(blocks)
    return dict(times)


def group_ms(layers: LayerTimes) -> tuple[dict[str, float], Counter[str]]:
    """Milliseconds and number of executed layers of every group, the costliest first."""
    times: defaultdict[str, float] = defaultdict(float)
    counts: Counter[str] = Counter()
    for names, kind, ms in layers:
        if ms > 0:  # what the plugin folded away takes none
            group = _group(names, kind)
            times[group] += ms
            counts[group] += 1
    return dict(sorted(times.items(), key=lambda item: -item[1])), counts


def _group(names: str, kind: str) -> str:
    for group, kinds in BY_KIND:
        if kind.split()[0] in kinds:
            return group
    for group, blocks in GROUPS:
        if "#" in names and any(block in names for block in blocks):
            return group
    return "quantise and elementwise"
