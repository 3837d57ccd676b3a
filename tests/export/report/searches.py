"""Searches and manifests made by hand, with the figures of a b0 detector at 640x640."""

import numpy as np

from pvt_edge.bundle.schema import (
    Artifact,
    CalibrationRecord,
    FileRecord,
    InputSpec,
    Manifest,
    Provenance,
    ResizeSpec,
)
from pvt_edge.export.precision.record import (
    BlockSensitivity,
    Candidate,
    Latency,
    LayerGroup,
    Metric,
    SearchRecord,
)

LAYERS = ("attn.q", "attn.k", "attn.v", "attn.proj", "mlp.fc1", "mlp.dwconv", "mlp.fc2")
METRIC = Metric(name="map", words="AP", data="48 generated scenes, seed 3")


def block_names() -> list[str]:
    """The blocks of a b0 detector with the lite head, in the order they run in: 79."""
    names = []
    for stage in range(4):
        names.append(f"stages.{stage}.patch_embed")
        for block in range(2):
            sr = ["attn.sr"] if stage < 3 else []
            names += [f"stages.{stage}.blocks.{block}.{layer}" for layer in (*sr, *LAYERS)]
    names += [f"neck.{kind}.{i}" for kind in ("lateral", "output") for i in range(3)]
    names += [f"head.{kind}.{i}" for kind in ("cls", "reg") for i in range(2)]
    return [*names, "head.cls_out", "head.reg_out", "decode"]


def candidate(name: str, ms: float | None, value: float, **changes: object) -> Candidate:
    """A candidate whose percentiles lie a tenth and a third above the median `ms`."""
    int8 = 44 if name.startswith("int8") else 0
    given = {
        "name": name,
        "words": f"what {name} is",
        "int8_blocks": int8,
        "float_blocks": 79 - int8,
        "value": value,
        "drop": 0.8170 - value,
        "latency": Latency(p50=ms, p90=ms * 1.1, p99=ms * 1.3, inferences=200) if ms else None,
        "within_budget": 0.8170 - value <= 0.005,
    }
    return Candidate.model_validate({**given, **changes})


CANDIDATES = (
    candidate("fp32", 51.8, 0.8170, words="everything in FP32"),
    candidate("bf16", 24.8, 0.8168, words="everything in bfloat16"),
    candidate("int8 all", 21.9, 0.8093, words="NNCF's default placement", int8_blocks=76, float_blocks=3),
    candidate("int8 mlp", 22.4, 0.8161, words="linear layers of the MLPs", chosen=True),
    candidate("int8 mlp+sr", 22.1, 0.8142, words="MLPs and spatial reduction"),
    candidate("int8 recipe", 22.6, 0.8165, words="the recorded recipe"),
)


def sensitivities(names: list[str], seed: int = 0) -> tuple[BlockSensitivity, ...]:
    """A few blocks that matter, many that do not, some for which INT8 happens to be better."""
    rng = np.random.default_rng(seed)
    drops = rng.exponential(0.0012, len(names)) ** 1.2 - 0.0002
    return tuple(
        BlockSensitivity(
            block=name,
            drop=float(drop) + (0.006 if name.endswith("attn.sr") else 0),
            details={"cosine": 1 - float(abs(drop)) / 10},
            ms_saved=float(rng.uniform(0.01, 0.4)) if i % 3 else None,
        )
        for i, (name, drop) in enumerate(zip(names, drops, strict=True))
    )


GROUPS = (
    LayerGroup(group="linear layers", before_ms=12.3, after_ms=8.1, layers=66),
    LayerGroup(group="attention products", before_ms=6.4, after_ms=3.2, layers=16),
    LayerGroup(group="depthwise convolutions", before_ms=5.0, after_ms=4.4, layers=8),
    LayerGroup(group="quantise and dequantise", before_ms=4.1, after_ms=0.9, layers=52),
    LayerGroup(group="norms and softmax", before_ms=2.2, after_ms=2.1, layers=44),
    LayerGroup(group="reorders", before_ms=0.0, after_ms=0.31, layers=9),
)


def search(**changes: object) -> SearchRecord:
    """A search that kept INT8, all there is in it."""
    given = {
        "variant": "b0",
        "task": "detect",
        "runtime": "openvino",
        "machine": "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz",
        "threads": 2,
        "metric": METRIC,
        "max_drop": 0.005,
        "tuned": True,
        "candidates": CANDIDATES,
        "sensitivities": sensitivities(block_names()),
        "layer_groups": GROUPS,
        "verdict": "int8 22.4 ms, bf16 24.8 ms, fp32 51.8 ms (p50, 2 threads): int8 kept, AP -0.0009",
        "kept": True,
        "seconds": 312.4,
    }
    return SearchRecord.model_validate({**given, **changes})


def plan() -> dict[str, str]:
    """The MLPs in INT8, the rest in float."""
    return {name: "int8" if ".mlp." in name else "float" for name in block_names()}


def file_record(name: str, content: int, size: int = 100) -> FileRecord:
    """A file whose hash is the number `content`."""
    return FileRecord(file=name, sha256=f"{content:064x}", bytes=size)


def manifest(**changes: object) -> Manifest:
    """The manifest of such a bundle."""
    int8 = Artifact(
        runtime="openvino",
        precision="int8",
        companions=(file_record("openvino/int8.bin", 2, 6 * 2**20),),
        **file_record("openvino/int8.xml", 1, 2**20 // 2).model_dump(),
    )
    onnx = Artifact(
        runtime="onnxruntime", precision="fp32", **file_record("model.fp32.onnx", 3, 15 * 2**20 + 700_000).model_dump()
    )
    given = {
        "variant": "b0",
        "task": "detect",
        "labels": ("RBC", "WBC", "Platelets"),
        "input": InputSpec(height=480, width=640),
        "outputs": ("boxes", "scores", "labels"),
        "resize": ResizeSpec(mode="letterbox"),
        "artifacts": (onnx, int8),
        "auto_precision": {"openvino": "int8"},
        "calibration": CalibrationRecord(source="generated scenes", seed=0, count=64),
        "precision_plan": plan(),
        "provenance": Provenance(
            pvt_edge="0.1.0",
            created="2026-11-23T09:00:00+00:00",
            command="pvt-edge export --variant b0 --int8 --max-drop 0.005",
            weights="cells",
            versions={"python": "3.11.2", "openvino": "2026.4"},
            machine="a machine",
        ),
    }
    return Manifest.model_validate({**given, **changes})
