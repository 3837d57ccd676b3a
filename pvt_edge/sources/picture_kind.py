"""What a picture file says of itself: its kind by its first bytes, and a JPEG's size and how it is to be turned."""

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pvt_edge.sources.pages import FILL, FRAME_HEADERS, SCAN
from pvt_edge.sources.source import VIDEO_SUFFIXES

HEAD_BYTES = 64  # of a file, that tell its kind
PICTURE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".bmp", ".dib", ".webp", ".tif", ".tiff", ".gif"),
    *(".avif", ".jp2", ".ppm", ".pgm", ".pbm", ".pnm"),
)
RAW_SUFFIXES = (".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".pef", ".raf", ".rw2", ".srw")
UNREADABLE_SUFFIXES = (*RAW_SUFFIXES, ".heic", ".heif", ".jxl", ".psd", ".exr", ".hdr", ".svg")
MAGIC = (
    ("JPEG", b"\xff\xd8\xff"),
    ("PNG", b"\x89PNG\r\n\x1a\n"),
    ("GIF", b"GIF8"),
    ("TIFF", b"II*\0"),
    ("TIFF", b"MM\0*"),
    ("TIFF", b"II+\0"),  # BigTIFF
    ("TIFF", b"MM\0+"),
    ("JPEG 2000", b"\0\0\0\x0cjP  "),
    ("JPEG XL", b"\0\0\0\x0cJXL "),
    ("JPEG XL", b"\xff\x0a"),
    ("Photoshop", b"8BPS"),
    ("OpenEXR", b"v/1\x01"),
    ("Radiance HDR", b"#?RADIANCE"),
)
BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"crx ": "camera raw"} | dict.fromkeys(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "HEIC"
)
ADVICE = {
    "AVIF": "damaged, or this OpenCV was built without it; convert it, such as: avifdec IN.avif OUT.png",
    "GIF": "OpenCV reads it from 4.11 on; convert it to .png",
    "HEIC": "OpenCV does not read it; convert it, such as: heif-convert IN.heic OUT.jpg",
    "JPEG XL": "OpenCV does not read it; convert it, such as: djxl IN.jxl OUT.png",
    "camera raw": "OpenCV does not develop it; save it as TIFF or JPEG",
}
VIDEO_AMONG_PICTURES = "a video: give it as a source of its own"
EXIF = 0xE1  # a JPEG's marker of the segment with the camera's notes
ORIENTATION, UPRIGHT = 0x0112, 1  # the tag in it, and its value where nothing is to be turned
BY_SUFFIX = {".heic": "HEIC", ".heif": "HEIC", ".jxl": "JPEG XL", ".psd": "Photoshop", ".svg": "SVG"}


def picture_kind(head: bytes, suffix: str = "") -> str | None:
    """The kind of picture whose first bytes are `head` ("JPEG", "HEIC" ...), None for what is no picture.

    `suffix` tells a camera's raw file, which begins as a TIFF.
    """
    if suffix.lower() in RAW_SUFFIXES:
        return "camera raw"
    for kind, magic in MAGIC:
        if head.startswith(magic):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[4:8] == b"ftyp":
        return BRANDS.get(head[8:12])
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return "BMP"
    if head[:1] == b"P" and head[1:2] in b"1234567" and head[2:3].isspace():
        return "PNM"
    return None


def why_unreadable(kind: str | None) -> str:
    """Why OpenCV cannot decode a file of this kind, and the mend."""
    if kind is None:
        return "not an image that OpenCV can decode, or a damaged one"
    return (
        f"{kind}: {ADVICE.get(kind, 'damaged, cut short, or of a sort that this OpenCV does not read; save it as PNG')}"
    )


def why_unusable(path: Path) -> str | None:
    """Why a file of this suffix is no picture for us though it may seem one, and the mend; None for the others."""
    suffix = path.suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return VIDEO_AMONG_PICTURES
    if suffix in UNREADABLE_SUFFIXES:
        return why_unreadable(BY_SUFFIX.get(suffix) or picture_kind(b"", suffix) or suffix[1:].upper())
    return None


def is_picture_file(path: Path) -> bool:
    """Whether `path` is to be read as a picture, or named where it cannot be: by its suffix, or else its first bytes.

    A video counts, so that it is named. Folders, and files that are neither (notes, labels, thumbnails' databases),
    do not.
    """
    suffix = path.suffix.lower()
    if os.path.isdir(path):
        return False
    if suffix in (*PICTURE_SUFFIXES, *UNREADABLE_SUFFIXES, *VIDEO_SUFFIXES):
        return True
    if not os.path.isfile(path):  # a pipe would be waited for
        return False
    try:
        with path.open("rb") as file:
            return picture_kind(file.read(HEAD_BYTES)) is not None
    except OSError:
        return False


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
        while head[:2] == bytes([FILL, FILL]):
            head = head[1:] + file.read(1)
        if len(head) < 4 or head[0] != FILL or head[1] == SCAN:
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
