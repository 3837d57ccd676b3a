"""Published weights -> a file in the cache that is what its publisher, or the first download, says it is."""

import errno
import hashlib
import json
import os
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

from pvt_edge.atomic import write_file
from pvt_edge.errors import WeightsError
from pvt_edge.weights.download import DownloadError, Patience, Progress, discard, download, shown_address
from pvt_edge.weights.published import PublishedWeights

# what is in a file: the variant that it holds, None where that cannot be told; raises `WeightsError` for no checkpoint
ContentCheck: TypeAlias = Callable[[Path], "str | None"]
READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


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
    from platformdirs import user_cache_path

    given, folder = os.environ.get("PVT_EDGE_CACHE"), Path("~")
    with suppress(RuntimeError):
        folder = Path(given).expanduser() if given else user_cache_path("pvt-edge", appauthor=False)
    if str(folder).startswith("~"):  # a user without a home, as a container's may be
        raise WeightsError("there is no home directory to keep weights in: name a folder for them in PVT_EDGE_CACHE")
    return folder.absolute()


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


def cached_path(published: PublishedWeights) -> Path:
    """Where the file lies once it is here; a file put there by hand is taken as it is."""
    return cache_folder() / "weights" / published.file


def is_offline() -> bool:
    """Whether $PVT_EDGE_OFFLINE forbids downloads."""
    return os.environ.get("PVT_EDGE_OFFLINE", "0").lower() not in ("", "0", "false", "no", "off")


def obtain(
    published: PublishedWeights,
    check: ContentCheck,
    *,
    offline: bool = False,
    progress: Progress | None = None,
    patience: Patience | None = None,
) -> Path:
    """The path of the file, downloaded unless it is in the cache, which `check` reads when it first comes.

    It must have the SHA-256 that the table or the server tells, and that it had when it first came. Several
    processes may ask at once: one downloads, the others wait for it. Raises `WeightsError` when it cannot be had
    (`offline` forbids to download), is no checkpoint, or is another file than before.
    """
    path = cached_path(published)
    try:
        record = read_record(path)
        if record is not None and path.is_file():  # first, for this much works in a folder that cannot be written
            _check(hash_file(path), published, record, path)
            return path
        return _obtain_alone(published, path, check, offline or is_offline(), progress, patience)
    except DownloadError as error:
        raise WeightsError(
            f"cannot download {_asked(published)}: {error}; try again, or put the file at {path} yourself"
        ) from error
    except OSError as error:
        if error.errno in READ_ONLY and path.is_file():  # put there by hand, where no record can be kept
            _check(hash_file(path), published, None, path)
            _check_readable(path, str(path), published, check)
            return path
        mend = "free some space on that disk" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "mend that"
        raise WeightsError(
            f"cannot keep {path}: {error.strerror or error}: {mend}, or name another folder in PVT_EDGE_CACHE"
        ) from error


def _obtain_alone(
    published: PublishedWeights,
    path: Path,
    check: ContentCheck,
    offline: bool,
    progress: Progress | None,
    patience: Patience | None,
) -> Path:
    """The same, while other processes wait."""
    from filelock import FileLock

    if offline and not path.is_file():
        raise WeightsError(
            f"{published.name} weights of {published.variant} are not in the cache, and being offline forbids to "
            f"download them: put {published.url} at {path}"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f"{path.name}.lock")):
        record = read_record(path)
        if path.is_file():  # put there by hand, or come while this process waited
            sha256 = hash_file(path)
            _check(sha256, published, record, path)
            if record is None:
                _check_readable(path, str(path), published, check)
                write_record(path, Record(published.url, sha256, path.stat().st_size))
            return path
        part = path.with_name(f"{path.name}.part")
        try:
            announced = download(published.url, part, patience=patience, progress=progress)
        except KeyboardInterrupt as stop:
            stop.args = (f"stopped; what has come of {_asked(published)} is kept, and the next try goes on from there",)
            raise
        sha256 = hash_file(part)
        try:
            _check_readable(part, _asked(published), published, check)  # first: it tells a web page from weights
            _check(sha256, published, record, path, announced)
        except WeightsError:
            discard(part)
            raise
        part.replace(path)
        discard(part)
        write_record(path, Record(_asked(published), sha256, path.stat().st_size))
        return path


def _check(
    sha256: str, published: PublishedWeights, record: Record | None, path: Path, announced: str | None = None
) -> None:
    """`WeightsError` unless a file of `sha256`, at `path` or just downloaded, is the one it has to be."""
    what = f"{path} is" if path.is_file() else f"{_asked(published)} gave"
    again = f"delete {path} to download it again" if path.is_file() else "try again"
    for wanted, who in ((published.sha256, "its publisher tells"), (announced, "the server tells")):
        if wanted and not sha256.startswith(wanted):
            raise WeightsError(
                f"{what} another file than its publisher's: SHA-256 {sha256}, where {who} {_shown(wanted)}: "
                f"{again}, or, if you trust it, give it by its own path with --weights FILE (weights= in Python)"
            )
    if record is not None and sha256 != record.sha256:
        raise WeightsError(
            f"{what} another file than the one that first came: SHA-256 {sha256}, recorded is {record.sha256}: "
            f"{again}, or, if you accept the new one, delete {record_path(path)}"
        )


def _check_readable(path: Path, source: str, published: PublishedWeights, check: ContentCheck) -> None:
    """`WeightsError` for what is no whole checkpoint of the variant, before its hash is recorded as the right one."""
    try:
        variant = check(path)
    except WeightsError as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise WeightsError(f"{source}: what came from there {reason}") from error
    if zipfile.is_zipfile(path):  # torch looks at no checksum of the zip that a .pth is
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged:
            raise WeightsError(f"{source}: what came from there is damaged: the checksum of {damaged} is wrong")
    if variant not in (None, published.variant):
        raise WeightsError(f"{source}: what came from there are weights of {variant}, not of {published.variant}")


def _asked(published: PublishedWeights) -> str:
    """The address that is asked for the file, for people; its publisher's where the mirror is no address."""
    try:
        return shown_address(published.url)
    except DownloadError:
        return published.url


def _shown(sha256: str) -> str:
    return sha256 if len(sha256) == 64 else f"{sha256}..."
