"""The content of report.json, and what the report reads off a search and its blocks besides their own figures."""

from math import isfinite
from typing import Any

from pvt_edge.bundle.schema import Artifact, Manifest
from pvt_edge.export.precision.record import (
    ApproximationRecord,
    BlockSensitivity,
    Candidate,
    SearchRecord,
    TensorRtRecord,
)

KINDS = ("attn", "mlp", "patch_embed", "neck", "head")
OTHER = "other"


def reference_value(search: SearchRecord) -> float | None:
    """The metric's value of FP32, by any candidate's own account; None where there is no candidate."""
    return next((c.value + c.drop for c in search.candidates if isfinite(c.value + c.drop)), None)


def speedup(search: SearchRecord, candidate: Candidate) -> float | None:
    """How many times faster than fp32 `candidate` is at the median; None where one of the two was not timed."""
    fp32 = next((c.latency for c in search.candidates if c.name == "fp32"), None)
    if fp32 is None or candidate.latency is None or candidate.latency.p50 <= 0:
        return None
    return fp32.p50 / candidate.latency.p50


def precision_of(candidate: Candidate) -> str:
    """`int8`, or the name of the precision that a candidate without INT8 is: `fp32`, `bf16`."""
    return "int8" if candidate.int8_blocks else candidate.name


def most_sensitive(search: SearchRecord) -> list[BlockSensitivity]:
    """The blocks measured alone, the largest drop first; what is no number at all counts as the largest."""
    return sorted(search.sensitivities, key=lambda block: -block.drop if isfinite(block.drop) else float("-inf"))


def kind_of(block: str) -> str:
    """One of `KINDS`, or `OTHER`.

    >>> kind_of("stages.0.blocks.1.attn.q")
    'attn'
    """
    parts = block.split(".")
    return next((kind for kind in KINDS if kind in parts), OTHER)


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
