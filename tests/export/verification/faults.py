"""Faults planted in a copy of a bundle: its ONNX graphs or model.json edited, hashes refreshed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from pvt_edge.bundle.contents import record_of

Plant = Callable[[onnx.ModelProto], None]


def copy_bundle(bundle: Path, out: Path, *files: str) -> Path:
    """A copy with only those artifacts, all where none is named: most faults are in one."""
    shutil.copytree(bundle, out)
    if files:
        content = json.loads((out / "model.json").read_text())
        content["artifacts"] = [row for row in content["artifacts"] if row["file"] in files]
        (out / "model.json").write_text(json.dumps(content))
    return out


def plant(bundle: Path, file: str, fault: Plant) -> Path:
    """The bundle, after `fault` changed its ONNX file."""
    model = onnx.load(bundle / file)
    fault(model)
    onnx.checker.check_model(model)
    onnx.save(model, str(bundle / file))
    return refresh(bundle)


def refresh(bundle: Path) -> Path:
    """The bundle, its model.json telling the hashes of what is there."""
    content = json.loads((bundle / "model.json").read_text())
    for artifact in content["artifacts"]:
        for row in (artifact, *artifact["companions"]):
            row.update(record_of(bundle, row["file"]).model_dump())
    (bundle / "model.json").write_text(json.dumps(content))
    return bundle


def edit_manifest(bundle: Path, **changes: object) -> Path:
    """The bundle, with other values in model.json: resize={"mode": "stretch"}."""
    content = json.loads((bundle / "model.json").read_text())
    for key, value in changes.items():
        content[key] = {**content[key], **value} if isinstance(value, dict) else value
    (bundle / "model.json").write_text(json.dumps(content))
    return bundle


def set_tensor(model: onnx.ModelProto, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    for tensor in model.graph.initializer:
        if tensor.name == name:
            values = np.ascontiguousarray(change(numpy_helper.to_array(tensor)))
            tensor.CopyFrom(numpy_helper.from_array(values, name))
            return
    raise AssertionError(f"no tensor {name}")


def _end_with(model: onnx.ModelProto, ending: str) -> str:
    (name,) = [tensor.name for tensor in model.graph.initializer if tensor.name.endswith(ending)]
    return name


def swap_colours(model: onnx.ModelProto) -> None:
    """What feeding RGB in place of BGR does: the channels go in the other way round."""
    cast = model.graph.node[0]
    assert cast.op_type == "Cast"
    order = numpy_helper.from_array(np.array([2, 1, 0], np.int64), "swapped")
    model.graph.initializer.append(order)
    (output,) = cast.output
    cast.output[0] = "unswapped"
    model.graph.node.insert(1, helper.make_node("Gather", ["unswapped", "swapped"], [output], axis=-1))


def reverse_mean(model: onnx.ModelProto) -> None:
    """The mean of RGB on BGR pixels: 20 grey levels off in two channels."""
    set_tensor(model, "mean_row", lambda row: row.reshape(-1, 3)[:, ::-1].reshape(row.shape))


def grey_mean(model: onnx.ModelProto) -> None:
    """127.5 in place of ImageNet's mean."""
    set_tensor(model, "mean_row", lambda row: np.full_like(row, 127.5))


def transpose(weight: str) -> Plant:
    """A weight (C, C, ...) the other way round, which fits as well."""

    def change(model: onnx.ModelProto) -> None:
        set_tensor(model, _end_with(model, f"{weight}.weight"), lambda values: values.swapaxes(0, 1))

    return change


def drop_bias(layer: str) -> Plant:
    def change(model: onnx.ModelProto) -> None:
        set_tensor(model, _end_with(model, f"{layer}.bias"), np.zeros_like)

    return change


def shift_picture(pixels: int) -> Plant:
    """The picture that many pixels further right and down than the boxes are told for."""

    def change(model: onnx.ModelProto) -> None:
        cast = model.graph.node[0]
        pads = np.array([0, pixels, pixels, 0, 0, -pixels, -pixels, 0], np.int64)
        model.graph.initializer.append(numpy_helper.from_array(pads, "shift"))
        (output,) = cast.output
        cast.output[0] = "unshifted"
        model.graph.node.insert(1, helper.make_node("Pad", ["unshifted", "shift"], [output], mode="edge"))

    return change


def saturate(number: int) -> Plant:
    """One quantised layer whose values all clip: its quantiser's scale a thousandth."""

    def change(model: onnx.ModelProto) -> None:
        scales = [node.input[1] for node in model.graph.node if node.op_type == "QuantizeLinear"]
        set_tensor(model, scales[number], lambda scale: (scale / 1000).astype(scale.dtype))

    return change


def poison(name_ending: str) -> Plant:
    """NaN in a tensor."""

    def change(model: onnx.ModelProto) -> None:
        set_tensor(model, _end_with(model, name_ending), lambda values: np.full_like(values, np.nan))

    return change


def map_labels(*ids: int) -> Plant:
    """Class i is called ids[i]."""

    def change(model: onnx.ModelProto) -> None:
        model.graph.initializer.append(numpy_helper.from_array(np.array(ids, np.int64), "ids"))
        model.graph.node.append(helper.make_node("Gather", ["ids", _set_aside(model, "labels")], ["labels"], axis=0))

    return change


def map_classes(*ids: int) -> Plant:
    """A segmenter's class i is called ids[i]."""

    def change(model: onnx.ModelProto) -> None:
        model.graph.initializer.append(numpy_helper.from_array(np.array(ids, np.uint8), "ids"))
        whole = helper.make_node("Cast", [_set_aside(model, "mask")], ["mask_whole"], to=onnx.TensorProto.INT64)
        model.graph.node.extend([whole, helper.make_node("Gather", ["ids", "mask_whole"], ["mask"], axis=0)])

    return change


def cut_output(output: str, axis: int, count: int) -> Plant:
    """Only the first `count` of that axis."""

    def change(model: onnx.ModelProto) -> None:
        model.graph.initializer.append(numpy_helper.from_array(np.arange(count), "kept"))
        model.graph.node.append(helper.make_node("Gather", [_set_aside(model, output), "kept"], [output], axis=axis))
        (told,) = [row for row in model.graph.output if row.name == output]
        told.type.tensor_type.shape.dim[axis].dim_value = count

    return change


def move_boxes(*pixels: float) -> Plant:
    """The boxes of class i lie pixels[i] further right and down."""

    def change(model: onnx.ModelProto) -> None:
        table = np.array(pixels, np.float32)[:, None]
        model.graph.initializer.append(numpy_helper.from_array(table, "moves"))
        model.graph.node.append(helper.make_node("Gather", ["moves", "labels"], ["moved_by"], axis=0))
        model.graph.node.append(helper.make_node("Add", [_set_aside(model, "boxes"), "moved_by"], ["boxes"]))

    return change


def _set_aside(model: onnx.ModelProto, output: str) -> str:
    """The new name of what the graph gave as that output."""
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [f"{output}_before" if name == output else name for name in names]
    return f"{output}_before"
