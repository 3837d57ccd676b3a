"""How a bundle's pictures become its input: what is asked for, else what lies beside the weights, else the default."""

from dataclasses import dataclass, replace
from math import isfinite
from numbers import Real
from typing import TYPE_CHECKING, Any, get_args

from pvt_edge.bundle.schema import ChannelOrder, Interpolation, NormaliseSpec, ResizeMode, ResizeSpec
from pvt_edge.errors import ExportError, UnknownNameError
from pvt_edge.options.preprocessing import Preprocessing

if TYPE_CHECKING:
    from pvt_edge.checkpoints.sidecar import Sidecar

_CHOICES = {"resize": ResizeMode, "interpolation": Interpolation, "channel_order": ChannelOrder}
_MENDS = {
    "mean": "give --mean",
    "std": "give --std",
    "channel_order": "give --channel-order",
    "resize": "choose with --resize stretch, crop or letterbox",
    "crop": "give --crop",
    "interpolation": "give --interpolation",
    "labels": "give --labels",
}


@dataclass(frozen=True)
class ResolvedPreprocessing:
    """The resize and normalisation of an export, and where from each came that is not the default."""

    resize: ResizeSpec
    normalise: NormaliseSpec
    taken: tuple[str, ...]


def resolve_preprocessing(
    default: ResizeSpec,
    sidecar: "Sidecar | None",
    given: Preprocessing,
    *,
    whole_resize: ResizeSpec | None = None,
    labels_given: bool = False,
) -> ResolvedPreprocessing:
    """What `given` says over the `sidecar` over `default`; `whole_resize` stands over all of the resize.

    Raises `ExportError` for values that make no sense, and where the sidecar tells of something that cannot be done
    and `given` has no other word for it.
    """
    _check(given)
    given = _in_pixels(given)
    beside = sidecar.preprocessing if sidecar is not None else Preprocessing()
    answered = set(given.explicit) | ({"labels"} if labels_given else set())
    if given.resize is not None or whole_resize is not None:
        answered |= {"resize", "crop", "corner"}
    if whole_resize is not None:
        answered.add("interpolation")
    for field, reason in (sidecar.unclear if sidecar is not None else {}).items():
        if field not in answered:
            mend = _MENDS.get(field)
            raise ExportError(reason + (f": {mend} ({field}= in Python)" if mend else ""))
    taken = list(sidecar.taken) if sidecar is not None else []
    taken += [f"{name} as asked for" for name in given.explicit]
    stated = given.over(_without_its_crop(beside, given))
    normalise = NormaliseSpec(
        **{name: value for name, value in stated.explicit.items() if name in ("mean", "std", "channel_order")}
    )
    resize = whole_resize or _resize(default, stated)
    if whole_resize is None or whole_resize.fill_bgr == ResizeSpec.model_fields["fill_bgr"].default:
        resize = resize.model_copy(update={"fill_bgr": normalise.fill_bgr})
    return ResolvedPreprocessing(resize, normalise, tuple(taken))


def _without_its_crop(beside: Preprocessing, given: Preprocessing) -> Preprocessing:
    """What lies beside, less the crop where another resize is asked for, and cropping where a crop is."""
    if given.crop is not None and given.resize is None and beside.resize != "crop":
        return replace(beside, resize="crop")
    if given.resize not in (None, beside.resize):
        return replace(beside, crop=None, corner=None)
    return beside


def _resize(default: ResizeSpec, stated: Preprocessing) -> ResizeSpec:
    mode = stated.resize or default.mode
    fraction = stated.crop if stated.crop is not None else default.crop_fraction if mode == default.mode else 1.0
    if mode == "crop" and default.mode != "crop" and stated.crop is None:
        fraction = 0.875
    if mode == "letterbox" and stated.crop is not None:
        raise ExportError("a letterbox cuts nothing out: leave --crop (crop= in Python) out, or take --resize crop")
    fields: dict[str, Any] = {"mode": mode, "crop_fraction": 1.0 if mode == "letterbox" else fraction}
    fields["interpolation"] = stated.interpolation or default.interpolation
    if stated.corner is not None:
        fields["corner"] = stated.corner
    return ResizeSpec(**fields)


def _in_pixels(given: Preprocessing) -> Preprocessing:
    """Mean and std of values 0 to 255: where none given is above 1 they are of values 0 to 1."""
    values = [*(given.mean or ()), *(given.std or ())]
    if not values or max(values) > 1:
        return given
    scaled: dict[str, Any] = {
        name: tuple(round(value * 255, 6) for value in getattr(given, name))
        for name in ("mean", "std")
        if getattr(given, name) is not None
    }
    return replace(given, **scaled)


def _check(given: Preprocessing) -> None:
    for name, choices in _CHOICES.items():
        value = getattr(given, name)
        if value is not None and value not in get_args(choices):
            raise UnknownNameError(name.replace("_", " "), value, get_args(choices))
    for name in ("mean", "std"):
        value = getattr(given, name)
        if value is not None and not (
            isinstance(value, (tuple, list)) and len(value) == 3 and all(map(_finite, value))
        ):
            raise ExportError(f"{name} needs three numbers, one a channel, got {value}")
    if given.std is not None and min(given.std) <= 0:
        raise ExportError(f"std divides, so that it must be above 0, got {given.std}")
    if given.crop is not None and not (_finite(given.crop) and 0 < given.crop <= 1):
        raise ExportError(f"crop is a fraction of the resized picture, above 0 and up to 1, got {given.crop}")


def _finite(value: object) -> bool:
    return isinstance(value, Real) and isfinite(value)
