"""Writing a bundle: into a temporary folder, and in its place only when it is whole."""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from pvt_edge.bundle.contents import MANIFEST, locate, record_of, records, unlisted
from pvt_edge.bundle.disk import is_write_failure, sync_tree, write_failure
from pvt_edge.bundle.reader import Bundle, read_bundle, read_manifest
from pvt_edge.bundle.schema import Artifact, Manifest
from pvt_edge.bundle.swap import alone, hold, put, recover, release, sibling, sweep, vacant
from pvt_edge.errors import BundleError

if TYPE_CHECKING:
    from typing_extensions import Self


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
        self.folder = Path(folder).resolve()
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
            raise write_failure(error, self.folder) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.finished:
            shutil.rmtree(self._temporary, ignore_errors=True)
        release(self._lock)
        self._lock = None
        if isinstance(error, OSError) and is_write_failure(error, self._temporary):
            raise write_failure(error, self.folder) from error

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
            raise write_failure(error, self.folder) from error
        self.finished = True
        return Bundle(self.folder, manifest)


def _check_replaceable(folder: Path) -> None:
    """Raise `BundleError` unless `folder` is absent, empty, or a bundle and nothing else."""
    elsewhere = "export to another folder with --out"
    if os.path.ismount(folder):
        raise BundleError(f"{folder} is a mount point and cannot be swapped: export to a folder inside it")
    if vacant(folder):
        return
    if not folder.is_dir():
        raise BundleError(f"{folder} is a file, which an export will not replace: {elsewhere}")
    if not (folder / MANIFEST).is_file():
        raise BundleError(f"{folder} is neither empty nor a bundle, so an export will not replace it: {elsewhere}")
    try:
        listed = tuple(record.file for record in records(read_manifest(folder)))
    except BundleError as error:
        raise BundleError(f"an export will not replace a bundle it cannot read ({error}): {elsewhere}") from error
    stray = unlisted(folder, listed)
    if stray:
        shown = ", ".join(stray[:3]) + (", ..." if len(stray) > 3 else "")
        raise BundleError(f"{folder} holds files that no export wrote ({shown}): move them out, or {elsewhere}")
