"""The pictures that one file holds: views of a multi-picture JPEG (CIPA DC-007), pages of a TIFF, an animated PNG.

A page of a TIFF is read by itself once the file's header points at it, and not at the first. The views are those of a
stereo or panorama camera.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FILL = 0xFF  # the first byte of a JPEG's marker, and any number before it
SCAN, APP2 = 0xDA, 0xE2  # the markers before the pixels, and of the segment with a multi-picture JPEG's index
FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
INDEX_TAG, ROW_BYTES = 0xB002, 16  # of that index, a row a picture
VIEWS = (0x020001, 0x020002, 0x020003)  # panorama, stereo, several angles: not previews of the first picture
UNDEFINED = 0  # what some write for a view, and telephones for the first picture's map of brightness
PNG_START = 8  # bytes of the signature
PNG_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"acTL", b"fcTL", b"IDAT", b"fdAT")
NEW_SUBFILE_TYPE = 254  # the tag of a TIFF's page that says what kind it is
REDUCED, MASK = 1, 4  # bits of it: a thumbnail of another page, its transparency


def find_segments(data: bytes, start: int = 0) -> Iterator[tuple[int, int]]:
    """(marker, place of the length behind it) of the segments of the JPEG that begins at `start`, up to its pixels.

    Ends also where the file is cut short or no marker follows.
    """
    at = start + 2
    while at + 4 <= len(data) and data[at] == FILL:
        marker = data[at + 1]
        if marker == FILL:
            at += 1
            continue
        yield marker, at + 2
        if marker == SCAN:
            return
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")


def find_views(data: bytes) -> list[tuple[int, int]]:
    """(begin, end) in the file of the pictures after the first that show a view of their own; mostly none."""
    for marker, at in find_segments(data):
        if marker == APP2 and data[at + 2 : at + 6] == b"MPF\0":
            try:
                return _views(data, at + 6, at + int.from_bytes(data[at : at + 2], "big"))
            except struct.error:
                return []
    return []


def _views(data: bytes, base: int, end: int) -> list[tuple[int, int]]:
    order = "<" if data[base : base + 2] == b"II" else ">"
    (first,) = struct.unpack_from(order + "I", data, base + 4)
    (count,) = struct.unpack_from(order + "H", data, base + first)
    for i in range(count):
        tag, _, size, offset = struct.unpack_from(order + "HHII", data, base + first + 2 + 12 * i)
        if tag == INDEX_TAG and base + offset + size <= end:
            whole = size // ROW_BYTES * ROW_BYTES
            rows = struct.iter_unpack(order + "IIIHH", data[base + offset : base + offset + whole])
            shape = _shape(data, 0)
            return [
                (base + begin, min(base + begin + length, len(data)))  # some write too great a length
                for kind, length, begin, _, _ in rows
                if begin and data[base + begin : base + begin + 2] == b"\xff\xd8"
                if kind & 0xFFFFFF in VIEWS or (kind & 0xFFFFFF == UNDEFINED and _shape(data, base + begin) == shape)
            ]
    return []


def _shape(data: bytes, start: int) -> bytes:
    """Precision, height, width and number of channels of the JPEG that begins at `start`, as in its header."""
    return next((data[at + 2 : at + 8] for marker, at in find_segments(data, start) if marker in FRAME_HEADERS), b"")


def is_animated_png(data: NDArray[np.uint8]) -> bool:
    """Whether a PNG says that it is animated, before its pixels and behind profiles and notes of any length."""
    return next((name for name, _, _ in _png_chunks(data) if name in (b"acTL", b"IDAT")), b"") == b"acTL"


def is_whole_png(data: NDArray[np.uint8]) -> bool:
    """Whether a PNG goes on to its end, and the checksums of what makes its pixels are right."""
    for name, begin, end in _png_chunks(data):
        if end + 4 > len(data):
            return False
        checksum = data[end : end + 4].tobytes()
        if name in PNG_PIXELS and zlib.crc32(data[begin - 4 : end].tobytes()).to_bytes(4, "big") != checksum:
            return False
        if name == b"IEND":
            return True
    return False


def _png_chunks(data: NDArray[np.uint8]) -> Iterator[tuple[bytes, int, int]]:
    """(name, begin and end of what is in it) of the parts of a PNG."""
    at = PNG_START
    while at + 8 <= len(data):
        length, name = struct.unpack(">I4s", data[at : at + 8].tobytes())
        yield name, at + 8, at + 8 + length
        at += 12 + length


@dataclass(frozen=True)
class TiffPages:
    """Where the pages lie in the file, and where each says what follows it; thumbnails and masks are left out.

    `cut` says that more are promised than there. `header` is how the first offset is written: where, and as what.
    """

    offsets: tuple[tuple[int, int], ...]
    cut: bool
    header: tuple[int, struct.Struct]

    def point_at(self, data: NDArray[np.uint8], page: int) -> None:
        """Make `page`, from 0, the only one of the file in `data`."""
        header_at, number = self.header
        offset, following_at = self.offsets[page]
        for at, value in ((header_at, offset), (following_at, 0)):
            data[at : at + number.size] = np.frombuffer(number.pack(value), np.uint8)


def find_pages(data: NDArray[np.uint8]) -> TiffPages:
    """The pages of a TIFF or BigTIFF file (TIFF 6.0, section 2)."""
    order = "<" if data[:2].tobytes() == b"II" else ">"
    big = data[2:4].tobytes() in (b"+\0", b"\0+")
    count, number, entry = (
        struct.Struct(order + form) for form in (("Q", "Q", "HHQ8s") if big else ("H", "I", "HHI4s"))
    )
    header_at = 8 if big else 4
    offsets: list[tuple[tuple[int, int], int]] = []  # with what kind of page
    seen: set[int] = set()
    at = _read(data, header_at, number)
    while at and at not in seen:
        seen.add(at)
        entries = _read(data, at, count)
        end = at + count.size + (entries or 0) * entry.size
        following = _read(data, end, number) if entries else None
        if following is None:
            at = None
            break
        table = data[at + count.size : end].tobytes()
        kinds = [value for tag, form, _, value in entry.iter_unpack(table) if tag == NEW_SUBFILE_TYPE]
        offsets.append(((at, end), struct.unpack_from(order + "I", kinds[0])[0] if kinds else 0))
        at = following
    whole = [offset for offset, kind in offsets if not kind & (REDUCED | MASK)]
    return TiffPages(tuple(whole or [offset for offset, _ in offsets]), at is None, (header_at, number))


def _read(data: NDArray[np.uint8], at: int, number: struct.Struct) -> int | None:
    """The number at `at`; None beyond the end of the file."""
    if at + number.size > len(data):
        return None
    return int(number.unpack(data[at : at + number.size].tobytes())[0])
