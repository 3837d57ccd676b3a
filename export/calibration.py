"""The pictures that INT8 ranges are taken from: real or drawn, never random noise."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pvt_edge.bundle.schema import CalibrationRecord, FileRecord
from pvt_edge.errors import DataError
from pvt_edge.resizing import apply, plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pvt_edge.bundle.schema import ResizeSpec
    from pvt_edge.sources import Frame, Source

    _Kept = tuple[int, NDArray[np.uint8], FileRecord]  # the frame's number, the input made of it, its record

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
    source: str | Path | Sequence[str | Path],
    imgsz: tuple[int, int],
    resize: "ResizeSpec",
    *,
    count: int = 256,
    seed: int = 0,
) -> CalibrationSet:
    """`count` pictures of a folder, pattern, list or video, drawn by `seed`, through the bundle's own resizing.

    Raises `DataError` when none can be read; those that cannot are skipped and named in the record.
    """
    from pvt_edge.sources import ImageFiles, open_source

    rng = np.random.default_rng(seed)

    def keep(frame: "Frame", path: str | None) -> "_Kept":
        """The picture at the input's size: full frames of hundreds of pictures would fill the memory."""
        image = frame.image
        fitted = apply(image, plan((image.shape[0], image.shape[1]), imgsz, resize), resize)[None]
        return frame.id, fitted, _record(Path(path).name if path else f"frame {frame.id}", path, image)

    with open_source(source) as opened:
        if isinstance(opened, ImageFiles):
            paths = [opened.paths[i] for i in sorted(rng.permutation(len(opened.paths))[:count])]
            chosen = open_source(paths)
            kept = [keep(frame, frame.path) for frame in chosen]
            skipped = tuple(chosen.skipped)
        else:  # a video's frames all bear its path
            kept = _reservoir(opened, count, rng, lambda frame: keep(frame, None))
            skipped = tuple(opened.skipped)
    if not kept:
        raise DataError("no calibration picture could be read: give a folder of images or a video with --calib")
    where = str(source) if isinstance(source, str | Path) else f"a list of {len(source)} files"
    files = tuple(record for _, _, record in kept)
    record = CalibrationRecord(source=where, seed=seed, count=len(kept), images=files, skipped=skipped)
    return CalibrationSet(tuple(fitted for _, fitted, _ in kept), record)


def calibration_from_scenes(
    imgsz: tuple[int, int], resize: "ResizeSpec", *, count: int = 64, seed: int = 0
) -> CalibrationSet:
    """`count` generated blood-smear scenes: the calibration set of the bundled `cells` weights."""
    from pvt_edge.scenes import draw_scene

    inputs = []
    for i in range(count):
        image = draw_scene(SCENE_SEED + 10_000 * seed + i).image
        inputs.append(apply(image, plan((image.shape[0], image.shape[1]), imgsz, resize), resize)[None])
    return CalibrationSet(tuple(inputs), CalibrationRecord(source=SCENES, seed=seed, count=count))


def _reservoir(
    source: "Source", count: int, rng: np.random.Generator, keep: "Callable[[Frame], _Kept]"
) -> "list[_Kept]":
    """At most `count` frames of a stream of unknown length, each with the same chance, in their order."""
    kept: list[_Kept] = []
    for seen, frame in enumerate(source):
        if seen < count:
            kept.append(keep(frame))
        elif (slot := int(rng.integers(seen + 1))) < count:
            kept[slot] = keep(frame)
    return sorted(kept, key=lambda item: item[0])


def _record(name: str, path: str | None, image: "NDArray[np.uint8]") -> FileRecord:
    """Name, hash and size of a picture: of the file where there is one, else of the frame's pixels."""
    import hashlib

    content = Path(path).read_bytes() if path else image.tobytes()
    return FileRecord(file=name, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
