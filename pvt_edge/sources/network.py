"""Streams from the network, through PyAV: RTSP cameras, MJPEG over HTTP, video files on a web server.

OpenCV has FFMPEG too, but tells neither a decoding error nor a picture patched up after a loss, scales the old size's
way on when a stream changes its size, opens one stream at a time for the whole process, and takes its options from
the environment alone.
"""

import errno
import threading
import time
from collections import deque
from collections.abc import Iterator
from math import isfinite
from typing import TYPE_CHECKING, Any

from pvt_edge.errors import DataError, RuntimeMissingError
from pvt_edge.options.stream import SourceOptions
from pvt_edge.sources.diagnosis import Port, refusal, why_not
from pvt_edge.sources.picture import read_first
from pvt_edge.sources.source import Frame, LiveSource
from pvt_edge.sources.video_faults import fault_lines
from pvt_edge.sources.video_frames import BgrConverter, Lateness
from pvt_edge.sources.video_reader import VideoReader, video_streams
from pvt_edge.sources.web_picture import fetch_picture
from pvt_edge.web_addresses import login_of, redact

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer

RELEASE_S = 1.0  # that a stream stuck in a read is waited for, before it is left to its own time-out
KEY_FRAME_S = 20.0  # that packets may come without a picture: some cameras send a key frame as rarely
MOST_LATE_S = 0.5  # then pictures are passed over, up to a key frame that is in time
AWAY = (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH)
ENDLESS = ("mpjpeg", "hls", "dash")  # the bytes that these state are made up, or of a list of parts
QUEUED_S = 0.008  # less than this is no wait for a packet, but one for Python's lock


class NetworkStream(LiveSource):
    """The stream at `address`; user and password in the address never show in `name` or an error."""

    tells_time = True  # whether the times of the packets are the sender's clock

    def __init__(self, address: str, options: SourceOptions) -> None:
        super().__init__(redact(address), options)
        try:
            import av  # noqa: F401 - asked before anything opens
        except ImportError as error:
            raise RuntimeMissingError(f'{self.name} needs PyAV ({error}): pip install "pvt-edge[stream]"') from error
        self._address, self._port = address, Port(address)
        self.wh = (0, 0)
        self._container: InputContainer | None = None
        self._packets: Iterator[Any] = iter(())
        self._pictures: deque[VideoFrame] = deque()
        self._first: Frame | None = None
        self._lateness, self._late_s, self._catching_up = Lateness(), 0.0, False
        self._count = 0
        self._busy = threading.RLock()  # a container that is closed while it reads takes the process down

    def _settings(self) -> dict[str, str]:
        """FFMPEG's options."""
        return {"fpsprobesize": "0"}  # else 20 frames are held back to count their rate, and come late

    def connect(self) -> None:
        self.disconnect()
        self._port.forget()
        why = self._open()
        if why is None:
            self._first = self.read()
        if self._first is None:
            self.disconnect()
            raise DataError(f"cannot open {self.name}: {why or why_not(self._address, self.options.stall_s)}")
        self.connected = True

    def _open(self) -> str | None:
        """Open the container; why FFMPEG cannot, where it says that and its server would not, else None."""
        import av

        try:
            stall_s = self.options.stall_s
            container = av.open(self._address, options=self._settings(), timeout=stall_s, metadata_errors="replace")
        except av.FFmpegError as error:  # its text has the address with the password
            if getattr(error, "errno", None) in AWAY:
                self._port.refused()
            return self._refusal(error)
        except (OSError, ValueError, RuntimeError):  # a blank or a nought in the address
            return None
        self._container = container
        videos = video_streams(container)
        if not videos or videos[0].codec_context is None:
            return None
        stream = videos[0]
        stream.thread_type = "SLICE"  # threads by frame would hold back one frame each
        self.fps = self._rate(stream)
        self._lateness, self._late_s, self._catching_up = Lateness(), 0.0, False
        self._packets, self._bgr = container.demux(stream), BgrConverter()
        return None

    def _refusal(self, error: Exception) -> str | None:
        """Why, where the error says it: asking again could lock an account whose password is wrong."""
        import av

        refusals = (av.HTTPUnauthorizedError, 401), (av.HTTPForbiddenError, 403), (av.HTTPNotFoundError, 404)
        status = next((status for kind, status in refusals if isinstance(error, kind)), None)
        return refusal(status, login_of(self._address)) if status else None

    def _rate(self, stream: Any) -> float | None:
        fps = float(stream.average_rate or stream.guessed_rate or 0)
        return fps if isfinite(fps) and 0 < fps <= 1000 else None

    def read(self) -> Frame | None:
        if self._first is not None:
            frame, self._first = self._first, None
            return frame
        with self._busy:
            while (picture := self._next_picture()) is not None:
                at, tick = time.time() - self._late_s, time.perf_counter() - self._late_s
                image = self._bgr.convert(picture)
                if image is not None:
                    self.wh = (image.shape[1], image.shape[0])
                    self._count += 1
                    return Frame(image, self._count - 1, at, tick=tick)
                self.decode_errors += 1
            return None

    def _next_picture(self) -> "VideoFrame | None":
        import av

        until = time.monotonic() + max(self.options.stall_s, KEY_FRAME_S)
        while not self._pictures:
            if self._container is None or time.monotonic() > until:
                return None
            began = time.monotonic()
            try:
                packet = next(self._packets, None)
            except (av.FFmpegError, OSError):  # timed out, broken off
                return None
            if packet is None:
                return None
            if self._is_passed_over(packet, queued=time.monotonic() - began < QUEUED_S):
                continue
            try:
                pictures = packet.decode()
            except av.FFmpegError:
                self.decode_errors += 1
                continue
            whole = [picture for picture in pictures if not picture.is_corrupt]
            self.decode_errors += len(pictures) - len(whole)
            self._pictures.extend(whole)
        return self._pictures.popleft()

    def _is_passed_over(self, packet: Any, *, queued: bool) -> bool:
        """Whether to leave the packet undecoded: we are behind, and it is no key frame to go on from.

        `queued` says that it was there when asked for: what had to be waited for is the newest, however late.
        """
        sent = packet.dts if packet.dts is not None else packet.pts
        if not self.tells_time or sent is None:
            return False
        self._late_s = self._lateness.now_s(float(sent * packet.time_base))
        behind = queued and self._late_s > MOST_LATE_S
        if packet.is_keyframe:
            self._catching_up = behind
            return False
        self._catching_up = self._catching_up or behind
        self.passed_over += self._catching_up
        return self._catching_up

    def disconnect(self) -> None:
        self.connected, self._first = False, None
        if self._busy.acquire(timeout=RELEASE_S):
            try:
                self._pictures.clear()
                self._packets = iter(())
                if self._container is not None:
                    self._container.close()
                    self._container = None
            finally:
                self._busy.release()

    def is_back(self) -> bool:
        return self._port.is_back()


class RtspStream(NetworkStream):
    """An RTSP camera."""

    def _settings(self) -> dict[str, str]:
        # of the picture alone: sound would keep a camera alive whose picture is dead
        only = {"rtsp_transport": self.options.rtsp_transport, "allowed_media_types": "video"}
        return {**super()._settings(), **only}

    def _refusal(self, error: Exception) -> str | None:
        if getattr(error, "errno", None) != errno.EPROTONOSUPPORT:
            return super()._refusal(error)
        other = "udp" if self.options.rtsp_transport == "tcp" else "tcp"
        return f"its server does not send over {self.options.rtsp_transport}; try --rtsp-transport {other}"


class HttpStream(NetworkStream):
    """MJPEG, or a file on a web server: `live` is False once that has told its length, in seconds or bytes, or that it
    is a picture (`is_picture`)."""

    tells_time = False  # MJPEG has no times; FFMPEG makes them up
    is_picture = False

    def __init__(self, address: str, options: SourceOptions) -> None:
        super().__init__(address, options)
        self._file: VideoReader | None = None
        self._last_s = 0.0

    def connect(self) -> None:
        super().connect()
        if self._container is not None and self._container.format.name.endswith("_pipe"):  # a single picture
            try:
                picture = fetch_picture(self._address, self.options.stall_s)
                if picture is not None:
                    self._first = Frame(read_first(picture, self.name, self.options.pixel_max))
                    self.live, self.is_picture, self.frame_count = False, True, 1
            except DataError:
                self.disconnect()
                raise

    def _open(self) -> str | None:
        why = super()._open()
        container = self._container
        if why is None and container is not None and _is_file(container):
            self.live, self._file = False, VideoReader(container, self.name)
            self.fps, self.frame_count = self._file.fps, self._file.frame_count
        return why

    def _rate(self, stream: Any) -> float | None:
        return None if stream.container.format.name == "mpjpeg" else super()._rate(stream)

    def read(self) -> Frame | None:
        if self.live or self._first is not None:
            return super().read()
        frame = None if self._file is None else self._read_file(self._file)
        if frame is None and not self.ended:
            self.ended = True
            if self._file is not None:
                self.skipped += fault_lines(self.name, self._file, self._count, self._last_s, cut=False)
        return frame

    def _read_file(self, file: VideoReader) -> Frame | None:
        with self._busy:
            shown = file.read()
        self.decode_errors = file.damaged
        if shown is None:
            return None
        self.wh = (shown.image.shape[1], shown.image.shape[0])
        self._count, self._last_s = self._count + 1, shown.video_s
        return Frame(shown.image, self._count - 1 + file.damaged, video_s=shown.video_s)

    def disconnect(self) -> None:
        super().disconnect()
        if self._file is not None and self._container is None:
            self._file.close()


def _is_file(container: "InputContainer") -> bool:
    name = container.format.name
    return not name.endswith("_pipe") and bool(container.duration or (name not in ENDLESS and container.size > 0))
