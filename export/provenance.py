"""Where and with what an export was made."""

from datetime import datetime, timezone
from pathlib import Path

import pvt_edge
from pvt_edge.bundle.schema import Provenance
from pvt_edge.machine.cpu import read_cpu
from pvt_edge.machine.versions import versions
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
