"""A segmenter made by hand: the class of a pixel is its blue value, 64 grey levels a class."""

from pathlib import Path

import cv2
import numpy as np

from pvt_edge.bundle.schema import InputSpec, Manifest, Provenance, ResizeSpec
from pvt_edge.bundle.writer import BundleWriter

NAMES = ("background", "RBC", "WBC", "Platelets")
HW = (64, 96)
STEP = 64  # grey levels


def model(batch=1, wrong=None, dtype="UINT8", logits=False):
    """The ONNX graph; `wrong` is what a faulty one does: it takes the red channel, gives class 3 never, or everywhere
    class 0, or shifts its answer two pixels to the right."""
    from onnx import TensorProto, helper, numpy_helper

    constants = {"step": np.array(STEP, np.int32), "channel": np.array(2 if wrong == "channel" else 0, np.int64)}
    nodes = [
        helper.make_node("Gather", ["images", "channel"], ["blue"], axis=3),
        helper.make_node("Cast", ["blue"], ["whole"], to=TensorProto.INT32),
        helper.make_node("Div", ["whole", "step"], ["ids"]),
    ]
    last = "ids"
    if wrong == "no platelets":
        constants["most"] = np.array(3, np.int32)
        constants["zero"] = np.array(0, np.int32)
        nodes += [
            helper.make_node("Less", ["ids", "most"], ["fewer"]),
            helper.make_node("Where", ["fewer", "ids", "zero"], ["without"]),
        ]
        last = "without"
    elif wrong == "nothing":
        constants["zero"] = np.array(0, np.int32)
        nodes.append(helper.make_node("Mul", ["ids", "zero"], ["none"]))
        last = "none"
    elif wrong == "shifted":
        constants["pads"] = np.array([0, 0, 2, 0, 0, -2], np.int64)
        nodes.append(helper.make_node("Pad", ["ids", "pads"], ["moved"]))
        last = "moved"
    elif wrong == "beyond":
        constants["more"] = np.array(9, np.int32)
        nodes.append(helper.make_node("Add", ["ids", "more"], ["higher"]))
        last = "higher"
    kind = getattr(TensorProto, dtype)
    nodes.append(helper.make_node("Cast", [last], ["mask"], to=kind))
    outputs = [helper.make_tensor_value_info("mask", kind, [batch, *HW])]
    if logits:
        constants |= {"depth": np.array(len(NAMES), np.int32), "off_on": np.array([0, 1], np.float32)}
        nodes += [
            helper.make_node("OneHot", [last, "depth", "off_on"], ["each"], axis=1),
            helper.make_node("AveragePool", ["each"], ["logits"], kernel_shape=[4, 4], strides=[4, 4]),
        ]
        shape = [batch, len(NAMES), HW[0] // 4, HW[1] // 4]
        outputs.append(helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape))
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, [batch, *HW, 3])
    held = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "blue", [images], outputs, held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def write_bundle(
    folder: Path, others=(), *, batch=1, resize="letterbox", labels=NAMES, task="segment", fp32=None, **options
) -> Path:
    """A bundle of an ONNX Runtime artifact in fp32, and `others`, {precision: what is wrong with it}."""
    import onnx

    spec = {"input": InputSpec(height=HW[0], width=HW[1], batch=batch), "resize": ResizeSpec(mode=resize)}
    made = Provenance(pvt_edge="0", created="now", weights="none", versions={}, machine="here")
    with BundleWriter(folder) as writer:
        artifacts = []
        for precision, wrong in {"fp32": fp32, **dict(others)}.items():
            file = f"model.{precision}.onnx"
            onnx.save(model(batch, wrong, **options), writer.path(file))
            artifacts.append(writer.artifact("onnxruntime", precision, file))
        kind = options.get("dtype", "UINT8").lower()
        outputs = [{"name": "mask", "dtype": kind, "shape": (batch, *HW)}]
        if options.get("logits"):
            shape = (batch, len(NAMES), HW[0] // 4, HW[1] // 4)
            outputs.append({"name": "logits", "dtype": "float32", "shape": shape})
        plain = {"variant": "b0", "task": task, "labels": labels, "outputs": outputs, "provenance": made}
        writer.finish(Manifest.model_validate({**plain, **spec, "artifacts": artifacts}))
    return folder


def picture(ids) -> np.ndarray:
    """The picture (H, W, 3) that the model answers with these class ids."""
    image = np.full((*np.shape(ids), 3), 30, np.uint8)
    image[..., 0] = np.asarray(ids) * STEP + STEP // 2
    return image


def blobs(hw=HW, seed=0, cell=8) -> np.ndarray:
    """Class ids (H, W) in squares of `cell` pixels, mostly background."""
    small = np.random.default_rng(seed).choice(4, p=(0.6, 0.2, 0.15, 0.05), size=(-(-hw[0] // cell), -(-hw[1] // cell)))
    return np.kron(small, np.ones((cell, cell), int))[: hw[0], : hw[1]].astype(np.uint8)


def write_data(folder: Path, count=3, hw=HW) -> Path:
    """Pictures that the model answers rightly, their masks and the table of classes."""
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        ids = blobs(hw, number)
        cv2.imwrite(str(folder / "images" / f"{number}.png"), picture(ids))
        cv2.imwrite(str(folder / "masks" / f"{number}.png"), ids)
    (folder / "classes.txt").write_text("\n".join(NAMES))
    return folder
