"""What happens to a picture before the backbone, as options."""

from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from pvt_edge.options.flag import Flag, parse_channels

if TYPE_CHECKING:
    from pvt_edge.bundle.schema import ChannelOrder, Interpolation, ResizeMode, Triple


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How pictures become a network's input; None is not said, and leaves it to what is beside the weights.

    Attributes:
        resize: letterbox, stretch or crop.
        crop: How much of the resized picture is cut out of its centre, a fraction of its sides above 0 and up to 1.
        interpolation: OpenCV's linear or cubic, or Pillow's nearest, box, bilinear, hamming, bicubic or lanczos.
        mean: Subtracted from values 0 to 255, in the model's order of channels.
        std: Divides them then.
        channel_order: The model's, RGB or BGR.
        corner: How the corner of the crop becomes a whole pixel, round or floor.
        imgsz: (height, width) of the input.
    """

    resize: Annotated[
        "ResizeMode | None", Flag("letterbox, stretch or crop. Default: the weights', else by task.", kind=str)
    ] = None
    crop: Annotated[float | None, Flag("How much of the resized picture to cut out of its centre: 0.875.")] = None
    interpolation: Annotated[
        "Interpolation | None",
        Flag("nearest, box, bilinear, hamming, bicubic, lanczos (Pillow's), linear or cubic (OpenCV's).", kind=str),
    ] = None
    mean: Annotated[
        "Triple | None",
        Flag(
            "Subtracted, a number a channel, of values 0 to 1 or 0 to 255.",
            metavar="R,G,B",
            kind=str,
            read=partial(parse_channels, option="--mean"),
        ),
    ] = None
    std: Annotated[
        "Triple | None",
        Flag("Divides them then.", metavar="R,G,B", kind=str, read=partial(parse_channels, option="--std")),
    ] = None
    channel_order: Annotated[
        "ChannelOrder | None", Flag("What the model takes: rgb or bgr.", kind=str, read=str.upper)
    ] = None
    corner: str | None = None
    imgsz: tuple[int, int] | None = None

    @property
    def explicit(self) -> dict[str, Any]:
        """What is not None, by its field's name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def over(self, other: "Preprocessing") -> "Preprocessing":
        """`other`, with what this one says in its place."""
        return replace(other, **self.explicit)
