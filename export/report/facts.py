"""The content of report.json."""

from math import isfinite
from typing import Any

from pvt_edge.bundle.schema import Artifact, Manifest
from pvt_edge.export.precision.record import ApproximationRecord, SearchRecord, TensorRtRecord


def facts(
    manifest: Manifest,
    search: SearchRecord | None,
    tensorrt: TensorRtRecord | None = None,
    approximation: ApproximationRecord | None = None,
) -> dict[str, Any]:
    """JSON of the search, of what was found out for TensorRT and of how moves were chosen, and what the manifest says.

    `SearchRecord.model_validate` takes the "search" of it, and "nan" and "inf" in there for numbers.
    """
    calibration = manifest.calibration
    return {
        "variant": manifest.variant,
        "task": manifest.task,
        "input": {"batch": manifest.input.batch, "height": manifest.input.height, "width": manifest.input.width},
        "artifacts": [
            {"file": a.file, "runtime": a.runtime, "precision": a.precision, "bytes": whole_bytes(a)}
            for a in manifest.artifacts
        ],
        "auto_precision": manifest.auto_precision,
        "auto_excluded": manifest.auto_excluded,
        "not_written": manifest.not_written,
        # the pictures themselves are listed in model.json
        "calibration": calibration.model_dump(mode="json", exclude={"images"}) if calibration else None,
        "command": manifest.provenance.command,
        "moves": manifest.moves.model_dump(mode="json"),
        "approximation": _without_nan(approximation.model_dump(mode="json")) if approximation else None,
        "search": _without_nan(search.model_dump(mode="json")) if search else None,
        "tensorrt": _without_nan(tensorrt.model_dump(mode="json")) if tensorrt else None,
    }


def whole_bytes(artifact: Artifact) -> int:
    """Bytes of the artifact and of the files that belong to it."""
    return artifact.bytes + sum(companion.bytes for companion in artifact.companions)


def _without_nan(value: Any) -> Any:
    """`value` with words for what JSON has no numbers for: the AP of a class that is in no picture is NaN."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return str(value) if isinstance(value, float) and not isfinite(value) else value
