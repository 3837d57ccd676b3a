"""Annotated frames of several streams, or of weeks, as several video files."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from pvt_edge.sinks.place import dated
from pvt_edge.sinks.sink import Sink
from pvt_edge.sinks.video import VideoFile, clock_s

if TYPE_CHECKING:
    from pvt_edge.results import Result

ROUNDING_S = 1e-3  # of the sum of many intervals


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
