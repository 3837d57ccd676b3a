"""The pictures that INT8 ranges are taken from: real or drawn, never noise; readable, not blank, each once."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from pvt_edge.bundle.schema import CalibrationRecord, FileRecord
from pvt_edge.errors import DataError, storable
from pvt_edge.pictures.resizing import PixelMax, apply, plan
from pvt_edge.sources import Frame, ImageFiles, Source, SourceOptions, open_source

if TYPE_CHECKING:
    from pvt_edge.bundle.schema import ResizeSpec

# Bits in which near-duplicates differ at most. The 292 BCCD pictures against their copies as JPEG of quality 60, at
# 90 % size or shifted by a pixel: at most 4. Two of them that show other cells: 14 and more. Nearer 4 than 14, as a
# fixed camera's pictures share their background, and to lose one of those costs more than to keep a copy.
NEAR_BITS = 4
HASH_BITS = 64
GRID = 32  # pixels a side of the picture that is transformed
WAVES = 8  # lowest frequencies kept along each side
SMALLEST = 16  # pixels a side: a picture below shows a colour, no thing
SPREAD = 2  # grey levels that a codec puts into a picture of one colour
STREAM_FRAMES = 4096  # read of a source that may never end: near three minutes at 25 a second
SCENES = "generated scenes"
SCENE_SEED = 2_000_000  # apart from the seeds of training and of the accuracy check
FEW = 16  # below this, ranges are a guess

T = TypeVar("T")


def perceptual_hash(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of the 8 x 8 lowest waves of a BGR picture (H, W, 3) uint8 are above their median, (64,).

    The DCT hash of Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions" (2010).
    """
    import cv2

    grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), (GRID, GRID), interpolation=cv2.INTER_AREA)
    waves = cv2.dct(grey.astype(np.float32))[:WAVES, :WAVES].ravel()
    return np.asarray(waves > np.median(waves), np.bool_)


class SeenPictures:
    """The hashes of pictures met so far."""

    def __init__(self) -> None:
        self._hashes = np.empty((0, HASH_BITS), np.bool_)

    def add(self, image: NDArray[np.uint8]) -> bool:
        """Whether `image` is new; False when it is a near-duplicate of one that was."""
        found = perceptual_hash(image)
        if bool((np.count_nonzero(self._hashes != found, axis=1) <= NEAR_BITS).any()):
            return False
        self._hashes = np.vstack([self._hashes, found])
        return True


class PictureSieve:
    """What passes frames on and keeps back the useless: `left_out` names them by number, `duplicates` counts them."""

    def __init__(self) -> None:
        self.left_out: dict[int, str] = {}
        self.duplicates = 0
        self._seen = SeenPictures()

    def passed(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames that are neither tiny, nor of one colour, nor near-duplicates of one passed before."""
        for frame in frames:
            if flaw := picture_flaw(frame.image):
                self.left_out[frame.id] = f"{frame_name(frame)}: {flaw}"
            elif self._seen.add(frame.image):
                yield frame
            else:
                self.duplicates += 1


def draw_pictures(
    source: Source, count: int, rng: np.random.Generator, sieve: PictureSieve, keep: Callable[[Frame], T]
) -> list[T]:
    """What `keep` makes of at most `count` frames that pass the sieve, in the source's order.

    Files are drawn until there are enough. Of a video every frame that passes has the same chance; a source that
    does not know its length may never end, so only its first `STREAM_FRAMES` frames are read.
    """
    if isinstance(source, ImageFiles):
        drawn = source.drawn(rng.permutation(len(source.paths)).tolist())
        kept = [(frame.id, keep(frame)) for frame in islice(sieve.passed(drawn), count)]
    else:
        bound = STREAM_FRAMES if source.frame_count is None else None
        frames = (replace(frame, path=None) for frame in islice(source, bound))  # a video's frames all bear its path
        kept = _reservoir(sieve.passed(frames), count, rng, keep)
    return [made for _, made in sorted(kept, key=lambda item: item[0])]


def picture_flaw(image: NDArray[np.uint8]) -> str | None:
    """Why a picture (H, W, 3) tells nothing of the ranges of others; None where it does."""
    import cv2

    height, width = image.shape[:2]
    if min(height, width) < SMALLEST:
        return f"{width}x{height} pixels, a side below {SMALLEST}"
    extremes = (cv2.minMaxLoc(channel)[:2] for channel in cv2.split(image))
    return "one colour" if all(high - low <= SPREAD for low, high in extremes) else None


def frame_name(frame: Frame) -> str:
    """The file's name and page, or the frame's number where there is no file of its own."""
    page = f", page {frame.page}" if frame.page is not None else ""
    return storable(f"{Path(frame.path).name}{page}") if frame.path else f"frame {frame.id}"


def _reservoir(
    frames: Iterable[Frame], count: int, rng: np.random.Generator, keep: Callable[[Frame], T]
) -> list[tuple[int, T]]:
    """At most `count` frames of an unknown number, each with the same chance (Vitter's algorithm R)."""
    kept: list[tuple[int, T]] = []
    for seen, frame in enumerate(frames):
        if seen < count:
            kept.append((frame.id, keep(frame)))
        elif (slot := int(rng.integers(seen + 1))) < count:
            kept[slot] = (frame.id, keep(frame))
    return kept


@dataclass(frozen=True)
class CalibrationSet:
    """Inputs (1, H, W, 3) uint8 as the deployed graph will get them, and the record of where they came from."""

    inputs: tuple[NDArray[np.uint8], ...]
    record: CalibrationRecord

    def batches(self, size: int) -> list[NDArray[np.uint8]]:
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

    def fit(frame: Frame) -> tuple[NDArray[np.uint8], FileRecord]:
        """The picture at the input's size: full frames of hundreds of pictures would fill the memory."""
        image = frame.image
        return apply(image, plan((image.shape[0], image.shape[1]), imgsz, resize), resize)[None], _record(frame)

    sieve = PictureSieve()
    with open_source(source, SourceOptions(pixel_max=pixel_max)) as opened:
        pictures = draw_pictures(opened, count, np.random.default_rng(seed), sieve, fit)
    record = CalibrationRecord(
        source=storable(opened.name),
        seed=seed,
        images=tuple(file for _, file in pictures),
        count=len(pictures),
        skipped=tuple(sorted(map(storable, opened.skipped))),
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

    def draw(number: int) -> NDArray[np.uint8]:
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


def _record(frame: Frame) -> FileRecord:
    """Name, hash and size of a picture: of the file where there is one, else of the frame's pixels."""
    content = Path(frame.path).read_bytes() if frame.path else frame.image.tobytes()
    return FileRecord(file=frame_name(frame), sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
