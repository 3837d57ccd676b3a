"""The names of the classes that a checkpoint itself notes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pvt_edge.checkpoints.refusal import refuse


def mmdet_classes(extras: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The class names that mmdet and mmengine note in a file's meta."""
    meta = extras.get("meta")
    if not isinstance(meta, Mapping):
        return None
    inner = meta.get("dataset_meta")
    for place in (inner if isinstance(inner, Mapping) else {}, meta):
        for key in ("classes", "CLASSES"):
            if names := place.get(key):
                return (names,) if isinstance(names, str) else tuple(str(name) for name in names)
    return None


def own_labels(metadata: Mapping[str, str], path: Path) -> tuple[str, ...] | None:
    """The labels that training noted in the file as a JSON list."""
    text = metadata.get("labels")
    if text is None:
        return None
    try:
        return tuple(str(label) for label in json.loads(text))
    except (ValueError, TypeError) as error:
        raise refuse(path, f"its metadata say labels={text!r}, which is no JSON list") from error
