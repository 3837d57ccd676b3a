"""timm's configuration of a model's pictures: `pretrained_cfg` of `config.json`, or the arguments of its training."""

from collections.abc import Mapping
from re import fullmatch
from typing import Any

from pvt_edge.checkpoints.preprocessing import PictureOptions, positive, said_by, triple
from pvt_edge.options.preprocessing import Preprocessing

_FIELDS = ("mean", "std", "crop_pct", "crop_mode", "interpolation", "input_size")
_FILTERS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
_MODES = {"center": "crop", "squash": "stretch"}
_DEFAULTS = {"crop_pct": 0.9, "crop_mode": "center", "interpolation": "bicubic"}  # timm's own for a pretrained_cfg


def read_timm(config: Mapping[str, Any], source: str, *, whole: bool) -> PictureOptions | None:
    """What it tells of pictures; None where that is nothing.

    With `whole` it is a `config.json`, in which timm's defaults stand for what is left out; otherwise arguments, in
    which what is left out is not said.
    """
    inner = config.get("pretrained_cfg")
    fields = {**config, **(inner if isinstance(inner, Mapping) else {})}
    fields = {name: value for name, value in fields.items() if value not in (None, "", [], ())}
    given = {name: fields[name] for name in _FIELDS if name in fields}
    if not {"mean", "std", "crop_pct"} & given.keys() and not whole:
        return None
    if whole and given:
        given = {**_DEFAULTS, **given}
    unclear: dict[str, str] = {}
    values: dict[str, Any] = {}
    for name, reading in _READINGS.items():
        if name not in given:
            continue
        try:
            values |= reading(given[name])
        except (TypeError, ValueError, OverflowError) as error:
            unclear[_FIELD_OF[name]] = f"{source} has {name}={given[name]!r}: {error}"
    labels, why = _labels(fields)
    if why:
        unclear["labels"] = f"{source} {why}"
    preprocessing = Preprocessing(**values)
    taken = said_by(preprocessing, source) + ((f"labels of {source} (label_names)",) if labels else ())
    if not taken and not unclear:
        return None
    return PictureOptions(preprocessing, labels, taken=taken, unclear=unclear)


def _mean(value: Any) -> dict[str, Any]:
    return {"mean": triple([round(one * 255, 6) for one in triple(value)])}


def _std(value: Any) -> dict[str, Any]:
    return {"std": positive(triple([round(one * 255, 6) for one in triple(value)]))}


def _crop(value: Any) -> dict[str, Any]:
    if not 0 < float(value) <= 1:
        raise ValueError("known are fractions above 0 and up to 1")
    return {"crop": float(value)}


def _mode(value: Any) -> dict[str, Any]:
    if value not in _MODES:
        raise ValueError(f"known are {', '.join(_MODES)}")
    return {"resize": _MODES[value]}


def _filter(value: Any) -> dict[str, Any]:
    name = "bilinear" if value == "random" else value  # drawn in training only
    if name not in _FILTERS:
        raise ValueError(f"known are {', '.join(_FILTERS)}")
    return {"interpolation": name}


def _size(value: Any) -> dict[str, Any]:
    sides = [int(side) for side in value] if isinstance(value, list | tuple) else [3, int(value), int(value)]
    if len(sides) != 3 or sides[0] != 3:
        raise ValueError("only pictures of 3 channels are known")
    return {"imgsz": (sides[1], sides[2])}


_READINGS = {
    "mean": _mean,
    "std": _std,
    "crop_pct": _crop,
    "crop_mode": _mode,
    "interpolation": _filter,
    "input_size": _size,
}
_FIELD_OF = {
    "mean": "mean",
    "std": "std",
    "crop_pct": "crop",
    "crop_mode": "resize",
    "interpolation": "interpolation",
    "input_size": "channels",
}


def _labels(fields: Mapping[str, Any]) -> tuple[tuple[str, ...] | None, str]:
    """The names of the classes; descriptions take the place of WordNet's numbers. And why there are none, if so."""
    names = fields.get("label_names", fields.get("labels"))
    if isinstance(names, Mapping):
        try:
            by_id = {int(number): str(name) for number, name in names.items()}
            names = [by_id[number] for number in range(len(by_id))]
        except (KeyError, ValueError):
            return None, "has label_names whose ids are not 0, 1, 2, ..."
    if not isinstance(names, list | tuple) or not names:
        return None, ""
    described = fields.get("label_descriptions")
    if isinstance(described, Mapping) and all(fullmatch(r"n\d{8}", str(name)) for name in names):
        names = [described.get(name, name) for name in names]
    return tuple(str(name) for name in names), ""
