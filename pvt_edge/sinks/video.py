"""Annotated frames as a video file."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pvt_edge.errors import DataError
from pvt_edge.sinks.place import check_place, mark_video
from pvt_edge.sinks.sink import Sink

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pvt_edge.results import Result

DEFAULT_FPS, MOST_FPS = 25.0, 240.0  # some streams claim 90000, the clock of their time stamps
# Suffix -> the codecs to try: first what OpenCV's wheels can write, then what other builds may.
CODECS = {
    ".mp4": ("mp4v", "avc1"),
    ".m4v": ("mp4v", "avc1"),
    ".mov": ("mp4v", "avc1"),
    ".mkv": ("mp4v", "avc1"),
    ".avi": ("MJPG", "XVID"),
    ".webm": ("VP90", "VP80"),
}
RESERVE_BYTES, INDEX_BYTES = 8 << 20, 32  # left free on the disk for the end of the file; of the index, a frame
LONGEST_STILL_S = 2.0  # that one frame is shown where a live source was away for longer


class VideoFile(Sink):
    """A video of the annotated frames, as large as the first; a frame of another size is fitted into it.

    Written beside its place under a name with ".part" and renamed by `close`, which also runs when the work
    stops half-way; without a frame there is no file. `fps` None: 25. `live` shows each frame until the next was
    captured, so that the video's clock is right however many frames were dropped; an outage is cut out. Raises
    `DataError` at once for a place that cannot be written, and for a disk that is nearly full while there is still
    room to finish the file.
    """

    def __init__(self, path: str | Path, *, fps: float | None = None, live: bool = False) -> None:
        self.path = Path(path)
        self.target = str(path)
        self.fps, self.live = fps if fps and fps <= MOST_FPS else DEFAULT_FPS, live
        if self.path.suffix.lower() not in CODECS:
            raise DataError(f"cannot write {path}: a video's suffix must be one of {' '.join(CODECS)}")
        check_place(self.path)
        self._aside = self.path.with_name(f".{self.path.stem}.part{self.path.suffix}")
        self._writer: Any = None
        self._shown: NDArray[np.uint8] | None = None
        self._wh = (0, 0)
        self._frames = 0
        self._started_at = 0.0

    def write(self, result: "Result") -> None:
        if self._writer is None:
            if result.path is not None and self.path.exists() and self.path.samefile(result.path):
                raise DataError(f"saving to {self.path} would write over its source; choose another name")
            self._wh = (result.orig_hw[1], result.orig_hw[0])
            self._writer = self._open()
            self._started_at = result.frame.captured_at
        until = self._until(result.frame.captured_at) if self.live else self._frames + 1
        if until <= self._frames:
            return
        self._check_disk()
        for _ in range(until - self._frames - 1):
            self._writer.write(self._shown)
        self._shown = self._fit(result)
        self._writer.write(self._shown)
        self._frames = until

    def _until(self, captured_at: float) -> int:
        """How many of the video's frames there are once this one is shown."""
        until = round((captured_at - self._started_at) * self.fps) + 1
        if not 0 <= until - self._frames <= max(1, LONGEST_STILL_S * self.fps):  # an outage, or a clock that was set
            self._started_at = captured_at - self._frames / self.fps
            return self._frames + 1
        return until

    def _fit(self, result: "Result") -> "NDArray[np.uint8]":
        image = result.annotated
        if (image.shape[1], image.shape[0]) == self._wh:
            return image
        from pvt_edge.bundle.schema import ResizeSpec
        from pvt_edge.resizing import apply, plan

        fit = ResizeSpec(mode="letterbox", fill_bgr=(0, 0, 0))
        return apply(image, plan(result.orig_hw, (self._wh[1], self._wh[0]), fit), fit)

    def _check_disk(self) -> None:
        free = shutil.disk_usage(self.path.parent).free
        if free < RESERVE_BYTES + self._frames * INDEX_BYTES:  # OpenCV does not report failed writes
            raise DataError(
                f"the disk of {self.path} is full ({free >> 20} MiB left): the recording ends after {self._frames} "
                "frames; make room or record elsewhere"
            )

    def _open(self) -> Any:
        import cv2

        check_place(self.path)  # OpenCV does not say why a place cannot be written
        codecs = CODECS[self.path.suffix.lower()]
        for codec in codecs:
            writer = cv2.VideoWriter(str(self._aside), cv2.VideoWriter.fourcc(*codec), self.fps, self._wh)
            if writer.isOpened():
                return writer
        self._aside.unlink(missing_ok=True)  # what OpenCV began
        raise DataError(
            f"cannot write {self.path}: this OpenCV has none of the codecs {', '.join(codecs)} for "
            f"{self._wh[0]}x{self._wh[1]} pixels; save to a .avi file or to a folder"
        )

    def close(self) -> None:
        if self._writer is None:
            return
        self._writer.release()
        self._writer = None
        try:
            if self._aside.stat().st_size == 0:  # OpenCV does not report failed writes
                raise DataError(f"cannot write {self.path}: nothing arrived in the file; is the disk full?")
            mark_video(self._aside)
            self._aside.replace(self.path)
        except OSError as error:
            raise DataError(f"cannot finish {self.path}: {error.strerror or error}") from error

    def written(self) -> list[Path]:
        return [self.path] if self._frames else []
