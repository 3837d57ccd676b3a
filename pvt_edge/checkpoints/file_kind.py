"""What a file is by its first bytes, for names lie: downloads save web pages as .pth."""

from enum import Enum
from pathlib import Path

from pvt_edge.checkpoints.refusal import refuse

_HEAD_BYTES = 512
_PICKLES = (b"PK\x03\x04", b"\x80")  # torch.save's zip; a bare pickle, as torch wrote before 1.6
_ACCEPTED = "give a .safetensors, .pth, .pt or .bin file"


class FileKind(Enum):
    """The two kinds of file that hold tensors."""

    SAFETENSORS = "safetensors"
    PICKLE = "pickle"  # torch.save, as a zip or in the form before 1.6


def file_kind(path: Path) -> FileKind:
    """The kind of file at `path`; `WeightsError` for what cannot be weights, with what it is instead."""
    if not path.exists():
        raise refuse(path, "no such file")
    if not path.is_file():
        raise refuse(path, "is not a regular file")
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        raise refuse(path, "is empty: download or copy it again")
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 32:
        return FileKind.SAFETENSORS
    if path.suffix == ".safetensors" and not _is_text(head):
        return FileKind.SAFETENSORS  # a broken one: let its own reader say how
    if head.startswith(b"version https://git-lfs"):
        raise refuse(path, "is a Git LFS pointer, not the weights: run `git lfs pull` or download the file itself")
    if head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        raise refuse(path, "is a web page, not weights: the download got a page; download the file itself")
    if _is_text(head):
        raise refuse(path, f"is a text file, not weights: {_ACCEPTED}")
    if head.startswith(_PICKLES):
        return FileKind.PICKLE
    raise refuse(
        path,
        f"begins as no checkpoint does ({head[:4].hex(' ')}), so it is damaged or another thing: {_ACCEPTED}",
    )


def _is_text(head: bytes) -> bool:
    """Whether `head` is plain text: no checkpoint's first bytes are."""
    text = head.decode("utf-8", errors="replace").rstrip("\N{REPLACEMENT CHARACTER}")  # a character cut in two
    unprintable = [c for c in text if not c.isprintable() and c not in "\t\r\n"]
    return bool(text) and not unprintable and "\N{REPLACEMENT CHARACTER}" not in text
