"""What is wrong with a video file, and how it is said."""

import os
import struct
from pathlib import Path
from typing import IO

EBML, SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"  # Matroska and WebM (RFC 9559)
BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp", b"sidx", b"moof", b"pnot")
MOST_PARTS = 1_000_000
# An index may name pictures that are never shown, such as those packed two and two in AVI.
TOLERANCE, LEAST = 0.02, 2


def are_missing(promised: int | None, found: int) -> bool:
    """Whether a video whose index promises so many pictures (None: has no index) holds too few.

    >>> are_missing(50, 29), are_missing(50, 49), are_missing(None, 3)
    (True, False, False)
    """
    return promised is not None and promised - found > max(LEAST, TOLERANCE * promised)


def damage_line(name: str, count: int, first_s: float | None = None) -> str:
    """That so many pictures were left out, the first at `first_s` in the video.

    >>> damage_line("a.mp4", 1, 0.48)
    'a.mp4: 1 damaged picture was left out, at 0.48 s'
    """
    first = "" if first_s is None else f", {'the first ' if count > 1 else ''}at {first_s:.2f} s"
    return f"{name}: {count} damaged {'pictures were' if count > 1 else 'picture was'} left out{first}"


def is_cut_short(path: Path) -> bool:
    """Whether a part of the file says that it is longer than the file: MP4 and MOV, Matroska and WebM, AVI.

    False also where nothing is said: MPEG streams, and recordings of which the length was not known as they began.
    """
    size = os.path.getsize(path)
    with path.open("rb") as file:
        head = file.read(12)
        if head[4:8] in BOXES:
            return _box_overruns(file, size)
        if head[:4] == EBML:
            return _segment_overruns(file, size)
        return head[:4] == b"RIFF" and _chunk_overruns(file, size)


def _box_overruns(file: IO[bytes], size: int) -> bool:
    at = 0
    for _ in range(MOST_PARTS):
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            return bool(head.strip(b"\0"))
        length = int.from_bytes(head[:4], "big")
        if length == 1:  # a size of 64 bits follows
            length = int.from_bytes(head[8:16], "big")
        if length < 8:  # 0: to the end of the file
            return False
        at += length
        if at >= size:
            return at > size
    return False


def _segment_overruns(file: IO[bytes], size: int) -> bool:
    at = 0
    for _ in range(8):
        file.seek(at)
        head = file.read(16)
        id_bytes = _vint_bytes(head[:1])
        size_bytes = _vint_bytes(head[id_bytes : id_bytes + 1])
        if not id_bytes or not size_bytes:
            return False
        bits = 7 * size_bytes
        length = int.from_bytes(head[id_bytes : id_bytes + size_bytes], "big") & ((1 << bits) - 1)
        if length == (1 << bits) - 1:  # not known
            return False
        at += id_bytes + size_bytes + length
        if at > size or head[:4] == SEGMENT:
            return at > size
    return False


def _vint_bytes(first: bytes) -> int:
    """How many bytes a number of variable length takes, by its first; 0 for none."""
    return 9 - first[0].bit_length() if first and first[0] else 0


def _chunk_overruns(file: IO[bytes], size: int) -> bool:
    at = 0
    while at + 8 <= size:
        file.seek(at)
        name, length = struct.unpack("<4sI", file.read(8))
        if not length or not name.isalnum():  # not finished, or what others put behind
            return False
        at += 8 + length + length % 2
        if at > size + 1:  # some leave out the last byte that makes the length even
            return True
    return False
