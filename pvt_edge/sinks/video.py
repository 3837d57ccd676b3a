"""Annotated frames as a video file."""

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


class VideoFile(Sink):
    """A video of the annotated frames, as large as the first; a frame of another size is fitted into it.

    Written beside its place under a name with ".part" and renamed by `close`, which also runs when the work
    stops half-way; without a frame there is no file. `fps` None: 25.
    """

    def __init__(self, path: str | Path, *, fps: float | None = None) -> None:
        self.path = Path(path)
        self.target = str(path)
        self.fps = fps or DEFAULT_FPS
        if self.path.suffix.lower() not in CODECS:
            raise DataError(f"cannot write {path}: a video's suffix must be one of {' '.join(CODECS)}")
        self._aside = self.path.with_name(f".{self.path.stem}.part{self.path.suffix}")
        self._writer: Any = None
        self._wh = (0, 0)

    def write(self, result: "Result") -> None:
        if self._writer is None:
            if result.path is not None and self.path.exists() and self.path.samefile(result.path):
                raise DataError(f"saving to {self.path} would write over its source; choose another name")
            self._wh = (result.orig_hw[1], result.orig_hw[0])
            self._writer = self._open()
        image = result.plot()
        if (image.shape[1], image.shape[0]) != self._wh:
            from pvt_edge.bundle.schema import ResizeSpec
            from pvt_edge.resizing import apply, plan

            fit = ResizeSpec(mode="letterbox", fill_bgr=(0, 0, 0))
            image = apply(image, plan(result.orig_hw, (self._wh[1], self._wh[0]), fit), fit)
        self._writer.write(image)

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
