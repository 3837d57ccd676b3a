"""What mmdet's configuration in a checkpoint tells of pictures: normalisation, channel order, resize."""

from collections.abc import Iterator, Mapping
from typing import Any

from pvt_edge.checkpoints.picture_options import PictureOptions, positive, said_by, triple
from pvt_edge.checkpoints.preprocessing import Preprocessing
from pvt_edge.checkpoints.python_config import read_config


def read_mmdet(extras: Mapping[str, Any], source: str) -> PictureOptions | None:
    """What the configuration under `meta` tells; None where there is none, or nothing of pictures in it."""
    meta = extras.get("meta")
    config = read_config(meta) if isinstance(meta, Mapping) else None
    if not config:
        return None
    model = config.get("model")
    steps = list(_steps(config))
    unclear: dict[str, str] = {}
    said: dict[str, Any] = {}
    normalise, swaps = _normalisation(config, model if isinstance(model, Mapping) else {}, steps)
    if "mean" in normalise and "std" in normalise:
        try:
            said["mean"], said["std"] = triple(normalise["mean"]), positive(triple(normalise["std"]))
            said["channel_order"] = "RGB" if swaps else "BGR"
        except (TypeError, ValueError) as error:
            for name in ("mean", "std"):
                unclear[name] = f"{source} notes a {name} that makes no sense ({error})"
    resizes = [step for step in steps if step.get("type") == "Resize"]
    if resizes and not resizes[-1].get("keep_ratio", len(resizes[-1]) == 1):
        said["resize"] = "stretch"
    preprocessing = Preprocessing(**said)
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
