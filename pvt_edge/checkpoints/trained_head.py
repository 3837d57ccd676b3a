"""What a checkpoint's configuration says of its detection head: anchors, box coder, pyramid, thresholds.

mmdet keeps none of this in tensors, so that a file of other anchors would load and find other boxes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pvt_edge.bundle.schema import PostprocessSpec
from pvt_edge.checkpoints.mmdet_config import read_config
from pvt_edge.checkpoints.weight_files import refuse
from pvt_edge.models.retinanet import ANCHORS, HeadConfig

# Where another value makes another network of the same tensors, the only value that ours computes.
_ONLY: dict[str, dict[str, Any]] = {
    "neck": {"type": "FPN", "add_extra_convs": "on_input", "relu_before_extra_convs": False, "act_cfg": None},
    "neck.upsample_cfg": {"mode": "nearest"},
    "bbox_head.loss_cls": {"use_sigmoid": True},
    "bbox_head.anchor_generator": {"type": "AnchorGenerator", "scale_major": True, "centers": None},
    "bbox_head.bbox_coder": {"type": "DeltaXYWHBBoxCoder", "add_ctr_clamp": False, "wh_ratio_clip": 16 / 1000},
}
_ONLY_SEGMENTER: dict[str, tuple[Any, ...]] = {
    "type": ("FPNHead", "UPerHead", "FCNHead"),
    "align_corners": (False,),
    "pool_scales": ((1, 2, 3, 6), [1, 2, 3, 6]),
    "input_transform": ("multiple_select", None, "resize_concat"),
}
THRESHOLDS = "thresholds"  # the key of a file of our own
_SCORE_THR = 0.05  # mmdet's, for AP: no threshold to show boxes by
_MOST_SCALES = 100  # an octave


@dataclass(frozen=True)
class TrainedHead:
    """How a file's head is to be read.

    `anchors` are fields of `HeadConfig`; `means` and `stds` (4,) those of the box coder; `thresholds` fields of
    `PostprocessSpec`; `notes` what the user should know.
    """

    anchors: Mapping[str, Any] = field(default_factory=dict)
    means: tuple[float, ...] = (0.0,) * 4
    stds: tuple[float, ...] = (1.0,) * 4
    thresholds: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def scales_boxes(self) -> bool:
        """Whether the box coder has means or stds of its own."""
        return self.means != (0.0,) * 4 or self.stds != (1.0,) * 4

    def config(self, base: HeadConfig) -> HeadConfig:
        """`base` with the file's anchors; `base` itself where they are its own."""
        own = {"scales"} if self.anchors.get("scales") == base.anchor_scales else set()
        if base.pre_nms != HeadConfig.pre_nms:  # the caller's choice, and nothing that was trained
            own.add("pre_nms")
        return replace(base, **{key: value for key, value in self.anchors.items() if key not in own})

    def describe(self, config: HeadConfig) -> tuple[str, ...]:
        """What is not RetinaNet's own about a head of that `config`, and the notes."""
        found = list(self.notes)
        if any(getattr(config, key) != getattr(HeadConfig(), key) for key in self.anchors):
            sides = ", ".join(f"{scale:g}" for scale in config.anchor_scales)
            found.append(f"anchors of the file's configuration: scales {sides}, ratios {config.ratios}")
        if self.scales_boxes:
            found.append(f"box deltas scaled by the file's stds {self.stds} and means {self.means}")
        if self.thresholds:
            found.append(
                "thresholds that it was judged at: " + ", ".join(f"{k} {v:g}" for k, v in self.thresholds.items())
            )
        return tuple(found)


def read_trained_head(extras: Mapping[str, Any], path: Path) -> TrainedHead:
    """The head that the configuration in `extras` tells of; RetinaNet's own where there is none.

    Raises `WeightsError` for one that makes another network of the same tensors than ours.
    """
    meta = extras.get("meta")
    if not isinstance(meta, Mapping) or not ({"cfg", "config"} & meta.keys()):
        return TrainedHead()
    config = read_config(meta)
    model = config.get("model") if config else None
    if not isinstance(model, Mapping) or not isinstance(model.get("bbox_head"), Mapping):
        note = f"{path.name} notes a configuration that cannot be read: anchors are taken to be RetinaNet's own"
        return TrainedHead(notes=(note,))
    for where, only in _ONLY.items():
        given = _at(model, where)
        for key, value in only.items():
            if key in given and given[key] != value and not (key == "add_extra_convs" and given[key] is True):
                raise refuse(path, f"its configuration has {where}.{key}={given[key]!r}: only {value!r} is known")
    return _read(model, {**_at(config or {}, "test_cfg"), **_at(model, "test_cfg")}, path)


def read_trained_segmenter(extras: Mapping[str, Any], path: Path) -> TrainedHead:
    """The threshold of one class that the configuration in `extras` tells of.

    Raises `WeightsError` for one that resizes or fuses in another way than ours.
    """
    meta = extras.get("meta")
    config = read_config(meta) if isinstance(meta, Mapping) else None
    head = _at(config or {}, "model.decode_head")
    for key, only in _ONLY_SEGMENTER.items():
        if key in head and head[key] not in only:
            raise refuse(path, f"its configuration has decode_head.{key}={head[key]!r}: only {only[0]!r} is known")
    if head.get("threshold") is None:
        return TrainedHead()
    try:
        return TrainedHead(thresholds=PostprocessSpec(threshold=head["threshold"]).model_dump(include={"threshold"}))
    except ValueError as error:
        raise refuse(
            path, f"its configuration has decode_head.threshold={head['threshold']!r}: 0 to 1 is one"
        ) from error


def read_own_head(metadata: Mapping[str, str], path: Path) -> TrainedHead:
    """The head whose anchors and thresholds `save_weights` has noted; RetinaNet's own where it has not."""
    thresholds = _own_thresholds(metadata.get(THRESHOLDS, "{}"), path)
    text = metadata.get(ANCHORS)
    if text is None:
        return TrainedHead(thresholds=thresholds)
    try:
        noted: dict[str, Any] = json.loads(text)
        found: dict[str, Any] = {
            key: None if noted[key] is None else tuple(float(value) for value in noted[key])
            for key in ("scales", "base_sizes", "ratios")
        }
        found["center_offset"], found["scales_per_octave"] = (
            float(noted["center_offset"]),
            int(noted["scales_per_octave"]),
        )
    except (ValueError, TypeError, KeyError) as error:
        raise refuse(path, f"its metadata say {ANCHORS}={text!r}, which are no anchors") from error
    return TrainedHead(found, thresholds=thresholds)


def _own_thresholds(text: str, path: Path) -> dict[str, Any]:
    """Fields of `PostprocessSpec` as `save_weights` has noted them."""
    try:
        noted = json.loads(text)
        return PostprocessSpec(**noted).model_dump(include=set(noted))
    except (ValueError, TypeError) as error:  # pydantic's is a ValueError
        raise refuse(path, f"its metadata say {THRESHOLDS}={text!r}, which are none") from error


def _read(model: Mapping[str, Any], test: Mapping[str, Any], path: Path) -> TrainedHead:
    anchors, coder = _at(model, "bbox_head.anchor_generator"), _at(model, "bbox_head.bbox_coder")
    try:
        found = _anchors(anchors)
        if "nms_pre" in test:
            found["pre_nms"] = int(test["nms_pre"])
        means = tuple(float(value) for value in coder.get("target_means", (0.0,) * 4))
        stds = tuple(float(value) for value in coder.get("target_stds", (1.0,) * 4))
        if len(means) != 4 or len(stds) != 4:
            raise ValueError("target_means and target_stds need four numbers")
        thresholds = _thresholds(test)
        strides = None if anchors.get("strides") is None else list(anchors["strides"])
    except (TypeError, ValueError, ArithmeticError) as error:
        raise refuse(path, f"its configuration of anchors, box coder or test_cfg makes no sense: {error}") from error
    notes = []
    if (kind := _at(test, "nms").get("type", "nms")) != "nms":
        notes.append(f"trained with {kind}, which is not known: plain NMS takes its place")
    if strides is not None and strides != [8 << level for level in range(len(strides))]:
        raise refuse(path, f"its configuration has anchors of strides {strides}: only 8, 16, 32, ... are known")
    return TrainedHead(found, means, stds, thresholds, tuple(notes))


def _anchors(generator: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `HeadConfig` by mmdet's AnchorGenerator."""
    found: dict[str, Any] = {}
    if "ratios" in generator:
        found["ratios"] = tuple(float(ratio) for ratio in generator["ratios"])
    if generator.get("scales") is not None:
        found["scales"] = tuple(float(scale) for scale in generator["scales"])
    elif "octave_base_scale" in generator or "scales_per_octave" in generator:
        base, count = float(generator.get("octave_base_scale", 4)), int(generator.get("scales_per_octave", 3))
        if count > _MOST_SCALES:
            raise ValueError(f"{count} scales an octave")
        found["scales"] = tuple(base * 2 ** (i / count) for i in range(count))
    if generator.get("base_sizes") is not None:
        found["base_sizes"] = tuple(float(size) for size in generator["base_sizes"])
    if "center_offset" in generator:
        found["center_offset"] = float(generator["center_offset"])
    if any(not value > 0 for key in ("ratios", "scales", "base_sizes") for value in found.get(key, ())):
        raise ValueError(f"anchors need positive sizes, not {found}")
    return found


def _thresholds(test: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `PostprocessSpec` by mmdet's test_cfg."""
    found: dict[str, Any] = {}
    nms = _at(test, "nms")
    overlap = nms.get("iou_threshold", nms.get("iou_thr"))
    if overlap is not None and 0 <= float(overlap) <= 1:
        found["iou"] = float(overlap)
    if int(test.get("max_per_img", 0)) > 0:
        found["max_det"] = int(test["max_per_img"])
    score = float(test.get("score_thr", _SCORE_THR))
    if score != _SCORE_THR and 0 <= score <= 1:
        found["conf"] = score
    return found


def _at(config: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """The mapping at a dotted place; empty where there is none."""
    found: Any = config
    for key in where.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}
