"""What mmdet's configuration in a checkpoint tells of pictures and classes.

The configuration that OpenMMLab's tools note is read as data: nothing of it is run.
"""

import ast
import json
from collections.abc import Iterator, Mapping
from typing import Any

from pvt_edge.checkpoints.preprocessing import PictureOptions, positive, said_by, triple
from pvt_edge.options.preprocessing import Preprocessing

_UNKNOWN: Any = object()  # in place of what is no literal


def read_config(meta: Mapping[str, Any]) -> dict[str, Any] | None:
    """The configuration under `cfg` or `config` of a checkpoint's `meta`; None where there is none that can be read.

    It is a mapping, or the text of one in JSON or in Python: assignments of literals and of `dict(...)`. What is
    neither is left out.
    """
    given = meta.get("cfg", meta.get("config"))
    if isinstance(given, Mapping):
        return dict(given)
    if not isinstance(given, str):
        return None
    for text in (given, given.partition("\n")[2]):  # old mmcv writes the file's path on a first line
        if config := _from_json(text) or _from_python(text):
            return config
    return None


def _from_json(text: str) -> dict[str, Any] | None:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _from_python(text: str) -> dict[str, Any] | None:
    try:
        statements = ast.parse(text).body
        values = {
            statement.targets[0].id: _value(statement.value)
            for statement in statements
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
        }
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return {name: value for name, value in values.items() if value is not _UNKNOWN}


def _value(node: ast.expr) -> Any:
    """What a literal says, or a call of `dict` with keywords; without those of its items that are something else."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict" and not node.args:
        items = {keyword.arg: _value(keyword.value) for keyword in node.keywords if keyword.arg}
        return {key: value for key, value in items.items() if value is not _UNKNOWN}
    if isinstance(node, ast.Dict):
        pairs = [(_value(key), _value(value)) for key, value in zip(node.keys, node.values, strict=True) if key]
        return {k: v for k, v in pairs if isinstance(k, str | int) and v is not _UNKNOWN}
    if isinstance(node, ast.List | ast.Tuple):
        return [value for value in map(_value, node.elts) if value is not _UNKNOWN]
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return _UNKNOWN


def mmdet_classes(extras: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The class names that mmdet and mmengine note in a file's meta."""
    meta = extras.get("meta")
    if not isinstance(meta, Mapping):
        return None
    inner = meta.get("dataset_meta")
    for place in (inner if isinstance(inner, Mapping) else {}, meta):
        for key in ("classes", "CLASSES"):
            names = place.get(key)
            if names and isinstance(names, str | list | tuple):
                return (names,) if isinstance(names, str) else tuple(str(name) for name in names)
    return None


def read_mmdet(extras: Mapping[str, Any], source: str) -> PictureOptions | None:
    """What the configuration under `meta` tells; None where there is none, or nothing of pictures in it."""
    meta = extras.get("meta")
    config = read_config(meta) if isinstance(meta, Mapping) else None
    if not config:
        return None
    model = config.get("model")
    steps = list(_steps(config))
    unclear: dict[str, str] = {}
    values: dict[str, Any] = {}
    normalise, swaps = _normalisation(config, model if isinstance(model, Mapping) else {}, steps)
    if "mean" in normalise and "std" in normalise:
        try:
            values["mean"], values["std"] = triple(normalise["mean"]), positive(triple(normalise["std"]))
            values["channel_order"] = "RGB" if swaps else "BGR"
        except (TypeError, ValueError) as error:
            for name in ("mean", "std"):
                unclear[name] = f"{source} notes a {name} that makes no sense ({error})"
    resizes = [step for step in steps if step.get("type") == "Resize"]
    if resizes and not resizes[-1].get("keep_ratio", len(resizes[-1]) == 1):
        values["resize"] = "stretch"
    preprocessing = Preprocessing(**values)
    taken = said_by(preprocessing, source)
    scale = resizes[-1].get("scale", resizes[-1].get("img_scale")) if resizes else None
    scale = scale or next((step["img_scale"] for step in steps if "img_scale" in step), None)
    if scale and taken:
        taken = (*taken, f"tested at a scale of {scale}: give the size to run at with --imgsz (imgsz in Python)")
    return PictureOptions(preprocessing, taken=taken, unclear=unclear) if taken or unclear else None


def _normalisation(
    config: Mapping[str, Any], model: Mapping[str, Any], steps: list[Mapping[str, Any]]
) -> tuple[Mapping[str, Any], bool]:
    """Where mean and std stand, and whether the model takes RGB: mmdet 3's preprocessor, or mmdet 2's pipeline step."""
    for place in (model.get("data_preprocessor"), config.get("data_preprocessor")):
        if isinstance(place, Mapping) and place.get("mean") is not None:
            return place, bool(place.get("bgr_to_rgb", place.get("to_rgb", False)))
    for place in (*(step for step in steps if step.get("type") == "Normalize"), config.get("img_norm_cfg")):
        if isinstance(place, Mapping) and place.get("mean") is not None:
            return place, bool(place.get("to_rgb", True))
    return {}, True


def _steps(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The steps of the test pipeline, and those within them."""
    pipeline = config.get("test_pipeline")
    for key in (("data", "test", "pipeline"), ("test_dataloader", "dataset", "pipeline")):
        place: Any = config
        for name in key:
            place = place.get(name) if isinstance(place, Mapping) else None
        pipeline = pipeline or place
    waiting = list(pipeline) if isinstance(pipeline, list | tuple) else []
    while waiting:
        step = waiting.pop(0)
        if isinstance(step, Mapping):
            yield step
            inner = step.get("transforms")
            waiting[:0] = list(inner) if isinstance(inner, list | tuple) else []
