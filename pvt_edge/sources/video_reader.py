"""The pictures of a video file, through PyAV.

OpenCV leaves the pictures of interlaced video unwritten, takes all colours for BT.601, and passes over what cannot be
decoded in silence.
"""

import os
import threading
import warnings
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pvt_edge.errors import DataError, PictureWarning
from pvt_edge.sources.video_frames import BgrConverter, VideoClock

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

ATTACHED_PICTURE, PASSES_ON_CUTS = 0x400, 0x200  # FFMPEG's AV_DISPOSITION_ATTACHED_PIC, AVFMT_TS_DISCONT
MOST_FPS, MOST_MEAN_FPS = 1000.0, 500.0  # above it is rather the clock of the time stamps
# Of other codecs' damage FFMPEG's decoders tell by themselves, or nobody can: VP8, VP9 and AV1 decode anything.
STAYS_SILENT = ("hevc", "mjpeg")
LONGEST_RUN = 8  # pictures that wait for the one they may be built on, which is shown after them
LARGEST_INDEX, LEAST_BYTES = 0.1, 16 << 10  # behind the last picture: a share of the file, and of a small one
UNREADABLE = "it is damaged, was not written to its end, or is no video"


class Shown(NamedTuple):
    """A picture (H, W, 3) uint8 BGR, and when it is shown: seconds after the first."""

    image: NDArray[np.uint8]
    video_s: float


class VideoReader:
    """Reads the video stream that players show by default; cover art is none. `DataError` for a file without.

    `fps` is the mean rate. `frame_count` is exact where the file has an index (`indexed`), else what it states
    (`states_count`) or about, by its length; None where it tells neither. `length_s` is the length that it states, with
    that of the sound.

    `damaged` counts what could not be decoded whole and was left out, with what was built on it, the first at
    `damaged_s`; `interrupted_s` is when an MPEG stream first lacks a packet; `broken` says why reading ended before the
    end of the file.
    """

    def __init__(self, container: "InputContainer", name: str) -> None:
        videos = video_streams(container)
        if not videos or videos[0].codec_context is None:
            raise DataError(_why_unreadable(container, videos))
        if len(videos) > 1:
            used = f"of {len(videos)} video streams the one with index {videos[0].index} is used"
            warnings.warn(f"{name}: {used}", PictureWarning, stacklevel=4)
        self._container: InputContainer | None = container
        self._busy = threading.RLock()  # a container that is closed while it reads takes the process down
        self.damaged, self.damaged_s = 0, 0.0
        self.interrupted_s: float | None = None
        self.broken: str | None = None
        stream = videos[0]
        stream.thread_type = "AUTO"
        self._silent = stream.codec_context.name in STAYS_SILENT
        if self._silent:
            stream.codec_context.options = {"err_detect": "explode"}
        self.fps = _rate(stream)
        self.frame_count, self.indexed = count_pictures(stream, container, self.fps)
        self.states_count = stream.frames > 0
        cuts = bool(_bits(container.format.flags) & PASSES_ON_CUTS)
        self.length_s = None if cuts else _length_s(stream, container)
        self._parts_are_cut = not cuts  # of MPEG streams a whole packet may be called damaged
        self._clock = VideoClock(self.fps, cut=cuts)
        self._bgr = BgrConverter()
        self._stream = stream
        self._packets: Iterator[Any] = container.demux()
        self._reached_bytes = 0  # of the file's bytes
        self._pictures: deque[VideoFrame] = deque()
        self._run: deque[tuple[VideoFrame, bool]] = deque()  # with whether it is whole
        self._at_s = 0.0
        self._begun = not cuts  # a broadcast is cut anywhere: what is built on pictures before the cut is no damage
        self._unsure = False  # after a loss, until a picture comes that needs no other

    def read(self) -> Shown | None:
        """The next picture that is whole; None at the end."""
        with self._busy:
            while self._run or self._fill_run():
                picture, whole = self._run.popleft()
                stamp_s = picture.time if picture.pts is not None else None
                if whole or stamp_s is None:  # after a loss decoders may give time stamps out of order
                    self._at_s = self._clock.at(stamp_s)
                image = self._bgr.convert(picture) if whole else None
                if image is not None:
                    return Shown(image, self._at_s)
                self._damage()
            return None

    def _fill_run(self) -> bool:
        """Whether more pictures come: those up to the next that is no B picture, which they may be built on."""
        from av.video.frame import PictureType

        run: list[VideoFrame] = []
        while len(run) < LONGEST_RUN and (picture := self._next()) is not None:
            run.append(picture)
            if picture.pict_type != PictureType.B:
                break
        broken = self._unsure or any(picture.is_corrupt for picture in run)
        for picture in run:
            self._unsure = broken and (picture.is_corrupt or not picture.key_frame)
            self._run.append((picture, not self._unsure))
        return bool(run)

    def _next(self) -> "VideoFrame | None":
        import av

        while not self._pictures:
            try:
                packet = next(self._packets, None) if self._container is not None else None
            except (av.FFmpegError, OSError) as error:
                self.broken = _reason(error)
                return None
            if packet is None:
                return None
            self._reached_bytes = max(self._reached_bytes, (packet.pos or 0) + packet.size)
            if packet.stream is not self._stream:
                continue
            if packet.is_corrupt:
                if self._parts_are_cut:  # a part of a picture, at the end of a file that is cut
                    continue
                self.interrupted_s = self._at_s if self.interrupted_s is None else self.interrupted_s
                if self._silent:
                    self._lose()
                    continue
            self._begun = self._begun or packet.is_keyframe
            try:
                self._pictures.extend(packet.decode())
            except (av.FFmpegError, OSError):
                self._lose()
        return self._pictures.popleft()

    @property
    def stopped_early(self) -> bool:
        """Whether much of a Matroska or WebM file was not read: elsewhere its end may hold an index of any size."""
        if self._container is None or "matroska" not in self._container.format.name:
            return False
        return self._container.size - self._reached_bytes > max(LARGEST_INDEX * self._container.size, LEAST_BYTES)

    def _lose(self) -> None:
        """A picture does not come, and what is built on it is not whole."""
        if self._begun:
            self._damage()
            self._unsure = True

    def _damage(self) -> None:
        self.damaged_s = self.damaged_s if self.damaged else self._at_s
        self.damaged += 1

    def close(self) -> None:
        """Free the file; a second call does nothing."""
        with self._busy:
            self._pictures.clear()
            self._run.clear()
            self._packets = iter(())
            if self._container is not None:
                self._container.close()
                self._container = None


def open_reader(path: Path) -> VideoReader:
    """The reader of a file. `DataError`, without the file's name, where it is no video."""
    import av

    try:  # an absolute name: FFMPEG takes "10:20.mp4" for an address; a playlist reaches no other places
        container = av.open(os.path.abspath(path), options={"protocol_whitelist": "file"}, metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise DataError(f"{_reason(error)}; {UNREADABLE}") from error
    try:
        return VideoReader(container, str(path))
    except DataError:
        container.close()
        raise


def video_streams(container: "InputContainer") -> "list[VideoStream]":
    """The videos in a file, first the one that players show by default; cover art is none."""
    videos = [stream for stream in container.streams.video if not _bits(stream.disposition) & ATTACHED_PICTURE]
    best = container.streams.best("video")
    return sorted(videos, key=lambda stream: stream is not best)


def _why_unreadable(container: "InputContainer", videos: "list[VideoStream]") -> str:
    if videos:
        return "it needs a codec that this PyAV lacks; try: ffmpeg -i IN -c:v libx264 OUT.mp4"
    others = sorted({stream.type for stream in container.streams if stream.type != "video"})
    return f"it holds no video, only {' and '.join(others)}" if others else UNREADABLE


def _rate(stream: "VideoStream") -> float | None:
    mean, guessed = stream.average_rate, stream.guessed_rate
    rate = guessed if guessed and (not mean or mean > MOST_MEAN_FPS) else mean
    return float(rate) if rate and 0 < rate <= MOST_FPS else None


def count_pictures(stream: "VideoStream", container: "InputContainer", fps: float | None) -> tuple[int | None, bool]:
    """(how many pictures are shown, whether that is by the index): those before the first of a cut are hidden."""
    if stream.frames > 0:
        entries = stream.index_entries
        if len(entries) == stream.frames:
            return sum(entry.size > 0 and not entry.is_discard for entry in entries), True
        return stream.frames, False
    seconds = _length_s(stream, container)
    return (round(seconds * fps) or None if seconds and fps else None), False


def _length_s(stream: "VideoStream", container: "InputContainer") -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return container.duration / 1e6 if container.duration else None


def _bits(flags: Any) -> int:
    """The flags as a number: PyAV 17 gives an `enum.Flag`."""
    return int(getattr(flags, "value", flags))


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
