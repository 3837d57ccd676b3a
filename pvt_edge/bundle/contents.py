"""The files of a bundle: where they may lie, what they hash to, and which in a folder are a user's own."""

import hashlib
import os
from pathlib import Path, PurePosixPath, PureWindowsPath

from pvt_edge.bundle.schema import FileRecord, Manifest
from pvt_edge.errors import BundleError

MANIFEST = "model.json"
# Written beside the artifacts without being listed in model.json: what an export and a benchmark report.
_REPORTS = ("report.md", "report.json")
_PLOTS = PurePosixPath("plots")
_CHUNK_BYTES = 1 << 20


def locate(folder: Path, file: str) -> Path:
    """The path of a bundle's file, which need not exist.

    Raises `BundleError` for a name that leads out of the folder: absolute, upwards, or through a link.
    """
    parts = PurePosixPath(file).parts
    plain = bool(parts) and parts[0] != "/" and ".." not in parts and "\\" not in file and "\0" not in file
    if not plain or PureWindowsPath(file).drive:
        raise BundleError(f"{folder}: the file {file!r} does not lie inside the bundle: export the bundle again")
    path = folder / file
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # links in a circle
        inside = False
    if not inside:
        raise BundleError(f"{folder}: {file} is a link out of the bundle: put the file itself there")
    return path


def record_of(folder: Path, file: str) -> FileRecord:
    """The file's name, SHA-256 and size."""
    digest, size = hashlib.sha256(), 0
    with locate(folder, file).open("rb") as opened:
        while chunk := opened.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return FileRecord(file=file, sha256=digest.hexdigest(), bytes=size)


def records(manifest: Manifest) -> tuple[FileRecord, ...]:
    """All artifacts and their companions."""
    return tuple(record for artifact in manifest.artifacts for record in (artifact, *artifact.companions))


def reports(folder: Path) -> tuple[str, ...]:
    """The reports in the folder, by relative path: what is there without being listed in model.json."""
    found = (path.relative_to(folder).as_posix() for path in folder.glob("**/*") if path.is_file())
    return tuple(sorted(filter(_is_report, found)))


def unlisted(folder: Path, files: tuple[str, ...]) -> tuple[str, ...]:
    """The folder's files, by relative path, that are not among `files` nor a bundle's own reports."""
    known = {MANIFEST, *(str(PurePosixPath(file)) for file in files)}
    found = (
        (Path(place) / name).relative_to(folder).as_posix()
        for place, folders, names in os.walk(folder)
        # A link to a folder is not walked into; it is listed like a file.
        for name in (*names, *(sub for sub in folders if (Path(place) / sub).is_symlink()))
    )
    return tuple(sorted(file for file in found if file not in known and not _is_report(file)))


def _is_report(file: str) -> bool:
    """Whether a report is called that; what is called nearly so, report.md.bak, is a user's own."""
    path = PurePosixPath(file)
    return file in _REPORTS or (path.parent == _PLOTS and path.suffix == ".png")
