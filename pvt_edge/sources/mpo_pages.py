"""The pictures of a multi-picture JPEG (CIPA DC-007): the views of a stereo or panorama camera."""

import struct

VIEWS = (0x020001, 0x020002, 0x020003)  # panorama, stereo, several angles: not previews of the first picture
UNDEFINED = 0  # what some write for a view, and telephones for the first picture's map of brightness
INDEX_TAG, ENTRY = 0xB002, 16
FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def find_views(data: bytes) -> list[tuple[int, int]]:
    """(begin, end) in the file of the pictures after the first that show a view of their own; mostly none."""
    at = 2
    while data[at : at + 1] == b"\xff" and at + 4 <= len(data) and data[at + 1] != 0xDA:
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] == 0xE2 and data[at + 4 : at + 8] == b"MPF\0":
            try:
                return _views(data, at + 8, at + 2 + size)
            except struct.error:
                return []
        at += 2 + size
    return []


def _views(data: bytes, base: int, end: int) -> list[tuple[int, int]]:
    order = "<" if data[base : base + 2] == b"II" else ">"
    (first,) = struct.unpack_from(order + "I", data, base + 4)
    (count,) = struct.unpack_from(order + "H", data, base + first)
    for i in range(count):
        tag, _, size, offset = struct.unpack_from(order + "HHII", data, base + first + 2 + 12 * i)
        if tag == INDEX_TAG and base + offset + size <= end:
            rows = struct.iter_unpack(order + "IIIHH", data[base + offset : base + offset + size // ENTRY * ENTRY])
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
    at = start + 2
    while data[at : at + 1] == b"\xff" and at + 10 <= len(data):
        if data[at + 1] in FRAME_HEADERS:
            return data[at + 4 : at + 10]
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return b""
