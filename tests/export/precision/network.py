"""A small network in OpenVINO whose operations are called as the exporter calls them, and looks inside of models."""

import numpy as np
import openvino
import openvino.opset13 as op

from pvt_edge.runtimes.openvino import openvino_core

HEIGHT, WIDTH, CHANNELS, HIDDEN, CLASSES = 64, 96, 8, 16, 5
BLOCK = "stages.0.blocks.0"
BLOCKS = [
    "stages.0.patch_embed",
    *(f"{BLOCK}.attn.{name}" for name in ("q", "k", "products", "v", "proj")),
    *(f"{BLOCK}.mlp.{name}" for name in ("fc1", "dwconv", "fc2")),
    "head",
]


def network(batch: int = 1, sharpness: float = 1.0) -> openvino.Model:
    """(B, 64, 96, 3) uint8 -> logits (B, 5): one transformer block on a map of 4x6, weights random.

    `sharpness` scales the logits, not how far apart pictures are.
    """
    rng = np.random.default_rng(0)

    def weight(*shape: int, fan: int) -> openvino.Node:
        return op.constant((rng.uniform(-1, 1, shape) * (3 / fan) ** 0.5).astype(np.float32))

    def named(node: openvino.Node, name: str) -> openvino.Node:
        """`node` with a bias; both called as OpenVINO calls them when it reads ONNX."""
        node.set_friendly_name(f"{name}/WithoutBiases")
        bias = op.constant(rng.uniform(-0.3, 0.3, (1, node.get_output_shape(0)[1], 1, 1)).astype(np.float32))
        total = op.add(node, bias)
        total.set_friendly_name(name)
        return total

    def linear(x: openvino.Node, channels: int, name: str) -> openvino.Node:
        fan = x.get_output_shape(0)[1]
        kernel = weight(channels, fan, 1, 1, fan=fan)
        return named(op.convolution(x, kernel, [1, 1], [0, 0], [0, 0], [1, 1]), f"{BLOCK}.{name}#0")

    def product(a: openvino.Node, b: openvino.Node, number: int) -> openvino.Node:
        node = op.matmul(a, b, False, False)
        node.set_friendly_name(f"{BLOCK}.attn.products#{number}")
        return node

    images = op.parameter([batch, HEIGHT, WIDTH, 3], np.uint8, "images")
    images.output(0).set_names({"images"})
    pixels = op.multiply(op.subtract(op.convert(images, np.float32), np.float32(128)), np.float32(1 / 64))
    pixels = op.transpose(pixels, [0, 3, 1, 2])
    kernel = weight(CHANNELS, 3, 7, 7, fan=3 * 49)
    x = named(op.convolution(pixels, kernel, [16, 16], [3, 3], [3, 3], [1, 1]), "stages.0.patch_embed#0")
    q, k, v = (op.reshape(linear(x, CHANNELS, f"attn.{name}"), [batch, CHANNELS, 24], False) for name in "qkv")
    scores = op.softmax(product(op.transpose(q, [0, 2, 1]), k, 0), 2)
    mixed = op.transpose(product(scores, op.transpose(v, [0, 2, 1]), 1), [0, 2, 1])
    x = op.add(x, linear(op.reshape(mixed, [batch, CHANNELS, 4, 6], False), CHANNELS, "attn.proj"))
    hidden = linear(x, HIDDEN, "mlp.fc1")
    depthwise = op.group_convolution(hidden, weight(HIDDEN, 1, 1, 3, 3, fan=9), [1, 1], [1, 1], [1, 1], [1, 1])
    x = op.add(x, linear(op.gelu(named(depthwise, f"{BLOCK}.mlp.dwconv#0"), "erf"), CHANNELS, "mlp.fc2"))
    mean = op.reduce_mean(op.relu(x), [2, 3], False)
    head = op.matmul(mean, weight(CLASSES, CHANNELS, fan=CHANNELS), False, True)
    head.set_friendly_name("head#0/WithoutBiases")
    logits = op.add(head, op.constant(rng.uniform(-0.3, 0.3, (1, CLASSES)).astype(np.float32)))
    logits.set_friendly_name("head#0")
    logits = op.multiply(logits, np.float32(sharpness))
    logits.output(0).set_names({"logits"})
    return openvino.Model([logits], [images], "network")


def compiled(model: openvino.Model) -> openvino.CompiledModel:
    """`model` on the CPU, what is float in it in float32."""
    return openvino_core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


def answers(model: openvino.Model, picture: np.ndarray) -> list[np.ndarray]:
    """Every output for one input."""
    results = compiled(model)(picture)
    return [np.array(results[i]) for i in range(len(model.outputs))]


def values_at(model: openvino.Model, names: list[str], picture: np.ndarray) -> list[np.ndarray]:
    """What the operations of these names compute."""
    copy = model.clone()
    ops = {node.get_friendly_name(): node for node in copy.get_ops()}
    return answers(openvino.Model([ops[name].output(0) for name in names], copy.get_parameters(), "probe"), picture)


def runtime_layers(model: openvino.Model) -> list[tuple[str, str, list[str]]]:
    """(kind, type it runs in, names of the operations in it) of every layer as compiled."""
    told = [node.get_rt_info() for node in compiled(model).get_runtime_model().get_ops()]
    keys = ("layerType", "runtimePrecision", "originalLayersNames")
    rows = [[info[key].astype(str) for key in keys] for info in told]
    return [(kind, precision, names.split(",")) for kind, precision, names in rows]
