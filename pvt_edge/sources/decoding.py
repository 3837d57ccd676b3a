"""Bytes of a picture -> pixels, with what the decoder has to say of them."""

import os
import re
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pvt_edge.errors import DataError
from pvt_edge.sources.pages import SCAN, find_segments
from pvt_edge.sources.picture_kind import HEAD_BYTES, picture_kind, why_unreadable

T = TypeVar("T")
STDERR = 2
# What libjpeg, libpng and OpenCV write to the terminal, without the name of a file.
OPENCV_LINE = re.compile(rb"\[ ?(?:WARN|ERROR|INFO):[^\n]*\n(?:>[^\n]*\n)*(?:\n)?")
LIBRARY_LINE = re.compile(
    rb"(?:Corrupt JPEG data|Premature end of JPEG|Invalid |Unsupported |Inconsistent |Warning: |Bogus |Unknown |"
    rb"libpng (?:warning|error)|JPEG datastream)[^\n]*\n"
)
HARMLESS = re.compile(r"extraneous bytes before marker 0xd9")  # every pixel was decoded before them
DAMAGE = re.compile(r"Corrupt JPEG data|Premature end of JPEG|TIFF_Error|libpng error")
terminal = threading.Lock()  # held by who turns it, or OpenCV's log level, which are the whole process's


def decode(data: NDArray[np.uint8]) -> tuple[NDArray[Any], str | None]:
    """(the picture (H, W, 3) BGR or (H, W), of any depth, turned as its EXIF says; what is odd with it).

    Raises `DataError`, without the file's name, for what is cut short, damaged or cannot be decoded.
    """
    import cv2

    kind = picture_kind(data[:HEAD_BYTES].tobytes())
    if kind == "JPEG" and not _jpeg_is_whole(data.tobytes()):
        raise DataError("the JPEG file is cut short")  # OpenCV would paint the rest grey

    def work() -> Any:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
        return cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if image is None and kind == "TIFF" else image  # grey floats

    image, messages = decoded(work)
    if image is None:
        found = kind is not None and next(iter(messages), None)  # a format without a decoder leaves no word
        raise DataError(f"the {kind} file is damaged ({_short(found)})" if found else why_unreadable(kind))
    for line in messages:
        if HARMLESS.search(line):
            return image, f"damaged at its end, though every pixel is there ({_short(line)})"
        if DAMAGE.search(line):
            raise DataError(f"the {kind} file is damaged ({_short(line)})")
    return image, None


def _jpeg_is_whole(data: bytes) -> bool:
    """Whether an end marker follows the start of scan; a thumbnail in a segment before has its own."""
    scan_at = next((at for marker, at in find_segments(data) if marker == SCAN), None)
    return scan_at is not None and data.find(b"\xff\xd9", scan_at) >= 0


def _short(line: str) -> str:
    """The message without OpenCV's place in its source."""
    line = re.sub(r"^\[.*?\] global \S+ \S+ ", "", line)
    line = re.sub(r"^imdecode_.*?\d+: error: \([^)]*\) ", "", line)
    return re.sub(r"^(?:libpng error|Corrupt JPEG data): ", "", line)[:100]


def decoded(work: Callable[[], T]) -> tuple[T, list[str]]:
    """`overheard`, with OpenCV's errors as `DataError`."""
    import cv2

    try:
        return overheard(work)
    except cv2.error as error:  # a header that claims more pixels than OpenCV allows
        raise DataError(" ".join(str(error.err).split())) from error


def overheard(work: Callable[[], T]) -> tuple[T, list[str]]:
    """(what `work` gives, the lines that decoders wrote to standard error meanwhile); other lines go on to it."""
    import cv2

    logging = cv2.utils.logging
    with terminal, ExitStack() as opened:
        try:
            file = opened.enter_context(tempfile.TemporaryFile())
            kept = os.dup(STDERR)
        except OSError:  # there is no standard error, or no place for a file
            return work(), []
        opened.callback(os.close, kept)
        level = logging.getLogLevel()
        os.dup2(file.fileno(), STDERR)
        logging.setLogLevel(logging.LOG_LEVEL_ERROR)
        try:
            done = work()
        finally:
            logging.setLogLevel(level)
            os.dup2(kept, STDERR)
            file.seek(0)
            text = file.read()
            _pass_on(LIBRARY_LINE.sub(b"", OPENCV_LINE.sub(b"", text)))
    return done, [line.decode(errors="replace").strip() for line in text.splitlines() if line.strip()]


def _pass_on(text: bytes) -> None:
    with suppress(OSError):
        if text.strip():
            os.write(STDERR, text)
