"""The layers of an engine as they were built: fused kernels, the types they read and write, what they were made of."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from pvt_edge.bundle.block_names import block_of

BYTES = {"Float": 4, "Half": 2, "BFloat16": 2, "Int8": 1, "UInt8": 1, "FP8": 1, "Int32": 4, "Int64": 8, "Bool": 1}
WAITS = ("signal", "wait")  # between streams: no work
_LAYER = re.compile(
    r"Name: (?P<name>\S+), LayerType: (?P<kind>\w+), Inputs: (?P<inputs>.*?), Constants: (?P<constants>.*?), "
    r"Outputs: (?P<outputs>.*?), TacticName: .*?Metadata:(?P<nodes>.*)"
)
_TENSOR = re.compile(r"Dimensions: \[([\d,]*)\].*?Datatype: (\w+)")
# The words that a kernel's name is made of when it only moves values, or changes their type.
_MOVING = re.compile(r"(?:Cast|Conc|Copy|Max|Min|Move|Mul|Repl|Resh|Roun|Slic|Tran)+")


@dataclass(frozen=True)
class BuiltTensor:
    """What a kernel reads or writes."""

    shape: tuple[int, ...]
    dtype: str  # TensorRT's name: "Half", "Int8", "Float"

    @property
    def bytes(self) -> int:
        """Its size."""
        return prod(self.shape) * BYTES.get(self.dtype, 4)


@dataclass(frozen=True)
class BuiltLayer:
    """One kernel."""

    name: str
    kind: str  # TensorRT's: "gemm", "correlation", "runtime_fusion", "kgen"
    inputs: tuple[BuiltTensor, ...]
    constants: tuple[BuiltTensor, ...]
    outputs: tuple[BuiltTensor, ...]
    nodes: tuple[str, ...]  # of the ONNX file

    @property
    def fused_attention(self) -> bool:
        """Whether it is attention whole: both products and the softmax between."""
        return "mha" in self.name

    @property
    def matrix_product(self) -> bool:
        """Whether it is a linear or a convolution, with what was fused into it."""
        return self.kind in ("gemm", "correlation") or bool(re.match(r"__myl_(Fc|Corr)", self.name))

    @property
    def depthwise(self) -> bool:
        """Whether its product is a depthwise convolution."""
        return self.matrix_product and any(block.endswith(".dwconv") for block in self.blocks)

    @property
    def blocks(self) -> tuple[str, ...]:
        """The blocks whose layers are in it."""
        return tuple(dict.fromkeys(block_of(node) for node in self.nodes if "#" in node))

    @property
    def changes_type_only(self) -> bool:
        """Whether it computes nothing and only turns float16 into INT8 or back."""
        words = re.match(r"__myl_([A-Za-z]+)", self.name)
        types = {tensor.dtype for tensor in (*self.inputs, *self.outputs)}
        return bool(words and _MOVING.fullmatch(words[1])) and {"Half", "Int8"} <= types

    @property
    def bytes(self) -> int:
        """Bytes read and written, weights included: what bounds the small layers of a PVT-v2."""
        return sum(tensor.bytes for tensor in (*self.inputs, *self.constants, *self.outputs))


def read_layers(messages: Sequence[tuple[str, str]]) -> list[BuiltLayer]:
    """The kernels that a build's verbose messages list last, in order; empty where it lists none."""
    starts = [i for i, (_, text) in enumerate(messages) if text.startswith("Layers:")]
    if not starts:
        return []
    text = "\n".join(text for _, text in messages[starts[-1] :])
    found = [_layer(match) for match in _LAYER.finditer(text)]
    return [layer for layer in found if layer.kind not in WAITS]


def _layer(match: re.Match[str]) -> BuiltLayer:
    return BuiltLayer(
        name=match["name"],
        kind=match["kind"],
        inputs=_tensors(match["inputs"]),
        constants=_tensors(match["constants"]),
        outputs=_tensors(match["outputs"]),
        nodes=tuple(re.findall(r"\[ONNX Layer: ([^\]]+)\]", match["nodes"])),
    )


def _tensors(text: str) -> tuple[BuiltTensor, ...]:
    found = _TENSOR.findall(text)
    return tuple(BuiltTensor(tuple(int(n) for n in sizes.split(",") if n), dtype) for sizes, dtype in found)
