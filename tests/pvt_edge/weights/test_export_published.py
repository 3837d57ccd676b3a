"""`--weights imagenet` and `coco` from the download to the bundle, through a mirror on this machine."""

import hashlib
import io
import signal
import subprocess
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save

import pvt_edge
from pvt_edge.checkpoints.translation import from_native
from pvt_edge.errors import WeightsError
from pvt_edge.export.request import default_labels, default_resize
from pvt_edge.weights.published import PUBLISHED, get_labels
from pvt_edge.zoo import resolve_weights

from .server import Answer


@pytest.fixture(scope="module")
def classifier():
    torch.manual_seed(0)
    return pvt_edge.create_model("b0")


def pickled(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def safetensors(tensors) -> bytes:
    return save({name: tensor.contiguous() for name, tensor in tensors.items()})


def file_of(model, name: str) -> bytes:
    """The model as the publisher of `name` would write it."""
    tensors = model.state_dict()
    if name == "imagenet:official":
        return pickled(from_native(tensors, "official"))
    if name == "imagenet:timm":
        return safetensors(from_native(tensors, "timm"))
    if name == "imagenet:hf":
        return safetensors(from_native(tensors, "transformers", "pvt_v2.encoder."))
    return pickled({"meta": {"epoch": 12}, "state_dict": from_native(tensors, "mmdet", "backbone.")})


@pytest.fixture
def mirror(server, monkeypatch):
    """The function (model, name, pinned=True) that serves the model as `name` of b0, hash in the table or not."""
    monkeypatch.setenv("PVT_EDGE_MIRROR", server.url)

    def publish(model, name: str, pinned: bool = True):
        row, content = PUBLISHED[name, "b0"], file_of(model, name)
        server.give("/" + row.url.removeprefix("https://"), Answer(content))
        if pinned:
            row = replace(row, sha256=hashlib.sha256(content).hexdigest()[: len(row.sha256)])
            monkeypatch.setitem(PUBLISHED, (name, "b0"), row)
        return row

    return publish


def equal(model, other) -> bool:
    ours, theirs = model.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


@pytest.mark.parametrize(
    ("name", "dialect", "crop"),
    [
        ("imagenet:official", "official", 0.875),
        ("imagenet:timm", "timm", 0.9),
        ("imagenet:hf", "transformers", 0.875),
    ],
)
def test_imagenet(mirror, classifier, name, dialect, crop):
    row = mirror(classifier, name)
    told = []
    chosen = resolve_weights("b0", weights=name, progress=lambda *state: told.append(state))
    assert (chosen.task, chosen.dialect, chosen.model.weights_name) == ("classify", dialect, name)
    assert chosen.labels == get_labels("imagenet")
    assert chosen.file.name == row.file.partition("/")[2]
    assert equal(chosen.model, classifier)
    assert told[-1][1] == told[-1][2] == chosen.file.stat().st_size
    resize = default_resize(chosen.model, chosen.dialect)
    assert (resize.mode, resize.interpolation, resize.crop_fraction) == ("crop", "bicubic", crop)


def test_coco(mirror):
    detector = pvt_edge.create_model("b0", "detect")
    mirror(detector, "coco:mmdet")
    chosen = resolve_weights("b0", weights="coco")
    assert (chosen.task, chosen.dialect, chosen.model.weights_name) == ("detect", "mmdet", "coco:mmdet")
    assert chosen.labels == get_labels("coco")
    assert len(chosen.notes) == 1
    assert equal(chosen.model, detector)


def test_a_backbone_for_another_task(mirror, classifier):
    mirror(classifier, "imagenet:official")
    chosen = resolve_weights("b0", "detect", "imagenet", num_classes=3, head="lite")
    assert (chosen.model.num_classes, chosen.labels) == (3, None)
    assert "RANDOM HEAD" in chosen.notes[1]
    assert torch.equal(chosen.model.backbone.state_dict()["stages.3.norm.weight"], torch.ones(256))
    features = resolve_weights("b0", "features", "imagenet", offline=True)
    assert (features.labels, len(features.notes)) == (None, 1)
    assert equal(features.model, classifier.backbone)


def test_create_model_by_name(mirror, server, classifier):
    mirror(classifier, "imagenet:timm")
    model = pvt_edge.create_model("b0", weights="imagenet:timm")
    assert model.weights_name == "imagenet:timm"
    assert equal(model, classifier)
    assert default_labels(model) == get_labels("imagenet")
    assert default_resize(model).crop_fraction == 0.9
    asked = len(server.requests)
    with pytest.raises(WeightsError, match="have 1000 classes, not 5"):
        pvt_edge.create_model("b0", num_classes=5, weights="imagenet:timm")
    assert len(server.requests) == asked == 1


def test_another_file_than_the_published(mirror, classifier):
    mirror(classifier, "imagenet:timm", pinned=False)
    with pytest.raises(WeightsError, match=r"gave another file than its publisher's: .*d0927f8c963f"):
        resolve_weights("b0", weights="imagenet:timm")


def test_export_command(mirror, classifier, pvt_edge_command, tmp_path):
    row = mirror(classifier, "imagenet:official")
    done = pvt_edge_command(
        *("export", "--variant", "b0", "--weights", "imagenet", "--imgsz", "64", "--format", "onnx"),
        *("--out", str(tmp_path / "bundle")),
    )
    assert done.returncode == 0, done.stderr
    assert f"/{row.url.removeprefix('https://')}" in done.stdout.partition("\n")[0]
    assert done.stdout.startswith("downloading http://127.0.0.1:")
    manifest = pvt_edge.read_bundle(tmp_path / "bundle").manifest
    assert (manifest.task, manifest.labels) == ("classify", get_labels("imagenet"))
    assert (manifest.resize.mode, manifest.resize.crop_fraction) == ("crop", 0.875)
    kept = tmp_path / "cache" / "weights" / row.file
    provenance = manifest.provenance
    assert (provenance.weights, provenance.dialect) == ("imagenet:official", "official")
    assert provenance.weights_sha256 == hashlib.sha256(kept.read_bytes()).hexdigest()


def test_an_interrupted_download_says_what_is_kept(server, pvt_edge_script, tmp_path, monkeypatch):
    monkeypatch.setenv("PVT_EDGE_MIRROR", server.url)
    server.give("/" + PUBLISHED["imagenet:official", "b0"].url.removeprefix("https://"), Answer(bytes(99), stall=50))
    command = [pvt_edge_script, "export", "--variant", "b0", "--weights", "imagenet", "--out", tmp_path / "o"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs inherit "ignore"
    )
    assert server.stalled.wait(60)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate()
    assert process.returncode == 130
    assert told.strip().endswith("pvt_v2_b0.pth is kept, and the next try goes on from there")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--variant", "b2-li", "--weights", "coco"), "there are b0, b1, b2, b3, b4, b5"),
        (("--variant", "b0", "--weights", "imagenet", "--offline"), "pvt_v2_b0.pth at "),
    ],
)
def test_refusals_are_one_line(pvt_edge_command, arguments, told):
    done = pvt_edge_command("export", *arguments)
    assert done.returncode == 1
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
