"""Opening a bundle and getting at its files, nothing of which is trusted before it is checked; the ways to run them."""

import json
import os
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from pydantic import ValidationError

from pvt_edge.arguments import CHECKPOINT_SUFFIXES, check_path
from pvt_edge.atomic import alone, recover, siblings, vacant
from pvt_edge.bundle.contents import MANIFEST, locate, record_of, records
from pvt_edge.bundle.schema import SCHEMA_VERSION, Artifact, FileRecord, Manifest, Precision
from pvt_edge.errors import BundleError, UnknownNameError
from pvt_edge.runtimes.runtime import ModelSpec
from pvt_edge.runtimes.table import RUNTIMES, RuntimeEntry, bundled_runtimes
from pvt_edge.tasks import get_task


@dataclass(frozen=True)
class Way:
    """One runtime in one precision.

    Attributes:
        runtime: Its name in the table of runtimes.
        precision: What it runs in.
        artifact: The file that it runs; None where the bundle has none.
        absent: Why there is none, and how to get it; None where there is one.
    """

    runtime: str
    precision: str
    artifact: Artifact | None = None
    absent: str | None = None

    @property
    def rounded(self) -> bool:
        """Whether the file holds another precision and is rounded as it is loaded."""
        return self.artifact is not None and self.artifact.precision != self.precision

    @property
    def borrowed(self) -> bool:
        """Whether the file was written for another runtime, which runs it too."""
        return self.artifact is not None and self.artifact.runtime != self.runtime

    @property
    def by_default(self) -> bool:
        """Whether the runtime runs the file like this without being asked to."""
        return not self.rounded or self.precision == RUNTIMES[self.runtime].rounds_to


def ways_of(artifacts: Iterable[Artifact], build: Path | None = None) -> tuple[Way, ...]:
    """Every runtime that bundles have files for, in the table's order, in each of its precisions.

    Args:
        artifacts: Those of the bundle.
        build: The bundle's folder where it has graphs that engines can be built of.
    """
    stored: dict[tuple[str, str], Artifact] = {}
    for artifact in artifacts:
        stored.setdefault((artifact.runtime, artifact.precision), artifact)
    ways = []
    ranked = bundled_runtimes()
    for name, entry in RUNTIMES.items():
        if name not in ranked:
            continue
        files = entry.reads or name
        for precision in entry.precisions:
            found = stored.get((files, precision)) or stored.get((files, entry.rounds.get(precision, "")))
            absent = None if found else _absence(name, entry, precision, build)
            ways.append(Way(name, precision, found, absent))
    return tuple(ways)


def _absence(name: str, entry: RuntimeEntry, precision: str, build: Path | None) -> str:
    if entry.needs_gpu and build is not None:
        return f"no engine yet: pvt-edge build {build} --format {name}"
    kind = entry.format or RUNTIMES[entry.reads or name].format
    if kind is None:
        return "no export writes files for it"
    flag = {"fp32": "", "approx": " --approximate auto"}.get(precision, f" --{precision}")
    if entry.needs_gpu:
        return f"not in the bundle: export with --format onnx,{kind}{flag or ' --fp16'}"
    return f"not in the bundle: export with --format {kind}{flag}"


@dataclass(frozen=True)
class Bundle:
    """A bundle that was read: its folder (absolute) and what `model.json` says."""

    folder: Path
    manifest: Manifest
    _checked: set[tuple[str, str, int]] = field(default_factory=set, init=False, repr=False, compare=False)

    def __repr__(self) -> str:
        artifacts = ", ".join(f"{artifact.runtime} {artifact.precision}" for artifact in self.manifest.artifacts)
        return (
            f"Bundle({str(self.folder)!r}, {self.manifest.variant} {self.manifest.task}: {artifacts or 'no artifact'})"
        )

    def artifact(self, runtime: str, precision: str) -> Artifact:
        """The artifact to run at that precision; OpenVINO's bf16 and fp16 are its fp32, OpenCV runs ONNX Runtime's.

        Raises `UnknownNameError` for names that do not exist, `BundleError` when this bundle has no such.
        """
        names = bundled_runtimes()
        if runtime not in names:
            raise UnknownNameError("runtime", runtime, names)
        if precision not in get_args(Precision):
            raise UnknownNameError("precision", precision, get_args(Precision))
        for way in self.ways():
            if (way.runtime, way.precision) == (runtime, precision) and way.artifact is not None:
                return way.artifact
        raise BundleError(
            f"{self.folder} has no {runtime} {precision}: it has {self.listed()}; "
            "take one of these, or export again with it"
        )

    def ways(self) -> tuple[Way, ...]:
        """Every runtime and precision: the file that it runs here, or why there is none."""
        return ways_of(self.manifest.artifacts, self.folder if self.manifest.tensorrt else None)

    def runtimes(self) -> tuple[str, ...]:
        """The runtimes that have something to run in it, in the order in which "auto" tries them."""
        able = {way.runtime for way in self.ways() if way.artifact is not None}
        return tuple(name for name in bundled_runtimes() if name in able)

    def listed(self) -> str:
        """Its artifacts in a line: "onnxruntime fp32, openvino fp32"."""
        return ", ".join(f"{a.runtime} {a.precision}" for a in self.manifest.artifacts) or "no artifact"

    def path(self, artifact: Artifact) -> Path:
        """Where the artifact lies. Its hash and its companions' are checked at the first call.

        Raises `BundleError` when a file is missing, was edited or lies outside the bundle.
        """
        for record in (artifact, *artifact.companions):
            seen = (record.file, record.sha256, record.bytes)
            if seen not in self._checked:
                self._check(record)
                self._checked.add(seen)
        return locate(self.folder, artifact.file)

    def spec(self, artifact: Artifact) -> ModelSpec | None:
        """What the artifact takes and gives, for `open_runtime`; None for a bundle of schema 1, which does not say."""
        return self.manifest.spec(artifact.precision)

    def _check(self, record: FileRecord) -> None:
        path = _present(self.folder, record.file)
        try:
            found = record_of(self.folder, record.file)
        except OSError as error:
            raise BundleError(f"cannot read {path}: {error.strerror}: check its permissions") from error
        if found.bytes != record.bytes:
            raise BundleError(
                f"{path} was edited: it has {found.bytes} bytes, {MANIFEST} says {record.bytes}; export again"
            )
        if found.sha256 != record.sha256:
            raise BundleError(
                f"{path} was edited: sha256 is {found.sha256}, {MANIFEST} says {record.sha256}; export again"
            )


def find(bundle: Bundle | str | os.PathLike[str]) -> Bundle:
    """The bundle itself, or the one in that folder."""
    return bundle if isinstance(bundle, Bundle) else read_bundle(bundle)


def read_bundle(folder: str | os.PathLike[str]) -> Bundle:
    """The bundle in `folder`. Hashes are checked when a file is first asked for, by `Bundle.path`.

    Args:
        folder: What an export wrote.

    Returns:
        The bundle, with its `folder`, its `manifest` and the paths of its artifacts.

    Raises:
        BundleError: When the folder or `model.json` is missing, broken or of a newer schema, and when an artifact is
            missing or lies outside the folder.
        ArgumentError: For what is no path.
    """
    given = check_path("read_bundle()", "the bundle", folder, "out/b0")
    try:
        place = given.resolve()
        if vacant(place) and siblings(place, "old"):
            with alone(place):
                recover(place)
    except (OSError, RuntimeError) as error:
        raise BundleError(f"cannot read {folder}: {error}: check the path and its permissions") from error
    manifest = read_manifest(place)
    for record in records(manifest):
        _present(place, record.file)
    return Bundle(place, manifest)


def read_manifest(folder: Path) -> Manifest:
    """The folder's `model.json`, its files there or not. Raises `BundleError` as `read_bundle` does."""
    path = folder / MANIFEST
    try:
        if not folder.exists():
            raise BundleError(f"no bundle at {folder}: check the path, or make one with pvt-edge export")
        if not folder.is_dir():
            raise BundleError(f"{folder} is a file, not a bundle: {_instead_of(folder)}")
        data = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise BundleError(f"{folder} is not a bundle: it holds no {MANIFEST}; give the folder that does") from error
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}: check its permissions") from error
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path} is not JSON ({error}): delete {folder} and export again") from error
    # The schema first: a newer one may differ in anything else.
    schema = data.get("schema_version") if isinstance(data, dict) else None
    if isinstance(schema, int) and schema > SCHEMA_VERSION:
        raise BundleError(
            f"{path}: bundle written by a newer pvt-edge (schema {schema}, this one reads {SCHEMA_VERSION}): "
            "upgrade with pip install -U pvt-edge"
        )
    try:
        manifest = Manifest.model_validate(data)
        get_task(manifest.task)
        return manifest
    except UnknownNameError as error:
        raise BundleError(f"{path} is wrong: {error}; delete {folder} and export again") from error
    except ValidationError as error:
        wrong = error.errors()
        first = f"{'.'.join(map(str, wrong[0]['loc'])) or 'the whole'}: {wrong[0]['msg']}"
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise BundleError(f"{path} is wrong: {first}{more}; delete {folder} and export again") from error


def _instead_of(file: Path) -> str:
    """What to give in place of a file."""
    if file.suffix in CHECKPOINT_SUFFIXES:
        return f"a checkpoint becomes one with pvt-edge export --weights {shlex.quote(str(file))}"
    inside = (file.parent / MANIFEST).is_file()
    return f"give its folder, {file.parent}" if inside else f"give the folder that holds {MANIFEST}"


def _present(folder: Path, file: str) -> Path:
    """Where the file lies. Raises `BundleError` when it is not there."""
    path = locate(folder, file)
    if not os.path.isfile(path):
        raise BundleError(f"{folder} is not whole: {file} is missing; copy the whole folder, or export again")
    return path
