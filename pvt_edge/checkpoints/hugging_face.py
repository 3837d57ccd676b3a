"""Hugging Face's `config.json` and `preprocessor_config.json`.

transformers resizes with Pillow, cuts the centre, then computes (value * rescale_factor - mean) / std: as one affine
map of values 0 to 255 that is a mean of mean / rescale_factor and a std of std / rescale_factor.
"""

import math
from collections.abc import Mapping
from typing import Any

from pvt_edge.checkpoints.preprocessing import IMAGENET, PictureOptions, positive, said_by, triple
from pvt_edge.options.preprocessing import Preprocessing

PROCESSOR = "preprocessor_config.json"
_FILTERS = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")  # by Pillow's number
_KEEP_ASPECT = ("CLIP", "ConvNext", "Bit", "LeViT", "Poolformer")  # for whom a size of one number is the shorter side
_UNKNOWN_STEPS = ("do_pad", "do_thumbnail", "do_align_long_axis", "do_resize_and_crop", "do_pan_and_scan")


def read_hugging_face(config: Mapping[str, Any] | None, processor: Mapping[str, Any] | None) -> list[PictureOptions]:
    """What the two files tell; either may be missing."""
    found = []
    if config:
        found.append(_read_config(config))
    if processor:
        found.append(_Processor(processor).options())
    return found


def _read_config(config: Mapping[str, Any]) -> PictureOptions:
    unclear, taken = {}, []
    if config.get("num_channels") not in (None, 3):
        unclear["channels"] = f"config.json tells of a model for {config['num_channels']} channels, only 3 are known"
    labels, epsilon = None, config.get("layer_norm_eps")
    named = config.get("id2label")
    if isinstance(named, Mapping) and named:
        try:
            by_id = {int(number): str(name) for number, name in named.items()}
            labels = tuple(by_id[number] for number in range(len(by_id)))
            taken.append("labels of config.json (id2label)")
        except (KeyError, ValueError):
            unclear["labels"] = "config.json has an id2label whose ids are not 0, 1, 2, ..."
    if not isinstance(epsilon, int | float) or not 0 < epsilon < 1:
        epsilon = None
    return PictureOptions(labels=labels, epsilon=epsilon, taken=tuple(taken), unclear=unclear)


class _Processor:
    """`preprocessor_config.json`, field by field."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config, self.unclear = config, {}  # type: tuple[Mapping[str, Any], dict[str, str]]
        self.kind = str(config.get("image_processor_type") or config.get("feature_extractor_type") or "")

    def options(self) -> PictureOptions:
        """What it says, and what of it cannot be done."""
        values: dict[str, Any] = self._normalisation()
        values["channel_order"] = "BGR" if self.config.get("do_flip_channel_order") else "RGB"
        for name in _UNKNOWN_STEPS:
            if self.config.get(name):
                self._cannot("resize", f"asks for {name}")
        values |= self._filter()
        values |= self._size()
        preprocessing = Preprocessing(**{name: value for name, value in values.items() if name not in self.unclear})
        return PictureOptions(preprocessing, taken=said_by(preprocessing, PROCESSOR), unclear=self.unclear)

    def _cannot(self, field: str, reason: str) -> dict[str, Any]:
        self.unclear.setdefault(field, f"{PROCESSOR} {reason}")
        return {}

    def _needs(self, field: str, name: str) -> None:
        """Where `name` is left out, PVT's own processor has ImageNet's values and bicubic, others have others."""
        if self.config.get(name) is None and self.kind and not self.kind.startswith("Pvt"):
            self._cannot(field, f"is of {self.kind} and does not say {name}")

    def _flag(self, name: str, default: bool = True) -> bool:
        value = self.config.get(name)
        return default if value is None else bool(value)

    def _normalisation(self) -> dict[str, Any]:
        """Mean and std of values 0 to 255."""
        config = self.config
        try:
            given = config.get("rescale_factor")
            factor = (1 / 255 if given is None else float(given)) if self._flag("do_rescale") else 1.0
        except (TypeError, ValueError):
            factor = math.nan
        if not factor > 0:
            for name in ("mean", "std"):
                self._cannot(name, f"has a rescale_factor of {config.get('rescale_factor')!r}")
            return {}
        shift = float(self._flag("rescale_offset", False) or self._flag("offset", False))  # value * factor - 1
        mean: Any = [value / 255 for value in IMAGENET.mean]
        std: Any = [value / 255 for value in IMAGENET.std]
        if not self._flag("do_normalize"):
            mean, std = 0.0, 1.0
        else:
            self._needs("mean", "image_mean")
            self._needs("std", "image_std")
            mean = config["image_mean"] if config.get("image_mean") is not None else mean
            std = config["image_std"] if config.get("image_std") is not None else std
        values = {}
        try:
            values["mean"] = triple([_rounded((value + shift) / factor) for value in triple(mean)])
        except (TypeError, ValueError) as error:
            self._cannot("mean", f"has an image_mean that makes no sense: {error}")
        try:
            values["std"] = positive(triple([_rounded(value / factor) for value in triple(std)]))
        except (TypeError, ValueError) as error:
            self._cannot("std", f"has an image_std that makes no sense: {error}")
        return values

    def _filter(self) -> dict[str, Any]:
        self._needs("interpolation", "resample")
        number = self.config.get("resample")
        if number is None:
            number = 3
        if not isinstance(number, int) or not 0 <= number < len(_FILTERS):
            return self._cannot("interpolation", f"asks for the resample {number!r}: known are Pillow's 0 to 5")
        return {"interpolation": _FILTERS[number]}

    def _size(self) -> dict[str, Any]:
        """Pictures are resized, and the centre is cut out where `do_center_crop` says so."""
        config = self.config
        if not self._flag("do_resize"):
            return self._cannot("resize", "resizes no picture, and a bundle's input has one size")
        cut = self._sides(config.get("crop_size")) if self._flag("do_center_crop", False) else None
        if self._flag("do_center_crop", False) and (cut is None or cut[0] is None):
            return self._cannot("resize", f"crops to {config.get('crop_size')!r}, which is no height and width")
        sides = self._sides(config.get("size", {"height": 224, "width": 224}))
        if sides is None:
            return self._cannot("resize", f"resizes to {config.get('size')!r}: known are height, width, shortest_edge")
        (height, width), shortest = sides[:2], sides[2]
        share = config.get("crop_pct")
        if shortest and share and self.kind.startswith("ConvNext"):
            if not isinstance(share, int | float) or not 0 < share <= 1:
                return self._cannot("resize", f"has a crop_pct of {share!r}, which is no share")
            if shortest >= 384:  # ConvNext's own rule: large sizes are not cropped
                return {"resize": "stretch", "imgsz": (shortest, shortest)}
            return _crop("crop", shortest, int(shortest / share))
        if shortest and cut is None:
            return self._cannot(
                "resize", f"resizes the shorter side to {shortest} and crops nothing, so that each picture has a size "
                "of its own"
            )  # fmt: skip
        if cut is None:
            return {"resize": "stretch", "crop": 1.0, "imgsz": (height, width)}
        whole = (shortest, shortest) if shortest else (height, width)
        if cut[0] != cut[1] or whole[0] != whole[1] or cut[0] > whole[0]:
            return self._cannot("resize", f"resizes to {config.get('size')!r} and crops to {config.get('crop_size')!r}")
        return _crop("crop" if shortest else "stretch", cut[0], whole[0])

    def _sides(self, size: Any) -> tuple[Any, Any, Any] | None:
        """(height, width, None) or (None, None, shortest edge) of a size; None for another."""
        if isinstance(size, int) and size > 0:
            return (None, None, size) if self.kind.startswith(_KEEP_ASPECT) else (size, size, None)
        if isinstance(size, list) and len(size) == 2:
            size = {"height": size[0], "width": size[1]}
        if not isinstance(size, Mapping):
            return None
        size = {key: value for key, value in size.items() if value is not None}
        if not size or not all(isinstance(value, int) and value > 0 for value in size.values()):
            return None
        if size.keys() == {"height", "width"}:
            return size["height"], size["width"], None
        return (None, None, size["shortest_edge"]) if size.keys() == {"shortest_edge"} else None


def _crop(mode: str, cut: int, whole: int) -> dict[str, Any]:
    return {"resize": mode, "crop": cut / whole, "corner": "floor", "imgsz": (cut, cut)}


def _rounded(value: float) -> float:
    """Without the last digits that a division by 1 / 255 leaves."""
    return float(f"{value:.9g}")
