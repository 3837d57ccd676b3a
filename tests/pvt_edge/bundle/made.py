"""A bundle of three small text files, all of which say the same word; and what is refused, in one line."""

import json
from pathlib import Path

import pytest

from pvt_edge.bundle import BundleWriter, Manifest, read_bundle
from pvt_edge.errors import BundleError

FILES = ("model.fp32.onnx", "openvino/fp32.xml", "openvino/fp32.bin")


def describe(artifacts):
    return Manifest(
        variant="b0",
        task="classify",
        labels=("cat", "dog"),
        input={"height": 224, "width": 224},
        outputs=("logits",),
        resize={"mode": "crop"},
        artifacts=artifacts,
        provenance={
            "pvt_edge": "0.1.0",
            "created": "2026-01-01T00:00:00Z",
            "weights": "none",
            "versions": {},
            "machine": "",
        },
    )


def fill(writer, content):
    for file in FILES:
        writer.path(file).write_text(f"{content} {file}")
    onnx = writer.artifact("onnxruntime", "fp32", FILES[0], passport={"opset": "20"})
    return onnx, writer.artifact("openvino", "fp32", FILES[1], companions=FILES[2:])


def write(folder, content):
    with BundleWriter(folder) as writer:
        return writer.finish(describe(fill(writer, content)))


def content(folder):
    """What `write` was given, once every file of the bundle has been checked."""
    bundle = read_bundle(folder)
    paths = [bundle.path(artifact) for artifact in bundle.manifest.artifacts]
    told = {path.read_text().split()[0] for path in paths}
    assert len(told) == 1
    return told.pop()


def edit(folder, **fields):
    path = Path(folder) / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def refusal(call, *given):
    with pytest.raises(BundleError) as caught:
        call(*given)
    assert "\n" not in str(caught.value)
    return str(caught.value)
