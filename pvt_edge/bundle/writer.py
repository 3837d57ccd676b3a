"""Writing a bundle: into a temporary folder, and in its place only when it is whole."""

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from pvt_edge.atomic import OwnedFolder, alone, hold, put, recover, release, sibling, sweep, sync_tree
from pvt_edge.bundle.contents import MANIFEST, locate, record_of, records, unlisted
from pvt_edge.bundle.reader import Bundle, read_bundle, read_manifest
from pvt_edge.bundle.schema import Artifact, Manifest
from pvt_edge.errors import BundleError

if TYPE_CHECKING:
    from typing_extensions import Self

_MENDS = {
    errno.ENOSPC: "free some space on that disk, or export to another",
    errno.EDQUOT: "free some of your quota, or export to another disk",
    errno.EFBIG: "raise the file size limit (ulimit -f), or export to another disk",
    errno.EROFS: "that disk is read-only: export to another",
    errno.EXDEV: "it lies on a layered or mounted disk that cannot rename it: export to another folder",
    errno.EBUSY: "it is in use as a mount point: export to a folder inside it",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.EEXIST: "part of that path is a file: export to another folder",
    errno.ENOTDIR: "part of that path is a file: export to another folder",
}


class BundleWriter:
    """A bundle being written; `folder` gets it, whole, at `finish`, and keeps what it had until then.

    >>> with BundleWriter("out/b0") as writer:
    ...     save(model, writer.path("model.fp32.onnx"))
    ...     onnx = writer.artifact("onnxruntime", "fp32", "model.fp32.onnx")
    ...     bundle = writer.finish(Manifest(artifacts=(onnx,), ...))

    Without `finish`, or with an exception, what was written is thrown away. An `OSError` of writing below
    `folder` comes out as a `BundleError`. So does a `folder` that holds anything but a bundle: files that an
    export did not write are never deleted.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(os.path.realpath(folder))  # unlike Path's own, no error for links in a circle
        self.finished = False
        self._lock: int | None = None

    def __enter__(self) -> "Self":
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            with alone(self.folder):
                recover(self.folder)
                _check_replaceable(self.folder)
                sweep(self.folder)
                self._temporary = sibling(self.folder, "tmp")
                self._temporary.mkdir()
                with suppress(OSError):  # a disk without locks
                    self._lock = hold(self._temporary)
        except OSError as error:
            raise _write_failure(error, self.folder) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.finished:
            shutil.rmtree(self._temporary, ignore_errors=True)
        release(self._lock)
        self._lock = None
        if isinstance(error, OSError) and _is_write_failure(error, self._temporary):
            raise _write_failure(error, self.folder) from error

    def path(self, file: str) -> Path:
        """Where to write the bundle's `file` ("openvino/fp32.xml"); the folder it lies in is there."""
        path = locate(self._temporary, file)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def artifact(
        self,
        runtime: str,
        precision: str,
        file: str,
        *,
        companions: tuple[str, ...] = (),
        passport: dict[str, str] | None = None,
    ) -> Artifact:
        """The record of a file already written, and of those that belong to it, for the manifest.

        Raises `BundleError` when one of them is not there.
        """
        for name in (file, *companions):
            if not locate(self._temporary, name).is_file():
                raise BundleError(f"{name} was not written to the bundle: write it to writer.path({name!r}) first")
        return Artifact.model_validate(
            {
                **record_of(self._temporary, file).model_dump(),
                "runtime": runtime,
                "precision": precision,
                "companions": [record_of(self._temporary, name) for name in companions],
                "passport": passport,
            }
        )

    def finish(self, manifest: Manifest) -> Bundle:
        """The bundle, now in its place: `model.json` written, all of it on the disk, the old one gone.

        Raises `BundleError` when files and manifest do not match, or the folder can no longer be replaced.
        """
        if self.finished:
            raise BundleError(f"{self.folder} is written already: use another BundleWriter")
        stray = unlisted(self._temporary, tuple(record.file for record in records(manifest)))
        if stray:
            raise BundleError(f"{', '.join(stray)} would be in the bundle, but not in its manifest: list or delete it")
        try:
            text = manifest.model_dump_json(indent=2) + "\n"
            (self._temporary / MANIFEST).write_text(text, encoding="utf-8")
            bundle = read_bundle(self._temporary)
            for artifact in manifest.artifacts:
                bundle.path(artifact)
            sync_tree(self._temporary)
            with alone(self.folder):
                _check_replaceable(self.folder)
                put(self._temporary, self.folder)
        except OSError as error:
            raise _write_failure(error, self.folder) from error
        self.finished = True
        return Bundle(self.folder, manifest)


def _check_replaceable(folder: Path) -> None:
    """Raise `BundleError` unless `folder` is absent, empty, or a bundle and nothing else, and nobody stands in it."""
    if (reason := _BUNDLES.refusal(folder)) is not None:
        raise BundleError(f"{reason}: export to another folder with --out")
    with suppress(FileNotFoundError):  # who stands in a folder that is deleted already
        if Path.cwd().is_relative_to(folder):
            raise BundleError(f"{folder} would be replaced while you stand in it: go elsewhere first, such as cd ..")


def _strays(folder: Path) -> tuple[str, ...]:
    return unlisted(folder, tuple(record.file for record in records(read_manifest(folder))))


_BUNDLES = OwnedFolder("an export", "a bundle", (MANIFEST,), _strays)


def _write_failure(error: OSError, folder: Path) -> BundleError:
    """The error to raise for one that came while writing to `folder`."""
    mend = _MENDS.get(error.errno or 0, "export to a folder you may write to")
    return BundleError(f"cannot write {folder}: {error.strerror or error}: {mend}")


def _is_write_failure(error: BaseException | None, folder: Path) -> bool:
    """Whether the error says that something under `folder` could not be written."""
    if not isinstance(error, OSError):
        return False
    if error.errno == errno.ENOENT:  # something to read that is not there
        return False
    named = error.filename if isinstance(error.filename, str | os.PathLike) else None
    if named is not None:
        return Path(os.fspath(named)).is_relative_to(folder)
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)  # write() names no file
