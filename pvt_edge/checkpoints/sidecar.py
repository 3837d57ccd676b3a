"""What lies beside a file's tensors on the pictures that they were trained with: preprocessing, labels, epsilon."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pvt_edge.checkpoints.hugging_face import PROCESSOR, read_hugging_face
from pvt_edge.checkpoints.mmdet_config import mmdet_classes, read_mmdet
from pvt_edge.checkpoints.preprocessing import PictureOptions
from pvt_edge.checkpoints.reading import Checkpoint
from pvt_edge.checkpoints.timm_config import read_timm
from pvt_edge.checkpoints.weight_files import refuse
from pvt_edge.options.preprocessing import Preprocessing

PREPROCESSING = "preprocessing"  # the key of a file of our own
_OF_CLASSIFIERS = ("resize", "crop", "corner", "interpolation", "imgsz")


@dataclass(frozen=True)
class Sidecar:
    """Preprocessing, labels and LayerNorm's epsilon as the file or its neighbours tell them; None where they do not.

    `taken` says what is from which file. `unclear` gives, by a field's name, what was told and cannot be done: an
    export needs another word for it. `classifies` is False where it tells of a detector's pictures.
    """

    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    labels: tuple[str, ...] | None = None
    epsilon: float | None = None
    taken: tuple[str, ...] = ()
    unclear: Mapping[str, str] = field(default_factory=dict)
    classifies: bool = True

    def of_backbone(self) -> "Sidecar":
        """What of a classifier's holds for a detector on its backbone: all but the labels and the resize."""
        cleared = dict.fromkeys(_OF_CLASSIFIERS)
        unclear = {name: reason for name, reason in self.unclear.items() if name not in (*_OF_CLASSIFIERS, "labels")}
        return replace(self, preprocessing=replace(self.preprocessing, **cleared), labels=None, unclear=unclear)


def read_sidecar(checkpoint: Checkpoint) -> Sidecar:
    """What lies beside the tensors in the file, and beside the file in its folder.

    Files of the folder: `config.json` and `preprocessor_config.json` of Hugging Face, `config.json` of timm. Raises
    `WeightsError` for one of these that is no JSON object.
    """
    path = checkpoint.path
    labels = _own_labels(checkpoint.metadata, path)
    found: list[PictureOptions] = []
    if noted := checkpoint.metadata.get(PREPROCESSING):
        found.append(_noted(noted, path))
    found += _of_folder(path.parent)
    if not found and (options := read_timm(_inside(checkpoint), path.name, whole=False)):
        found.append(options)
    if mmdet := read_mmdet(checkpoint.extras, path.name):
        found.append(mmdet)
    if not labels and (names := mmdet_classes(checkpoint.extras)):
        labels = names
    merged = Sidecar(labels=labels, classifies=mmdet is None)
    for options in found:
        merged = Sidecar(
            preprocessing=merged.preprocessing.over(options.preprocessing),
            labels=merged.labels or options.labels,
            epsilon=merged.epsilon or options.epsilon,
            taken=(*merged.taken, *options.taken),
            unclear={**options.unclear, **merged.unclear},
            classifies=merged.classifies,
        )
    return merged


def noted_preprocessing(preprocessing: Preprocessing) -> str | None:
    """What `save_weights` notes of a model's preprocessing; None where nothing is known of it."""
    return json.dumps(preprocessing.explicit) if preprocessing.explicit else None


def _of_folder(folder: Path) -> list[PictureOptions]:
    config, processor = _json(folder / "config.json"), _json(folder / PROCESSOR)
    if config and config.get("model_type") == "upernet" and isinstance(config.get("backbone_config"), dict):
        backbone = config["backbone_config"]  # sizes and epsilon are there, labels beside it
        config = {**config, **{key: backbone.get(key) for key in ("model_type", "num_channels", "layer_norm_eps")}}
    kind = str((config or {}).get("model_type") or (config or {}).get("architecture") or "pvt_v2")
    if not kind.startswith("pvt_v2"):  # another model's folder
        return []
    if config and "architecture" in config:
        timm = read_timm(config, "config.json", whole=True)
        return [timm] if timm else []
    return read_hugging_face(config, processor)


def _inside(checkpoint: Checkpoint) -> Mapping[str, Any]:
    """timm's configuration in the file itself: `pretrained_cfg`, or the arguments of its training script."""
    noted: Any = checkpoint.metadata.get("pretrained_cfg")
    if isinstance(noted, str):
        try:
            noted = json.loads(noted)
        except ValueError:
            noted = None
    for given in (noted, checkpoint.extras.get("pretrained_cfg"), checkpoint.extras.get("args")):
        if isinstance(given, Mapping):
            return given
    return {}


def _own_labels(metadata: Mapping[str, str], path: Path) -> tuple[str, ...] | None:
    """The labels that training noted in the file as a JSON list."""
    text = metadata.get("labels")
    if text is None:
        return None
    try:
        return tuple(str(label) for label in json.loads(text))
    except (ValueError, TypeError) as error:
        raise refuse(path, f"its metadata say labels={text!r}, which is no JSON list") from error


def _noted(text: str, path: Path) -> PictureOptions:
    try:
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in json.loads(text).items()}
        return PictureOptions(Preprocessing(**values), taken=(f"preprocessing of {path.name}",))
    except (ValueError, TypeError, AttributeError) as error:
        raise refuse(path, f"its metadata say {PREPROCESSING}={text!r}, which is none") from error


def _json(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file; None where there is no file."""
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise refuse(path, f"lies beside the weights and cannot be read ({error}): mend it or take it away") from error
    if not isinstance(content, dict):
        raise refuse(path, "lies beside the weights and is no JSON object: mend it or take it away")
    return content
