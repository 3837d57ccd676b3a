"""What lies beside the weights: a bundle answers as transformers does, and as timm's rule does by hand."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pvt_edge import create_model, export_model, load
from pvt_edge.bundle.schema import NormaliseSpec, ResizeSpec
from pvt_edge.checkpoints import save_weights
from pvt_edge.errors import PvtEdgeError
from pvt_edge.options.preprocessing import Preprocessing
from pvt_edge.scenes import draw_scene
from pvt_edge.zoo import resolve_weights

transformers = pytest.importorskip("transformers")
from transformers.models.pvt.image_processing_pil_pvt import PvtImageProcessorPil  # noqa: E402

NAMES = ("cat", "dog", "owl")
HALF = [0.5, 0.5, 0.5]
BCCD = Path(os.environ.get("PVT_EDGE_BCCD", Path(__file__).resolve().parents[3] / "shared" / "data" / "bccd"))


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """RGB pictures (H, W, 3): drawn, one of odd sides; real ones where they are."""
    found = [draw_scene(1).image[..., ::-1].copy(), draw_scene(2, 333, 500).image[..., ::-1].copy()]
    found += [np.asarray(Image.open(path).convert("RGB")) for path in sorted(BCCD.rglob("*.jpg"))[:2]]
    return found


@pytest.fixture(scope="module")
def peer():
    """A transformers model whose answers are far apart."""
    torch.manual_seed(3)
    config = transformers.PvtV2Config(id2label=dict(enumerate(NAMES)), layer_norm_eps=1e-3)
    model = transformers.PvtV2ForImageClassification(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.copy_(torch.randn_like(parameter) * (1.5 / parameter[0].numel() ** 0.5))
    return model


def folder_of(peer, path: Path, processor: dict[str, object] | None) -> Path:
    peer.save_pretrained(path)
    if processor is not None:
        (path / "preprocessor_config.json").write_text(json.dumps(processor))
    return path


def export(weights: Path, out: Path, **options):
    chosen = resolve_weights(None, None, str(weights))
    return export_model(
        chosen.model, out, formats=("onnx",), labels=chosen.labels, dialect=chosen.dialect, **options
    )  # fmt: skip


def shares(bundle, pictures) -> np.ndarray:
    with load(bundle.folder) as predictor:
        return np.stack([predictor(np.ascontiguousarray(picture[..., ::-1])).probs.data for picture in pictures])


def their_shares(peer, processor: dict[str, object], pictures) -> np.ndarray:
    fields = {name: value for name, value in processor.items() if name != "image_processor_type"}
    theirs = PvtImageProcessorPil(**fields)
    with torch.inference_mode():
        pixels = [torch.from_numpy(np.stack(theirs(Image.fromarray(p))["pixel_values"])) for p in pictures]
        return np.stack([peer(x.float()).logits.softmax(1)[0].numpy() for x in pixels])


PROCESSORS: dict[str, dict[str, object]] = {
    "half": {"size": {"height": 64, "width": 64}, "resample": 2, "image_mean": HALF, "image_std": HALF},
    "bicubic, not normalised": {
        "size": {"height": 96, "width": 64},
        "resample": 3,
        "do_normalize": False,
        "rescale_factor": 1 / 127.5,
    },
    "crop": {
        "size": {"shortest_edge": 73},
        "do_center_crop": True,
        "crop_size": {"height": 64, "width": 64},
        "resample": 2,
        "image_mean": [0.4, 0.5, 0.6],
        "image_std": [0.2, 0.3, 0.4],
    },
    "stretch and crop": {"size": {"height": 75, "width": 75}, "do_center_crop": True, "crop_size": 64, "resample": 1},
}


@pytest.mark.parametrize("name", PROCESSORS)
def test_a_bundle_answers_as_transformers_does(name, peer, pictures, tmp_path):
    processor = PROCESSORS[name]
    bundle = export(folder_of(peer, tmp_path / "hf", processor), tmp_path / "bundle")
    assert bundle.manifest.labels == NAMES
    assert any("preprocessor_config.json" in line for line in bundle.manifest.provenance.taken)
    theirs = their_shares(peer, processor, pictures)
    assert np.ptp(theirs, axis=0).max() > 0.01  # answers that could not be told apart would prove nothing
    assert np.abs(shares(bundle, pictures) - theirs).max() < 1e-3


def test_a_timm_folder_answers_as_timm_s_rule(pictures, tmp_path):
    model = create_model("b0", num_classes=3)
    torch.manual_seed(1)
    torch.nn.init.normal_(model.head.weight)
    config = {
        "architecture": "pvt_v2_b0",
        "num_classes": 3,
        "label_names": list(NAMES),
        "pretrained_cfg": {
            "input_size": [3, 96, 96],
            "interpolation": "bilinear",
            "crop_pct": 1.0,
            "crop_mode": "center",
            "mean": HALF,
            "std": [0.25, 0.5, 0.5],
            "fixed_input_size": True,
        },
    }
    (tmp_path / "timm").mkdir()
    save_weights(model, tmp_path / "timm" / "model.safetensors")
    (tmp_path / "timm" / "config.json").write_text(json.dumps(config))
    bundle = export(tmp_path / "timm", tmp_path / "bundle")
    manifest = bundle.manifest
    assert manifest.labels == NAMES
    assert (manifest.input.height, manifest.resize.crop_fraction, manifest.resize.interpolation) == (
        96,
        1.0,
        "bilinear",
    )
    assert manifest.normalise == NormaliseSpec(mean=(127.5,) * 3, std=(63.75, 127.5, 127.5))

    wanted = []
    for picture in pictures:
        height, width = picture.shape[:2]
        sides = (96, int(96 * height / width)) if width <= height else (int(96 * width / height), 96)
        resized = Image.fromarray(picture).resize(sides, Image.Resampling.BILINEAR)
        left, top = round((sides[0] - 96) / 2.0), round((sides[1] - 96) / 2.0)
        pixels = np.asarray(resized.crop((left, top, left + 96, top + 96)), np.float32) / 255
        pixels = (pixels - np.float32(0.5)) / np.array([0.25, 0.5, 0.5], np.float32)
        with torch.inference_mode():
            wanted.append(model(torch.from_numpy(pixels).permute(2, 0, 1)[None]).softmax(1)[0].numpy())
    assert np.abs(shares(bundle, pictures) - np.stack(wanted)).max() < 1e-3


@pytest.mark.parametrize(
    ("processor", "word"),
    [
        ({"resample": 9}, "--interpolation"),
        ({"size": {"shortest_edge": 256}}, "--resize"),
        ({"size": {"longest_edge": 256}}, "--resize"),
        ({"do_resize": False}, "--resize"),
        ({"do_pad": True}, "do_pad"),
        ({"size": {"shortest_edge": 60}, "do_center_crop": True, "crop_size": 64}, "--resize"),
        ({"image_std": [0.5, 0, 0.5]}, "--std"),
        ({"image_mean": [0.5, 0.5]}, "--mean"),
        ({"image_mean": [0.5]}, "--mean"),  # of grey pictures
        ({"rescale_factor": 0}, "--mean"),
        ({"image_processor_type": "ViTImageProcessor", "resample": None}, "--interpolation"),
    ],
)
def test_what_cannot_be_done_stops_the_export(processor, word, peer, tmp_path):
    whole = {"size": {"height": 64, "width": 64}, "resample": 2, "image_mean": HALF, "image_std": HALF, **processor}
    folder = folder_of(peer, tmp_path / "hf", whole)
    with pytest.raises(PvtEdgeError, match=word):
        export(folder, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_options_stand_over_what_lies_beside(peer, pictures, tmp_path):
    folder = folder_of(peer, tmp_path / "hf", {"size": 64, "resample": 9, "image_mean": HALF, "image_std": HALF})
    given = Preprocessing(mean=(0.2, 0.3, 0.4), channel_order="BGR", crop=0.5, interpolation="bicubic")
    manifest = export(folder, tmp_path / "bundle", preprocessing=given).manifest
    assert manifest.normalise == NormaliseSpec(mean=(51, 76.5, 102), std=(127.5,) * 3, channel_order="BGR")
    assert manifest.resize == ResizeSpec(
        mode="crop", crop_fraction=0.5, interpolation="bicubic", fill_bgr=(51, 76, 102)
    )
    x = torch.from_numpy(np.stack([picture[:64, :64, ::-1].copy() for picture in pictures]))  # of the size: only cut
    with torch.inference_mode(), load(tmp_path / "bundle") as predictor:
        mean, std = torch.tensor([51, 76.5, 102]), torch.full((3,), 127.5)
        theirs = peer(((x - mean) / std).permute(0, 3, 1, 2)).logits
        ours = predictor.runtime.infer({"images": x[:1].numpy()})["logits"]
    assert np.abs(ours - theirs[:1].numpy()).max() < 1e-3 * theirs.abs().max()


def test_the_files_own_metadata_are_read_back(peer, tmp_path):
    folder = folder_of(peer, tmp_path / "hf", {"size": 64, "resample": 2, "image_mean": HALF, "image_std": HALF})
    model = create_model(None, weights=folder)
    save_weights(model, tmp_path / "own.safetensors")
    again = create_model(None, weights=tmp_path / "own.safetensors")
    assert again.sidecar.preprocessing == model.sidecar.preprocessing
    assert again.sidecar.preprocessing.mean == (127.5,) * 3
    assert model.backbone.stages[0].norm.eps == 1e-3
