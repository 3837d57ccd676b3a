"""The pictures of a source that ranges can be taken from: readable, neither tiny nor blank, each once."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pvt_edge.export.perceptual_hash import SeenPictures
from pvt_edge.sources import Frame, ImageFiles, Source

SMALLEST = 16  # pixels a side: a picture below shows a colour, no thing
SPREAD = 2  # grey levels that a codec puts into a picture of one colour
STREAM_FRAMES = 4096  # read of a source that may never end: near three minutes at 25 a second

T = TypeVar("T")


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
    return f"{Path(frame.path).name}{page}" if frame.path else f"frame {frame.id}"


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
