"""Names of a graph's layers: the block each belongs to, as precision plans and reports spell it.

An operation is called "<block>#<n>", n counting the block's operations ("head.cls.0#2" is the first tower
convolution at the third level). Blocks are named after the model's modules: `stages.0.blocks.1.mlp.fc1`,
`stages.0.patch_embed`, `neck.lateral.0`, `head.cls.0`, `head.cls_out`, `head`; `...attn.products` are the two
matrix products of attention. All other nodes are called "<module>/<operator>": `stages.0.blocks.1.attn/Softmax`,
`stages.0.blocks.1.norm1.norm/LayerNormalization`, `input/Sub`, `decode/TopK`; a second of one name ends in `_1`.
"""

import ast
import re
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

LAYERS = ("Conv", "Gemm", "MatMul")


def block_of(operation: str) -> str:
    """The block of an operation's name: "head.cls.0" of "head.cls.0#2" (and of what runtimes append to it)."""
    return operation.partition("#")[0]


def name_layers(model: "onnx.ModelProto") -> None:
    """Rename the convolutions, linears and attention products of an exported graph after their blocks, in place."""
    weights = {weight.name for weight in model.graph.initializer}
    counts: Counter[str] = Counter()
    attention = ""  # the block whose q, k and v were met last
    for node in model.graph.node:
        if node.op_type not in LAYERS:
            continue
        weight = next((name for name in node.input[1:2] if name in weights), None)
        if weight is not None and weight.endswith(".weight"):
            block = _block_of_weight(weight)
        elif node.op_type == "MatMul" and attention and not weights.intersection(node.input):  # nor a pooling matrix
            block = f"{attention}.products"
        else:
            continue
        if re.fullmatch(r".*\.attn\.[qkv]", block):
            attention = block.rpartition(".")[0]
        node.name = f"{block}#{counts[block]}"
        counts[block] += 1


def modules_of(model: "onnx.ModelProto") -> dict[str, str]:
    """The module that each node of a traced graph was computed in, by the node's name; simplifying forgets it."""
    scopes = {
        node.name: ast.literal_eval(entry.value)
        for node in model.graph.node
        for entry in node.metadata_props
        if entry.key == "pkg.torch.onnx.name_scopes"
    }
    return {name: scope[-2] for name, scope in scopes.items() if len(scope) > 1}


def name_others(model: "onnx.ModelProto", modules: Mapping[str, str]) -> None:
    """Rename what is no layer after the module it is of, in place; `modules` as `modules_of` gave them."""
    counts: Counter[str] = Counter()
    place = "input"  # of nodes without a module: that of the node before
    for node in model.graph.node:
        if "#" in node.name:
            place = block_of(node.name)
            continue
        if node.name in modules:
            place = _block_of_weight(modules[node.name]) or ("input" if not counts["model"] else "output")
        counts["model"] += bool(modules.get(node.name))
        name = f"{place}/{node.op_type}"
        node.name = f"{name}_{counts[name]}" if counts[name] else name
        counts[name] += 1


def _block_of_weight(weight: str) -> str:
    """ "model.backbone.stages.0.blocks.0.attn.sr.conv.weight" -> "stages.0.blocks.0.attn.sr" """
    name = re.sub(r"^model(\.backbone)?(\.|$)|\.weight$", "", weight)
    name = re.sub(r"\.attn\.sr(\.inner)?\.conv\b", ".attn.sr", name).replace("embed_norm.1", "embed_norm")
    name = re.sub(r"^head\.(cls|reg)\.\d+\.(\d+)$", r"head.\1.\2", name)  # a tower's level is no block of its own
    return re.sub(r"^head\.(cls|reg)_out\.\d+$", r"head.\1_out", name)
