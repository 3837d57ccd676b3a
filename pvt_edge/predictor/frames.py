"""Pictures as a caller has them -> frames, and a frame as the model takes it: whole, or one window after another."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from pvt_edge.arguments import check_path
from pvt_edge.errors import ArgumentError, DataError, described
from pvt_edge.pictures.resizing import PixelMax, Placement, apply, plan, to_bgr
from pvt_edge.predictor.slicing import Window
from pvt_edge.sources import Frame, Source, read_image

if TYPE_CHECKING:
    from PIL.Image import Image

    from pvt_edge.bundle.schema import ResizeSpec

Picture: TypeAlias = Union[NDArray[np.generic], "Image", str, "PathLike[str]"]
# Pillow's modes by the bits of a channel
EIGHT_BITS = ("1", "L", "P", "RGB", "RGBA", "LA", "PA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "La", "RGBa")
SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")


def frames_of(items: Sequence[object], pixel_max: PixelMax = None) -> Iterator[Frame]:
    """Frames of pictures and image paths. Unlike in a source, each must be readable: the results align."""
    for number, item in enumerate(items):
        try:
            yield frame_of(item, number, pixel_max=pixel_max)
        except DataError as error:
            raise DataError(f"picture {number} of the list: {error}") from error


def frame_of(item: object, number: int = 0, *, pixel_max: PixelMax = None) -> Frame:
    """The frame of a picture in memory or of an image's path; `DataError` for anything else."""
    if isinstance(item, (str, PathLike)):
        path = check_path("predictor()", "a picture", item, "a.jpg")
        return Frame(read_image(path, pixel_max=pixel_max), number, path=str(path))
    return Frame(to_bgr(as_array(item), pixel_max), number, path=pillow_path(item))


def check_source(call: str, source: object) -> None:
    """Raise `ArgumentError` where a call is given what no source can be opened from."""
    if isinstance(source, (list, tuple)):
        for path in source:
            check_path(call, "each image of the list", path, "a.jpg")
    if isinstance(source, bool) or not isinstance(source, (str, PathLike, int, Source, list, tuple)):
        raise ArgumentError(
            f"{call} takes a path, a camera, a stream's address or a list of image files, not "
            f"{described(source)}; for pictures in memory call predictor(picture)"
        )


def is_one(path: str) -> bool:
    """Whether it is the path of one file, or an address, and no folder or pattern."""
    if path.lower().startswith("file://"):
        path = unquote(urlsplit(path).path)
    return "://" in path or Path(path).expanduser().is_file()


def as_array(picture: object) -> NDArray[np.generic]:
    """The picture's pixels, BGR or grey: of an array itself, of a Pillow image turned as its EXIF says.

    Alpha is dropped, as it is of files. `DataError` for tensors, encoded bytes and anything else.
    """
    if isinstance(picture, np.ndarray):
        return picture
    if is_pillow(picture):
        return _from_pillow(picture)
    torch: Any = sys.modules.get("torch")
    if torch is not None and isinstance(picture, torch.Tensor):
        raise DataError(
            f"a torch tensor of shape {tuple(picture.shape)} is no picture: pass an array (H, W, 3) uint8 BGR, such as "
            "(tensor.permute(1, 2, 0).flip(-1) * 255).byte().cpu().numpy() of an RGB tensor (3, H, W) in 0..1"
        )
    if isinstance(picture, (bytes, bytearray, memoryview)):
        raise DataError("bytes are no picture yet: pass cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)")
    if hasattr(picture, "read"):
        raise DataError(f"an open file ({type(picture).__name__}) is no picture yet: pass Image.open(file) of Pillow")
    raise DataError(f"not an image: {described(picture)}; pass an array (H, W, 3) uint8 BGR, a Pillow image or a path")


def is_pillow(picture: object) -> bool:
    """Whether it is a Pillow image. Who has one has imported Pillow."""
    pillow: Any = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(picture, pillow.Image)


def pillow_path(picture: Any) -> str | None:
    """The file that a Pillow image was opened from; None for other pictures."""
    name = getattr(picture, "filename", "") if is_pillow(picture) else ""
    return name if isinstance(name, str) and name else None


def _from_pillow(picture: Any) -> NDArray[np.generic]:
    from PIL import ImageOps

    try:
        upright: Image = ImageOps.exif_transpose(picture)  # reads the file, where that was still to be done
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"cannot read the Pillow image {pillow_path(picture) or ''}: {error}") from error
    if upright.mode in SIXTEEN_BITS:
        return np.asarray(upright).astype(np.uint16)
    if upright.mode == "I":  # what 16-bit PNGs are opened as by older versions
        pixels = np.asarray(upright)
        if pixels.size == 0 or (pixels.min() >= 0 and pixels.max() <= np.iinfo(np.uint16).max):
            return pixels.astype(np.uint16)
    if upright.mode in EIGHT_BITS:
        return np.ascontiguousarray(np.asarray(upright.convert("RGB"), np.uint8)[..., ::-1])
    raise DataError(f"cannot use a Pillow image of mode {upright.mode}: scale it to 0..255 and convert it to L or RGB")


@dataclass(frozen=True, eq=False)
class View:
    """A `window` xyxy of a picture as the model's `input` (H, W, 3) uint8, with how it lies in it."""

    window: Window
    placement: Placement
    input: NDArray[np.uint8] = field(repr=False)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A frame, its picture (h, w, 3) BGR, and the model's input (H, W, 3) uint8 with how the picture lies in it.

    Of a picture that is run in slices `views` are those, and placement and input the first one's.
    """

    frame: Frame
    image: NDArray[np.uint8] = field(repr=False)
    placement: Placement
    input: NDArray[np.uint8] = field(repr=False)
    preprocess_ms: float
    views: tuple[View, ...] = ()

    @property
    def inputs(self) -> tuple[NDArray[np.uint8], ...]:
        """All that the model is run on."""
        return tuple(view.input for view in self.views) or (self.input,)

    @property
    def placements(self) -> tuple[Placement, ...]:
        """How the picture, or its part, lies in each."""
        return tuple(view.placement for view in self.views) or (self.placement,)


def view_of(image: NDArray[np.uint8], window: Window, input_hw: tuple[int, int], resize: "ResizeSpec") -> View:
    """A window xyxy of the picture, resized to the model's input."""
    x0, y0, x1, y1 = window
    placement = plan((y1 - y0, x1 - x0), input_hw, resize)
    return View(window, placement, apply(image[y0:y1, x0:x1], placement, resize))
