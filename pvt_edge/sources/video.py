"""A video file, frame by frame."""

from collections.abc import Iterator
from pathlib import Path

from pvt_edge.errors import DataError
from pvt_edge.sources.opencv_video import OpenCvReader
from pvt_edge.sources.source import Frame, Source
from pvt_edge.sources.video_end import is_cut_short
from pvt_edge.sources.video_faults import fault_lines
from pvt_edge.sources.video_reader import VideoReader, open_reader


class VideoFile(Source):
    """Frames of a video file, each with its time in the video (`Frame.video_s`).

    Pictures are as stored: fields of interlaced video woven, pixels not stretched to squares; turned as the file says.
    Read through PyAV; where that is not installed through OpenCV, which is refused where it may not have written a
    picture. `DataError` when the file is empty, cut short too early or no video. What was damaged and left out, and
    a file that is cut short, are named in `skipped`. `frame_count` is about where the file has no index.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        if path.stat().st_size == 0:
            raise DataError(f"cannot read {path}: the file is empty")
        self._path = path
        try:
            self._reader = _open_reader(path)
        except DataError as error:
            raise DataError(f"cannot read {path} as a video: {error}") from error
        self.fps, self.frame_count = self._reader.fps, self._reader.frame_count
        self._first = self._reader.read()
        if self._first is None:
            self._reader.close()
            why = self._reader.broken or (f"{self._reader.damaged} are damaged" if self._reader.damaged else "")
            raise DataError(
                f"cannot read {path} as a video: it holds no picture that can be decoded{f' ({why})' if why else ''}; "
                "it is damaged, was not written to its end, or needs another codec; try: "
                "ffmpeg -i IN -c:v libx264 OUT.mp4"
            )

    def __iter__(self) -> Iterator[Frame]:
        shown, self._first = self._first, None
        if shown is None:
            return
        count, last_s = 0, 0.0
        while shown is not None:
            number = count + self._reader.damaged  # what was left out has used up its number
            yield Frame(shown.image, number, path=self.name, video_s=shown.video_s)
            count, last_s = count + 1, shown.video_s
            shown = self._reader.read()
        self.skipped += fault_lines(self.name, self._reader, count, last_s, cut=is_cut_short(self._path))

    def close(self) -> None:
        self._reader.close()


def _open_reader(path: Path) -> VideoReader | OpenCvReader:
    try:
        import av  # noqa: F401 - asked before anything opens
    except ImportError:
        return OpenCvReader(path)
    return open_reader(path)
