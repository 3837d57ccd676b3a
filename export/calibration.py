"""The pictures that INT8 ranges are taken from: real or drawn, never random noise."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pvt_edge.bundle.schema import CalibrationRecord, FileRecord
from pvt_edge.errors import DataError
from pvt_edge.export.calibration_pictures import PictureSieve, draw_pictures, frame_name
from pvt_edge.pictures.pixel_depth import PixelMax
from pvt_edge.pictures.resizing import apply, plan
from pvt_edge.sources import SourceOptions, open_source

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pvt_edge.bundle.schema import ResizeSpec
    from pvt_edge.sources import Frame, Source

SCENES = "generated scenes"
SCENE_SEED = 2_000_000  # apart from the seeds of training and of the accuracy check
FEW = 16  # below this, ranges are a guess


@dataclass(frozen=True)
class CalibrationSet:
    """Inputs (1, H, W, 3) uint8 as the deployed graph will get them, and the record of where they came from."""

    inputs: "tuple[NDArray[np.uint8], ...]"
    record: CalibrationRecord

    def batches(self, size: int) -> "list[NDArray[np.uint8]]":
        """The inputs as batches (size, H, W, 3), the last one filled up with its last picture."""
        filled = [*self.inputs, *[self.inputs[-1]] * (-len(self.inputs) % size)]
        return [np.concatenate(filled[i : i + size]) for i in range(0, len(filled), size)]


def calibration_from_images(
    source: "str | Path | Sequence[str | Path] | Source",
    imgsz: tuple[int, int],
    resize: "ResizeSpec",
    *,
    count: int = 256,
    seed: int = 0,
    allow_small: bool = False,
    pixel_max: PixelMax = None,
) -> CalibrationSet:
    """`count` pictures of a folder, pattern, list or video, drawn by `seed`, through the bundle's own resizing.

    The same pictures and seed give the same set. What cannot be read, is tiny or of one colour is left out and named
    in the record, near-duplicates are dropped and counted, and others are drawn instead while there are any. Of a
    video all frames have the same chance; of a source that does not know its length, the first 4096 have it.
    `pixel_max` is what is white in pictures of 16 bits.

    Raises `DataError` when fewer than 16 pictures are asked for or left; with `allow_small`, when none is.
    """
    least = 1 if allow_small else FEW
    if count < least:
        mend = "" if allow_small else ", or pass --allow-small (allow_small=True in Python)"
        raise DataError(f"{count} calibration pictures are too few: ask for at least {least}{mend}")

    def fit(frame: "Frame") -> "tuple[NDArray[np.uint8], FileRecord]":
        """The picture at the input's size: full frames of hundreds of pictures would fill the memory."""
        image = frame.image
        return apply(image, plan((image.shape[0], image.shape[1]), imgsz, resize), resize)[None], _record(frame)

    sieve = PictureSieve()
    with open_source(source, SourceOptions(pixel_max=pixel_max)) as opened:
        pictures = draw_pictures(opened, count, np.random.default_rng(seed), sieve, fit)
    record = CalibrationRecord(
        source=opened.name,
        seed=seed,
        images=tuple(file for _, file in pictures),
        count=len(pictures),
        skipped=tuple(sorted(opened.skipped)),
        duplicates=sieve.duplicates,
        left_out=tuple(sieve.left_out[i] for i in sorted(sieve.left_out)),
    )
    if record.count < least:
        raise DataError(_shortage(record, least))
    return CalibrationSet(tuple(fitted for fitted, _ in pictures), record)


def calibration_from_scenes(
    imgsz: tuple[int, int], resize: "ResizeSpec", *, count: int = 64, seed: int = 0
) -> CalibrationSet:
    """`count` generated blood-smear scenes: the calibration set of the bundled `cells` weights."""
    from pvt_edge.scenes import draw_scene

    def draw(number: int) -> "NDArray[np.uint8]":
        image = draw_scene(SCENE_SEED + 10_000 * seed + number).image
        return apply(image, plan((image.shape[0], image.shape[1]), imgsz, resize), resize)[None]

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # what a scene takes is mostly arithmetic, which threads share
        inputs = tuple(pool.map(draw, range(count)))
    return CalibrationSet(inputs, CalibrationRecord(source=SCENES, seed=seed, count=count))


def _shortage(record: CalibrationRecord, least: int) -> str:
    """What was found instead of `least` pictures, and the mend."""
    lines = [*record.skipped, *record.left_out]
    named = f" ({'; '.join(lines[:3])}{'; ...' if len(lines) > 3 else ''})" if lines else ""
    mend = "add pictures, or pass --allow-small (allow_small=True in Python)" if record.count else "add pictures"
    return (
        f"found {record.count} distinct usable calibration pictures in {record.source}, at least {least} are needed: "
        f"{len(record.skipped)} unreadable, {record.duplicates} near-duplicates, "
        f"{len(record.left_out)} useless{named}; {mend}"
    )


def _record(frame: "Frame") -> FileRecord:
    """Name, hash and size of a picture: of the file where there is one, else of the frame's pixels."""
    import hashlib

    content = Path(frame.path).read_bytes() if frame.path else frame.image.tobytes()
    return FileRecord(file=frame_name(frame), sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
