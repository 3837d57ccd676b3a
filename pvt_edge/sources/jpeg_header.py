"""What a JPEG's header says of its size and of how it is to be turned."""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pvt_edge.sources.mpo_pages import FRAME_HEADERS

SCAN, EXIF = 0xDA, 0xE1
ORIENTATION, UPRIGHT = 0x0112, 1


@dataclass(frozen=True)
class JpegHeader:
    """`stored_wh` is the size in the file, before it is turned by the EXIF `orientation`, 1 to 8."""

    stored_wh: tuple[int, int]
    orientation: int

    @property
    def swaps_sides(self) -> bool:
        """Whether the picture is displayed with width and height exchanged."""
        return self.orientation >= 5


def read_jpeg_header(path: Path) -> JpegHeader | None:
    """The header of the file; None for one that is not there or no JPEG."""
    try:
        with path.open("rb") as file:
            return _read(file) if file.read(2) == b"\xff\xd8" else None
    except (OSError, ValueError):  # ValueError: a name that no file can have
        return None


def _read(file: BinaryIO) -> JpegHeader | None:
    orientation = None
    while True:
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF or head[1] == SCAN:
            return None
        size = int.from_bytes(head[2:], "big") - 2
        if head[1] in FRAME_HEADERS:
            frame = file.read(5)  # precision, height, width
            if len(frame) < 5:
                return None
            height, width = struct.unpack(">HH", frame[1:])
            return JpegHeader((width, height), orientation or UPRIGHT)
        if head[1] == EXIF and orientation is None:
            orientation = _orientation(file.read(size))
        else:
            file.seek(size, 1)


def _orientation(segment: bytes) -> int | None:
    """That of the first directory of an EXIF segment (a TIFF behind "Exif"); None without one."""
    tiff = segment[6:]
    if segment[:6] != b"Exif\0\0" or tiff[:2] not in (b"II", b"MM"):
        return None
    order = "<" if tiff[:2] == b"II" else ">"
    try:
        (first,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, first)
        for i in range(count):
            tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, first + 2 + 12 * i)
            if tag == ORIENTATION:
                return value if 1 <= value <= 8 else UPRIGHT
    except struct.error:
        return None
    return None
