"""Where and with what an export was made."""

import platform
from collections.abc import Iterable
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pvt_edge
from pvt_edge.bundle.schema import Provenance
from pvt_edge.doctor.cpu import read_cpu
from pvt_edge.weights.cache import hash_file

PACKAGES = ("torch", "onnx", "onnxruntime", "openvino", "numpy")


def provenance(
    weights: str,
    *,
    weights_file: Path | None = None,
    dialect: str | None = None,
    command: str | None = None,
    taken: tuple[str, ...] = (),
) -> Provenance:
    """The record of this export; `weights_file` is hashed when given."""
    return Provenance(
        pvt_edge=pvt_edge.__version__,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        command=command,
        weights=weights,
        weights_sha256=hash_file(weights_file) if weights_file else None,
        dialect=dialect,
        taken=taken,
        versions=versions(PACKAGES),
        machine=read_cpu().name,
    )


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Python's version, and those of the packages that are installed."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
