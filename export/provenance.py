"""Where and with what an export was made."""

import platform
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pvt_edge
from pvt_edge.bundle.schema import Provenance

PACKAGES = ("torch", "onnx", "onnxruntime", "openvino", "numpy")


def provenance(
    weights: str, *, weights_file: Path | None = None, dialect: str | None = None, command: str | None = None
) -> Provenance:
    """The record of this export; `weights_file` is hashed when given."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return Provenance(
        pvt_edge=pvt_edge.__version__,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        command=command,
        weights=weights,
        weights_sha256=_sha256(weights_file) if weights_file else None,
        dialect=dialect,
        versions=versions,
        machine=cpu_name(),
    )


def cpu_name() -> str:
    """The processor's name as the system tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _sha256(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()
