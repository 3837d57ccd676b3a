"""The pictures of a benchmark: JPEG bytes as a camera or a disk gives them, and labelled ones for `--data`."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice, takewhile
from math import isfinite
from pathlib import Path
from typing import Any

from pvt_edge.bundle import Bundle
from pvt_edge.errors import DataError
from pvt_edge.evaluation.evaluate import judge, read_labelled
from pvt_edge.metrics.labelled import Labelled
from pvt_edge.predictor import Predictor
from pvt_edge.reporting.wording import counted

SCENES = 8
SCENE_HW = (720, 1280)  # what a usual camera gives
JPEG_QUALITY = 92
MOST = 32


@dataclass(frozen=True)
class Pictures:
    """Encoded pictures and what they are, in words."""

    encoded: tuple[bytes, ...]
    words: str
    skipped: tuple[str, ...] = ()  # what could not be read, and why


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


def read_pictures(place: Path, files: Sequence[Path] = ()) -> Pictures:
    """The bytes of the first `MOST` pictures of a file, a folder or a pattern, or of those `files` that lie there.

    Read as every command reads pictures: what is damaged would spoil every row, and is left out. Raises `DataError`
    where nothing is left.
    """
    from pvt_edge.sources import ImageFiles, open_source

    source = open_source(files or place)
    if not isinstance(source, ImageFiles):
        raise DataError(f"{place} is no picture: give --images pictures, or leave it out for generated scenes")
    count = len(source.paths)
    first_pages = takewhile(lambda frame: frame.id < count, source.drawn(range(count)))
    paths = [Path(str(frame.path)) for frame in islice(first_pages, MOST)]
    if not paths:
        raise DataError(f"no picture of {place} can be read: {source.skipped[-1]}")
    kinds = ", ".join(sorted({path.suffix.lower().lstrip(".") or "no suffix" for path in paths}))
    name = place.name if place.exists() else place  # a pattern is told whole
    words = f"{counted(len(paths), 'picture')} of {name} ({kinds})"
    return Pictures(tuple(path.read_bytes() for path in paths), words, tuple(source.skipped))


def read_labels(bundle: Bundle, data: Path, images: Path | None) -> Labelled[Any]:
    """The labelled pictures, as `pvt-edge val` takes them. Raises `DataError` where they do not fit the bundle."""
    return read_labelled(bundle.manifest, data, images)


def measure_accuracy(predictor: Predictor, labelled: Labelled[Any]) -> dict[str, float]:
    """The figures of `pvt-edge val`, fractions 0..1; without those that nothing in the data stands for."""
    figures = judge(predictor, labelled, lambda: None)[0].figures
    return {name: value for name, value in figures.items() if isfinite(value)}
