"""The pictures of an end-to-end run: JPEG bytes as a camera or a disk gives them."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pvt_edge.errors import DataError
from pvt_edge.runtimes.boundary import one_line

SCENES = 8
SCENE_HW = (720, 1280)  # what a usual camera gives
JPEG_QUALITY = 92
MOST = 32


@dataclass(frozen=True)
class Pictures:
    """Encoded pictures and what they are, in words."""

    encoded: tuple[bytes, ...]
    words: str


@cache
def draw_pictures() -> Pictures:
    """Generated scenes, the same every time."""
    import cv2

    from pvt_edge.scenes import draw_scene

    encoded = []
    for seed in range(SCENES):
        _, data = cv2.imencode(".jpg", draw_scene(seed, *SCENE_HW).image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        encoded.append(data.tobytes())
    return Pictures(tuple(encoded), f"{SCENES} generated scenes, {SCENE_HW[1]}x{SCENE_HW[0]} JPEG")


def read_pictures(place: Path) -> Pictures:
    """The bytes of a picture, or of the first `MOST` of a folder. Raises `DataError` where one cannot be read."""
    from pvt_edge.sources.images import read_image

    if not place.exists():
        raise DataError(f"no pictures at {place}: check the path given with --images")
    files = sorted(file for file in place.rglob("*") if _is_usable(file)) if place.is_dir() else [place]
    if not files:
        raise DataError(f"{place} holds no pictures: put some there, or leave --images out for generated scenes")
    encoded = []
    for file in files[:MOST]:
        read_image(file)  # a damaged file would spoil every row
        try:
            encoded.append(file.read_bytes())
        except OSError as error:
            raise DataError(f"cannot read {file}: {one_line(error)}") from error
    kinds = ", ".join(sorted({file.suffix.lower().lstrip(".") or "no suffix" for file in files[:MOST]}))
    count = len(encoded)
    return Pictures(tuple(encoded), f"{count} {'picture' if count == 1 else 'pictures'} of {place.name} ({kinds})")


def _is_usable(file: Path) -> bool:
    from pvt_edge.sources.picture_kind import is_picture_file, why_unusable

    return not file.name.startswith(".") and is_picture_file(file) and why_unusable(file) is None
