"""The folder that downloads are kept in, and the record beside each of what it must be."""

import hashlib
import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from pvt_edge.atomic import write_file
from pvt_edge.errors import WeightsError


@dataclass(frozen=True)
class Record:
    """What a file was when it first came: from where, and its hash and size since."""

    url: str
    sha256: str
    bytes: int


def cache_folder() -> Path:
    """$PVT_EDGE_CACHE, or pvt-edge in the folder that the system keeps for caches ($XDG_CACHE_HOME, ~/.cache).

    Raises `WeightsError` where neither is to be had.
    """
    try:
        if given := os.environ.get("PVT_EDGE_CACHE"):
            return Path(given).expanduser().absolute()
        return _system_caches() / "pvt-edge" / ("Cache" if sys.platform == "win32" else "")
    except RuntimeError as error:  # a user without a home, as a container's may be
        raise WeightsError(
            "there is no home directory to keep weights in: name a folder for them in PVT_EDGE_CACHE"
        ) from error


def _system_caches() -> Path:
    """The folder that the system keeps for caches; `RuntimeError` where that needs a home and there is none."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    xdg = Path(os.environ.get("XDG_CACHE_HOME") or ".")
    return xdg if xdg.is_absolute() else Path.home() / ".cache"  # a relative one is to be ignored, says XDG


def record_path(path: Path) -> Path:
    """Where the record of the file at `path` lies."""
    return path.with_name(f"{path.name}.json")


def read_record(path: Path) -> Record | None:
    """The record of the file at `path`, or None where there is none yet; `WeightsError` for a broken one."""
    place = record_path(path)
    try:
        return Record(**json.loads(place.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise WeightsError(f"cannot read {place} ({error}): delete it, and {path} will be recorded anew") from error


def write_record(path: Path, record: Record) -> None:
    """Record what the file at `path` is; `OSError` where the folder cannot be written."""
    write_file(record_path(path), (json.dumps(asdict(record), indent=2) + "\n").encode())


def hash_file(path: Path) -> str:
    """The file's SHA-256 in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
