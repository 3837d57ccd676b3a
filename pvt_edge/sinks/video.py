"""Annotated frames as video files: one, or several for several streams and for weeks."""

import os
import shutil
import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from pvt_edge.errors import DataError, PictureWarning
from pvt_edge.sinks.encoders import CODECS, Encoder, holds_a_picture, open_encoder
from pvt_edge.sinks.place import check_apart, check_free, check_place, claim, dated, mark_video
from pvt_edge.sinks.sink import Sink

if TYPE_CHECKING:
    from typing import IO

    import numpy as np
    from numpy.typing import NDArray

    from pvt_edge.results import FrameInfo, Result

DEFAULT_FPS, MOST_FPS = 25.0, 1000.0  # some streams claim 90000, the clock of their time stamps
RESERVE_BYTES, INDEX_BYTES = 8 << 20, 32  # left free on the disk for the end of the file; of the index, a frame
LONGEST_STILL_S, LEAST_FPS = 2.0, 1.0  # a live source that gave nothing for longer, or fewer frames, was away
ROUNDING_S = 1e-3  # of the sum of many intervals


class VideoFile(Sink):
    """A video of the annotated frames, as large as the first; a frame of another size is fitted into it.

    Each frame of a video file is shown at its own time, each of a `live` source when it was captured, however many were
    dropped in between; an outage is cut out. Other pictures follow one another at `fps`, None: 25. AVI, and OpenCV
    where PyAV is missing, have an even rate: a frame is repeated there, or left out where several come within 1 / fps.

    Written beside its place under a name with ".part" and renamed by `close`, which also runs when the work stops
    half-way; without a frame there is no file. Raises `DataError` at once for a place that cannot be written, and for
    a disk that is nearly full while there is still room to finish the file. So for a video that another run writes.
    """

    def __init__(self, path: str | Path, *, fps: float | None = None, live: bool = False) -> None:
        self.path = Path(path)
        self.target = str(path)
        self.fps, self.live = fps if fps and fps <= MOST_FPS else DEFAULT_FPS, live
        if self.path.suffix.lower() not in CODECS:
            raise DataError(f"cannot write {path}: a video's suffix must be one of {' '.join(CODECS)}")
        check_place(self.path)
        self._place = Path(os.path.realpath(self.path))  # a link goes on pointing where it points
        self._aside = self._place.with_name(f".{self._place.stem}.part{self.path.suffix}")
        check_free(self._aside, self.path)
        self._claim: IO[bytes] | None = None  # on what is written aside
        self._encoder: Encoder | None = None
        self._wh = (0, 0)
        self._begin_s = 0.0  # by the clock of the frames
        self._image: NDArray[np.uint8] | None = None  # the last one
        self._last_id = 0
        self.length_s = 0.0
        self._finished = self._kept = False

    def write(self, result: "Result") -> None:
        if self._finished:
            raise DataError(f"cannot write to {self.path}: it is closed")
        if self._encoder is None:
            check_apart(self.path, result)
            self._wh = (result.orig_hw[1], result.orig_hw[0])
            self._encoder = self._open()
        at_s = self._shown_at(result.frame)
        self._check_disk(self._encoder)
        try:
            self._image = self._fit(result)
            self._encoder.write(self._image, at_s)
        except DataError as error:
            most = f"at most {_frames(self._encoder)}"  # some of them were still to be written
            raise DataError(f"{self._named(error)}: the recording ends after {most}") from error
        self.length_s, self._last_id = at_s + 1 / self.fps, result.frame.id

    def hold_until(self, frame: "FrameInfo") -> None:
        """Show the last frame until this one, with which the next video goes on."""
        now_s = clock_s(frame, live=self.live)
        if self._encoder is None or self._image is None or now_s is None:
            return
        gap_s = now_s - self._begin_s - self.length_s
        if gap_s < 0.5 / self.fps or self._was_away(frame, gap_s + 1 / self.fps):
            return
        self._encoder.write(self._image, self.length_s + gap_s - 1 / self.fps)
        self.length_s += gap_s

    def _shown_at(self, frame: "FrameInfo") -> float:
        """When the frame is shown, in seconds after the first."""
        now_s = clock_s(frame, live=self.live)
        if now_s is None:
            return self.length_s
        if self.length_s == 0.0:
            self._begin_s = now_s
        at_s = now_s - self._begin_s
        waits_s = at_s - self.length_s + 1 / self.fps
        if waits_s < -ROUNDING_S or self._was_away(frame, waits_s):  # below 0: the clock was set
            self._begin_s, at_s = now_s - self.length_s, self.length_s
        return at_s

    def _was_away(self, frame: "FrameInfo", for_s: float) -> bool:
        """Whether a live source gave hardly a frame in this time: dropped ones have used up their numbers."""
        if frame.video_s is not None or for_s <= max(LONGEST_STILL_S, 1 / self.fps):
            return False
        return frame.id - self._last_id < LEAST_FPS * for_s

    def _fit(self, result: "Result") -> "NDArray[np.uint8]":
        image = result.annotated
        if (image.shape[1], image.shape[0]) == self._wh:
            return image
        from pvt_edge.bundle.schema import ResizeSpec
        from pvt_edge.pictures.resizing import apply, plan

        fit = ResizeSpec(mode="letterbox", fill_bgr=(0, 0, 0))
        return apply(image, plan(result.orig_hw, (self._wh[1], self._wh[0]), fit), fit)

    def _check_disk(self, encoder: Encoder) -> None:
        free = shutil.disk_usage(self._place.parent).free
        if free < RESERVE_BYTES + encoder.frames * INDEX_BYTES + encoder.reserve_bytes:
            raise DataError(
                f"the disk of {self.path} is full ({free >> 20} MiB left): the recording ends after "
                f"{_frames(encoder)}; make room or record elsewhere"
            )

    def _open(self) -> Encoder:
        check_place(self.path)  # OpenCV does not say why a place cannot be written
        self._claim = self._claimed()
        try:
            encoder, note = open_encoder(self._aside, self._wh, self.fps, live=self.live)
        except DataError as error:
            self._aside.unlink(missing_ok=True)  # what was begun
            self._claim.close()
            raise DataError(f"cannot write {self.path}: {error}") from error
        if note:
            warnings.warn(f"{self.path}: {note}", PictureWarning, stacklevel=3)
        return encoder

    def _claimed(self) -> "IO[bytes]":
        """What keeps other runs from writing the same video, until it is closed."""
        try:
            file = self._aside.open("ab")
        except OSError as error:
            raise DataError(f"cannot write {self.path}: {error.strerror or error}; choose another place") from error
        try:
            claim(file, self.path)
        except DataError:
            file.close()
            raise
        return file

    def _named(self, error: Exception) -> str:
        """The error, with the name of the video and not of what is written aside."""
        return str(error).replace(str(self._aside), str(self.path))

    def close(self) -> None:
        if self._encoder is None or self._finished:
            return
        self._finished = True
        try:
            self._finish(self._encoder)
        finally:
            if self._claim is not None:
                self._claim.close()

    def _finish(self, encoder: Encoder) -> None:
        failure: Exception | None = None
        try:
            encoder.close()
        except DataError as error:
            failure = error
        try:
            if not holds_a_picture(self._aside):  # OpenCV does not report failed writes
                self._aside.unlink(missing_ok=True)
                why = self._named(failure) if failure else f"cannot write {self.path}"
                raise DataError(f"{why}: nothing of it can be played, so nothing was kept; is the disk full?")
            try:
                mark_video(self._aside)
            except OSError as error:  # what can be played is kept all the same
                failure = failure or DataError(f"cannot finish {self.path}: {error.strerror or error}")
            self._aside.replace(self._place)
            self._kept = True
        except OSError as error:
            raise DataError(f"cannot finish {self.path}: {error.strerror or error}") from error
        if failure is not None:
            raise DataError(self._named(failure)) from failure

    def written(self) -> list[Path]:
        return [self.path] if self._kept else []


def _frames(encoder: Encoder) -> str:
    return f"{encoder.frames} frame{'' if encoder.frames == 1 else 's'}"


def clock_s(frame: "FrameInfo", *, live: bool) -> float | None:
    """When the frame is due, by the clock of its video file or camera; None for pictures, which follow one another."""
    return frame.video_s if frame.video_s is not None else frame.captured_at if live else None


class VideoFiles(Sink):
    """A `VideoFile` for each stream (out_0.mp4, out_1.mp4 ... where there are several) and each `segment_s` seconds
    of it, by the clock of a camera or of a video file (out_0001.mp4, out_0002.mp4 ...). `fps` is by stream id; %Y, %m
    ... in the path are the time when each file begins.
    """

    def __init__(
        self, path: str | Path, *, fps: Mapping[int, float | None], live: bool, segment_s: float | None = None
    ) -> None:
        self.path, self.target = Path(path), str(path)
        self._fps, self._live, self._segment_s = fps, live, segment_s
        self._open: dict[int, tuple[VideoFile, float | None]] = {}  # with when it began
        self._segments: dict[int, int] = {}
        self._last: dict[int, VideoFile] = {}
        VideoFile(dated(path))  # refuses at once what cannot be written

    def write(self, result: "Result") -> None:
        stream = result.frame.stream.id if result.frame.stream is not None else 0
        now = clock_s(result.frame, live=self._live)
        if stream in self._open and self._segment_s and self._lasts_s(stream, now) >= self._segment_s - ROUNDING_S:
            video = self._open.pop(stream)[0]
            try:
                video.hold_until(result.frame)
            finally:
                video.close()
        if stream not in self._open:
            self._segments[stream] = self._segments.get(stream, 0) + 1
            self._last[stream] = VideoFile(self._name(stream), fps=self._fps.get(stream), live=self._live)
            self._open[stream] = (self._last[stream], now)
        self._open[stream][0].write(result)

    def _lasts_s(self, stream: int, now: float | None) -> float:
        video, began = self._open[stream]
        return video.length_s if now is None or began is None else now - began

    def _name(self, stream: int) -> Path:
        number = f"_{stream}" if len(self._fps) > 1 else ""
        segment = f"_{self._segments[stream]:04d}" if self._segment_s else ""
        path = dated(self.path)
        return path.with_name(f"{path.stem}{number}{segment}{path.suffix}")

    def close(self) -> None:
        with ExitStack() as stack:
            for video, _ in self._open.values():
                stack.callback(video.close)
        self._open.clear()

    def written(self) -> list[Path]:
        return [path for _, video in sorted(self._last.items()) for path in video.written()]
