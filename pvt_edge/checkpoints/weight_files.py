"""Weight files before they are read: which one of a folder, of what kind, and the one form of a refusal."""

import json
import re
from collections.abc import Collection
from enum import Enum
from os import PathLike
from pathlib import Path

from pvt_edge.errors import WeightsError

SHOWN = 3  # names listed before the count
_HEAD_BYTES = 512
_PICKLES = (b"PK\x03\x04", b"\x80")  # torch.save's zip; a bare pickle, as torch wrote before 1.6
_ACCEPTED = "give a .safetensors, .pth, .pt or .bin file"
_USUAL = (
    *("model.safetensors", "model.safetensors.index.json"),
    *("pytorch_model.bin", "pytorch_model.bin.index.json"),
)
_SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt", ".bin", ".tar")
_NO_WEIGHTS = re.compile(r"(optimizer|scheduler|scaler|rng_state|training_args)[\w.-]*\.\w+")
_SHARD = re.compile(r"(?P<stem>.+)-(?P<part>\d{5})-of-(?P<parts>\d{5})(?P<suffix>\.\w+)")


def refuse(path: str | PathLike[str], reason: object) -> WeightsError:
    """`WeightsError` "path: reason" on one line, control characters gone: names come from files."""
    text = " ".join(f"{path}: {reason}".split())
    return WeightsError("".join(c if c.isprintable() else "?" for c in text))


def first_few(names: Collection[str]) -> str:
    """The count and the first names: '5 (a, b, c, ...)'; long names are cut."""
    shown = [name if len(name) <= 100 else name[:97] + "..." for name in list(names)[:SHOWN]]
    more = ["..."] if len(names) > SHOWN else []
    return f"{len(names)} ({', '.join(shown + more)})"


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


def weight_file(path: Path) -> Path:
    """`path` itself, or the weight file (or index of shards) that the folder `path` holds.

    Takes `model.safetensors` before `pytorch_model.bin`, whole files before shards; what mmengine's
    `last_checkpoint` names; else the only file with a weight file's suffix. A Hugging Face cache folder leads to its
    snapshot. Raises `WeightsError` for a folder with none or with several to choose from.
    """
    if not path.is_dir():
        return path
    if (path / "snapshots").is_dir():
        return weight_file(_snapshot(path))
    for name in _USUAL:
        if (path / name).is_file():
            return path / name
    if (path / "last_checkpoint").is_file():
        named = path / Path((path / "last_checkpoint").read_text(encoding="utf-8-sig").strip()).name
        if named.is_file():
            return named
    found = sorted(p for p in path.iterdir() if p.suffix in _SUFFIXES and p.is_file())
    found = [p for p in found if not _NO_WEIGHTS.fullmatch(p.name)]
    indexes = sorted(path.glob("*.index.json"))
    if len(indexes) == 1:
        return indexes[0]
    safe = [p for p in found if p.suffix == ".safetensors"]
    for candidates in (safe, found):
        if len(candidates) == 1 or (candidates and all(_SHARD.fullmatch(p.name) for p in candidates)):
            return candidates[0]
    if not found:
        raise refuse(path, "is a folder without a weight file: give the .safetensors, .pth, .pt or .bin file itself")
    names = ", ".join([p.name for p in found][:SHOWN]) + (", ..." if len(found) > SHOWN else "")
    raise refuse(path, f"is a folder of {len(found)} weight files ({names}): give the one to take, {found[0]} say")


def _snapshot(cache: Path) -> Path:
    """The snapshot in a folder of the Hugging Face cache: that of `refs/main`, or the only one."""
    main = cache / "refs" / "main"
    if main.is_file():
        named = cache / "snapshots" / Path(main.read_text(encoding="utf-8-sig").strip()).name
        if named.is_dir():
            return named
    found = sorted(p for p in (cache / "snapshots").iterdir() if p.is_dir())
    if len(found) != 1:
        raise refuse(cache, f"holds {len(found)} snapshots: give the folder of the one to take, in {cache}/snapshots")
    return found[0]


def shards_of(path: Path) -> list[Path] | None:
    """All files of the model that `path` is a shard or the index of; None for a file that is whole.

    Raises `WeightsError` where shards are missing or an index lists what is no file beside it.
    """
    if path.name.endswith(".index.json"):
        return _listed(path)
    match = _SHARD.fullmatch(path.name)
    if match is None or int(match["parts"]) < 2:
        return None
    index = path.with_name(f"{match['stem']}{match['suffix']}.index.json")
    if index.is_file():
        return _listed(index)
    parts = int(match["parts"])
    shards = [path.with_name(f"{match['stem']}-{i:05}-of-{parts:05}{match['suffix']}") for i in range(1, parts + 1)]
    if missing := [shard.name for shard in shards if not shard.is_file()]:
        raise refuse(path, f"is one of {parts} shards: put {missing[0]} and {index.name} beside it")
    return shards


def _listed(index: Path) -> list[Path]:
    names = sorted(set(json.loads(index.read_text(encoding="utf-8-sig"))["weight_map"].values()))
    for name in names:
        if Path(name).name != name or name.endswith(".json"):
            raise refuse(index, f"lists {name!r}, which is no file beside it")
    return [index.with_name(name) for name in names]
