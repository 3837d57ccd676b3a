"""Annotated frames as a video file."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pvt_edge.errors import DataError
from pvt_edge.sinks.sink import Sink

if TYPE_CHECKING:
    from pvt_edge.results import Result

DEFAULT_FPS = 25.0
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
    stops half-way; without a frame there is no file. `fps` None: 25. `live` shows each frame for as long as
    it was the newest, so that the video's clock is right however many frames were dropped. A disk that is nearly
    full is a `DataError` while there is still room to finish the file.
    """

    def __init__(self, path: str | Path, *, fps: float | None = None, live: bool = False) -> None:
        self.path = Path(path)
        self.target = str(path)
        self.fps, self.live = fps or DEFAULT_FPS, live
        if self.path.suffix.lower() not in CODECS:
            raise DataError(f"cannot write {path}: a video's suffix must be one of {' '.join(CODECS)}")
        self._aside = self.path.with_name(f".{self.path.stem}.part{self.path.suffix}")
        self._writer: Any = None
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
        times = self._times(result.frame.captured_at) if self.live else 1
        if times == 0:
            return
        self._check_disk()
        image = result.annotated
        if (image.shape[1], image.shape[0]) != self._wh:
            from pvt_edge.bundle.schema import ResizeSpec
            from pvt_edge.resizing import apply, plan

            fit = ResizeSpec(mode="letterbox", fill_bgr=(0, 0, 0))
            image = apply(image, plan(result.orig_hw, (self._wh[1], self._wh[0]), fit), fit)
        for _ in range(times):
            self._writer.write(image)
        self._frames += times

    def _times(self, captured_at: float) -> int:
        """How many of the video's frames this one fills, up to its own moment."""
        due = int((captured_at - self._started_at) * self.fps) + 1
        most = max(1, int(LONGEST_STILL_S * self.fps))
        if not 0 <= due - self._frames <= most:  # an outage, or a clock that was set: go on from here
            self._started_at = captured_at - self._frames / self.fps
            return 1
        return due - self._frames

    def _check_disk(self) -> None:
        free = shutil.disk_usage(self.path.parent).free
        if free < RESERVE_BYTES + self._frames * INDEX_BYTES:  # OpenCV does not report failed writes
            raise DataError(
                f"the disk of {self.path} is full ({free >> 20} MiB left): the recording ends after {self._frames} "
                "frames; make room or record elsewhere"
            )

    def _open(self) -> Any:
        import cv2

        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._aside.write_bytes(b"")  # OpenCV does not say why a place cannot be written
        except OSError as error:
            raise DataError(f"cannot write {self.path}: {error.strerror or error}; choose another place") from error
        codecs = CODECS[self.path.suffix.lower()]
        for codec in codecs:
            writer = cv2.VideoWriter(str(self._aside), cv2.VideoWriter.fourcc(*codec), self.fps, self._wh)
            if writer.isOpened():
                return writer
        self._aside.unlink(missing_ok=True)
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
            self._aside.replace(self.path)
        except OSError as error:
            raise DataError(f"cannot finish {self.path}: {error.strerror or error}") from error

    def written(self) -> list[Path]:
        return [self.path] if self._frames else []
