"""What is wrong with a video file: cut short, told by its own structure, or damaged; and how it is said."""

import os
import struct
from pathlib import Path
from typing import IO, Protocol

# Pictures of an index that may be missing: it may name some that are never shown, packed two and two in AVI, say.
MISSING_SHARE, MISSING_LEAST = 0.02, 2
EBML, SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"  # Matroska and WebM (RFC 9559)
BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp", b"sidx", b"moof", b"pnot")
PACKETS = ((188, 0), (192, 4))  # bytes of one of MPEG-TS, and of M2TS, and those before its sync byte
SYNC = 0x47
FLV_TAGS = (8, 9, 18)  # sound, pictures, words
MOST_PARTS = 1_000_000


def are_missing(promised: int | None, found: int) -> bool:
    """Whether a video whose index promises so many pictures (None: has no index) holds too few.

    >>> are_missing(50, 29), are_missing(50, 49), are_missing(None, 3)
    (True, False, False)
    """
    return promised is not None and promised - found > max(MISSING_LEAST, MISSING_SHARE * promised)


def damage_line(name: str, count: int, first_s: float | None = None) -> str:
    """That so many pictures were left out, the first at `first_s` in the video.

    >>> damage_line("a.mp4", 1, 0.48)
    'a.mp4: 1 damaged picture was left out, at 0.48 s'
    """
    first = "" if first_s is None else f", {'the first ' if count > 1 else ''}at {first_s:.2f} s"
    return f"{name}: {count} damaged {'pictures were' if count > 1 else 'picture was'} left out{first}"


class Faulty(Protocol):
    """What a reader of a video knows of it; see `VideoReader`."""

    frame_count: int | None
    indexed: bool
    states_count: bool
    length_s: float | None
    damaged: int
    damaged_s: float
    interrupted_s: float | None
    broken: str | None

    @property
    def stopped_early(self) -> bool: ...


def fault_lines(name: str, reader: Faulty, count: int, last_s: float, *, cut: bool) -> list[str]:
    """What is to be told of a video that was read to its end: `count` pictures, the last at `last_s`.

    `cut`: whether the file is known to be cut short.
    """
    lines = [damage_line(name, reader.damaged, reader.damaged_s)] if reader.damaged else []
    if reader.interrupted_s is not None and not reader.damaged:
        at = f"first at {reader.interrupted_s:.2f} s"
        lines.append(f"{name}: the stream is interrupted, {at}; pictures may be missing")
    missing = are_missing(reader.frame_count if reader.indexed else None, count + reader.damaged)
    if cut or missing or reader.broken or reader.stopped_early:
        of_all = f" of {reader.frame_count}" if reader.states_count and (reader.frame_count or 0) > count else ""
        of_length = f" of {reader.length_s:.2f}" if not of_all and (reader.length_s or 0) > last_s else ""
        why = "the file is cut short" if cut else "the rest is damaged"
        why += f" ({reader.broken})" if reader.broken else ""
        lines.append(f"{name}: ends after {count}{of_all} frames, at {last_s:.2f}{of_length} s; {why}")
    return lines


def is_cut_short(path: Path) -> bool:
    """Whether a part of an MP4, MOV, Matroska, WebM, AVI, MPEG-TS or FLV file goes on behind its end.

    False also where nothing is said: by other MPEG streams, say, or a file that was taken away since it was opened.
    """
    try:
        size = os.path.getsize(path)
        with path.open("rb") as file:
            return _overruns(file, size)
    except OSError:
        return False


def _overruns(file: IO[bytes], size: int) -> bool:
    head = file.read(12)
    if head[4:8] in BOXES:
        return _box_overruns(file, size)
    if head[:4] == EBML:
        return _element_overruns(file, size)
    if head[:4] == b"RIFF":
        return _chunk_overruns(file, size)
    if head[:3] == b"FLV":
        return _tag_is_missing(file, size)
    return _packet_is_cut(file, size)


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


def _element_overruns(file: IO[bytes], size: int) -> bool:
    at = 0
    for _ in range(MOST_PARTS):
        file.seek(at)
        head = file.read(16)
        id_bytes = _vint_bytes(head[:1])
        size_bytes = _vint_bytes(head[id_bytes : id_bytes + 1])
        if not id_bytes or not size_bytes:
            return 0 < len(head) <= id_bytes
        bits = 7 * size_bytes
        length = int.from_bytes(head[id_bytes : id_bytes + size_bytes], "big") & ((1 << bits) - 1)
        at += id_bytes + size_bytes
        if length != (1 << bits) - 1:  # else it is not known, as in a live recording: what is in it tells
            at += length
        if at >= size or (head[:4] == SEGMENT and length != (1 << bits) - 1):
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


def _tag_is_missing(file: IO[bytes], size: int) -> bool:
    """Whether the last tag of an FLV does not end with the file: behind each stands its length."""
    file.seek(size - 4)
    length = int.from_bytes(file.read(4), "big")
    at = size - 4 - length
    file.seek(max(0, at))
    head = file.read(4)
    return at < 0 or head[0] not in FLV_TAGS or int.from_bytes(head[1:], "big") + 11 != length


def _packet_is_cut(file: IO[bytes], size: int) -> bool:
    file.seek(0)
    head = file.read(3 * 192)
    return any(size % length != 0 for length, at in PACKETS if head[at::length][:3] == bytes([SYNC] * 3))
