"""The pictures that artifacts are compared on."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from pvt_edge.errors import DataError
from pvt_edge.sources import Frame, ImageFiles, Source, VideoFile


def drawn_frames(source: Source, limit: int, seed: int) -> Iterator[Frame]:
    """At most `limit` frames, of files and videos drawn by `seed` where there are more, of cameras the first.

    What cannot be read is named in the source's `skipped`, and others are drawn in its place. Raises `DataError`
    where nothing could be read.
    """
    count = 0
    for frame in _drawn(source, limit, np.random.default_rng(seed)):
        yield frame
        count += 1
        if count == limit:
            return
    if not count:
        why = f": {source.skipped[-1]}" if source.skipped else ""
        raise DataError(f"no picture of {source.name} can be read{why}")


def picture_name(frame: Frame, source: Source) -> str:
    """The file's name and page, or the number of a frame."""
    if isinstance(source, ImageFiles) and frame.path:
        return Path(frame.path).name + (f", page {frame.page}" if frame.page is not None else "")
    return f"frame {frame.id}"


def _drawn(source: Source, limit: int, rng: np.random.Generator) -> Iterator[Frame]:
    if isinstance(source, ImageFiles):
        few = len(source.paths) <= limit
        yield from source.drawn(range(len(source.paths)) if few else rng.permutation(len(source.paths)).tolist())
    elif isinstance(source, VideoFile) and (source.frame_count or 0) > limit:
        assert source.frame_count is not None
        picked = set(rng.choice(source.frame_count, limit, replace=False).tolist())
        last = max(picked)
        for frame in source:
            if frame.id in picked:
                yield replace(frame, path=None)  # all of a video's frames bear its path
            if frame.id == last:
                return
    else:
        yield from source
