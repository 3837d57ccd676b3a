"""Pictures and their times -> a video file: H.264 or VP9 through PyAV, or at an even rate through OpenCV."""

import os
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pvt_edge.errors import DataError
from pvt_edge.sources.capture import quiet_opencv

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

H264 = ("libx264", "libopenh264", "h264_videotoolbox", "h264_mf")
# Suffix -> PyAV's encoders, then OpenCV's codes: first what its wheels can write, then what other builds may. AVI has
# one rate and no times, so that is OpenCV's alone.
CODECS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    **dict.fromkeys((".mp4", ".m4v", ".mov", ".mkv"), (H264, ("mp4v", "avc1"))),
    ".avi": ((), ("MJPG", "XVID")),
    ".webm": (("libvpx-vp9", "libvpx"), ("VP90", "VP80")),
}
MP4 = (".mp4", ".m4v", ".mov")
# Without look-ahead each frame is on the disk at once. The fastest costs 1.7 times the CPU of MPEG-4 through OpenCV, at
# the same size and 2 dB better; the model needs the cores.
OPTIONS = {
    "libx264": {"preset": "ultrafast", "tune": "zerolatency", "crf": "21"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "crf": "30", "b": "0", "row-mt": "1"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "crf": "10", "b": "4M"},
}
BITS_A_PIXEL = 0.15  # of encoders that know no constant quality
TICK = Fraction(1, 720_000)  # s; 24000/1001, 30000/1001 and all usual whole rates are a whole number of them
KEY_FRAME_S, FRAGMENT_S = 2.0, 1.0
HD_LINES = 720  # from here on players take BT.709 where a file states nothing
BT601, BT709, LIMITED = 6, 1, 1  # as in ITU-T H.273


class Encoder(Protocol):
    """`write` takes a picture (H, W, 3) uint8 BGR of the size it was opened for, shown from `at_s` seconds on.

    Sides of odd length get one more row or column, the last one's repeated: colours are stored for two by two pixels.

    `close` finishes the file. Both raise `DataError` where the disk says no. `reserve_bytes` are still to be written
    when no more pictures come.
    """

    frames: int

    @property
    def reserve_bytes(self) -> int: ...
    def write(self, image: NDArray[np.uint8], at_s: float) -> None: ...
    def close(self) -> None: ...


def open_encoder(path: Path, wh: tuple[int, int], fps: float, *, live: bool) -> tuple[Encoder, str]:
    """(the encoder for a file of this suffix, what is to be told of it). `DataError` where there is none."""
    suffix = path.suffix.lower()
    names, codes = CODECS[suffix]
    try:
        from av.codec import codecs_available
    except ImportError:
        codecs_available = set()
    for name in names:
        if name in codecs_available:
            try:
                return TimedEncoder(path, name, wh, fps, live=live), ""
            except DataError:  # a system's encoder that this machine cannot run
                path.unlink(missing_ok=True)
    what = "VP9" if suffix == ".webm" else "H.264"
    note = f"no {what} encoder is here (pip install av): OpenCV writes at an even rate" + (
        "" if suffix == ".webm" else " and as MPEG-4 Part 2, which browsers do not play"
    )
    return SteadyEncoder(path, codes, wh, fps), note if names else ""


class TimedEncoder:
    """Each picture at its own time.

    An MP4 that is not `live` begins with its index, so that browsers play while they load; a live one can be played up
    to its last second wherever it breaks off.
    """

    def __init__(self, path: Path, codec: str, wh: tuple[int, int], fps: float, *, live: bool) -> None:
        import av

        self.frames, self._path, self._fps, self._live = 0, path, fps, live
        self._wh = _even_wh(wh)
        self._last, self._largest = -1, 0
        options = {}
        if path.suffix.lower() in MP4:
            fragments = {"movflags": "hybrid_fragmented", "frag_duration": str(round(FRAGMENT_S * 1e6))}
            options = fragments if live else {"movflags": "faststart"}
        elif live:  # Matroska's parts, that are written when they are full
            options["cluster_time_limit"] = str(round(FRAGMENT_S * 1e3))
        if live:
            options["flush_packets"] = "1"
        rate = Fraction(fps).limit_denominator(1001)
        try:
            self._container: OutputContainer | None = av.open(os.path.abspath(path), "w", options=options)
            self._stream: VideoStream = self._container.add_stream(  # type: ignore[assignment]  # by the codec's name
                codec, rate=rate, options=dict(OPTIONS.get(codec, {}))
            )
            self._set_up(self._stream, codec)
            self._stream.codec_context.open()
        except (av.FFmpegError, OSError, ValueError) as error:
            raise DataError(f"{codec}: {error}") from error

    def _set_up(self, stream: "VideoStream", codec: str) -> None:
        context = stream.codec_context
        stream.width, stream.height = self._wh
        stream.pix_fmt = "yuv420p"
        context.time_base = TICK
        context.gop_size = max(1, round(KEY_FRAME_S * self._fps))
        self._matrix = BT709 if self._wh[1] >= HD_LINES else BT601
        context.colorspace, context.color_range = self._matrix, LIMITED
        if codec not in OPTIONS:
            context.bit_rate = round(self._wh[0] * self._wh[1] * min(self._fps, 60) * BITS_A_PIXEL)

    @property
    def reserve_bytes(self) -> int:
        return round(2 * FRAGMENT_S * self._fps * self._largest) if self._live else self._largest

    def write(self, image: NDArray[np.uint8], at_s: float) -> None:
        import av

        picture = av.VideoFrame.from_ndarray(_even(image), format="bgr24").reformat(
            format="yuv420p", dst_colorspace=self._matrix, dst_color_range=LIMITED
        )
        self._last = max(round(at_s / TICK), self._last + 1)
        picture.pts, picture.time_base = self._last, TICK
        self._mux(picture)
        self.frames += 1

    def _mux(self, picture: Any) -> None:
        import av

        if self._container is None:
            return
        try:
            for packet in self._stream.encode(picture):
                packet.duration = round(1 / (self._fps * TICK))  # counts for the last one alone
                self._largest = max(self._largest, packet.size)
                self._container.mux(packet)
        except (av.FFmpegError, OSError) as error:
            raise DataError(f"cannot write to {self._path}: {error.strerror or error}") from error

    def close(self) -> None:
        import av

        container = self._container
        if container is None:
            return
        try:
            self._mux(None)
        finally:
            self._container = None
            try:
                container.close()
            except (av.FFmpegError, OSError) as error:
                raise DataError(f"cannot finish {self._path}: {error.strerror or error}") from error


class SteadyEncoder:
    """An even rate: a picture is repeated until the next is due, and one that comes before its turn finds no place."""

    reserve_bytes = 0

    def __init__(self, path: Path, codes: tuple[str, ...], wh: tuple[int, int], fps: float) -> None:
        import cv2

        quiet_opencv()
        self.frames, self._fps = 0, fps
        self._shown: NDArray[np.uint8] | None = None
        name = os.path.abspath(path)
        for code in codes:
            for backend in (cv2.CAP_FFMPEG, cv2.CAP_ANY):
                if backend == cv2.CAP_ANY and "%" in name:  # which others take for the number of a picture
                    continue
                self._writer = cv2.VideoWriter(name, backend, cv2.VideoWriter.fourcc(*code), fps, _even_wh(wh))
                if self._writer.isOpened():
                    return
        raise DataError(
            f"this OpenCV has none of the codecs {', '.join(codes)} for {wh[0]}x{wh[1]} pixels; pip install av, or "
            "save to a folder"
        )

    def write(self, image: NDArray[np.uint8], at_s: float) -> None:
        until = round(at_s * self._fps) + 1
        if until <= self.frames:
            return
        for _ in range(until - self.frames - 1):
            self._writer.write(self._shown)
        self._shown = _even(image)
        self._writer.write(self._shown)
        self.frames = until

    def close(self) -> None:
        self._writer.release()


def _even_wh(wh: tuple[int, int]) -> tuple[int, int]:
    return wh[0] + wh[0] % 2, wh[1] + wh[1] % 2


def _even(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    extra = (image.shape[0] % 2, image.shape[1] % 2)
    if any(extra):
        image = np.pad(image, ((0, extra[0]), (0, extra[1]), (0, 0)), mode="edge")
    return np.ascontiguousarray(image)


def holds_a_picture(path: Path) -> bool:
    """Whether a player would show anything of the file."""
    name = os.path.abspath(path)
    try:
        import av
    except ImportError:
        import cv2

        capture = cv2.VideoCapture(name, cv2.CAP_FFMPEG if "%" in name else cv2.CAP_ANY)
        found = bool(capture.grab())
        capture.release()
        return found
    try:
        with av.open(name) as container:
            return next(container.decode(video=0), None) is not None
    except (av.FFmpegError, OSError, IndexError):
        return False
