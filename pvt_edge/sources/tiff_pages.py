"""The pages of a TIFF file. A page is read by itself once the file's header points at it, and not at the first."""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NEW_SUBFILE_TYPE = 254
REDUCED, MASK = 1, 4  # bits of that tag: a thumbnail of another page, its transparency


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
