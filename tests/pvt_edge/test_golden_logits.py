"""The logits that Hugging Face's port gave for a COCO picture when its weights were converted.

They are checked where the weights lie in the cache (`pvt-edge export --variant b0 --weights imagenet:hf`) and
$PVT_EDGE_COCO names the folder of COCO's val2017 pictures. The values are those of transformers'
convert_pvt_v2_to_pytorch.py; its PvtImageProcessor stretched pictures bilinearly then (today's is bicubic).
"""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

import pvt_edge
from pvt_edge.weights.obtaining import cached_path, obtain
from pvt_edge.weights.published import find_published
from pvt_edge.zoo import variant_in_file

Image = pytest.importorskip("PIL.Image")

PICTURE = "000000039769.jpg"
FIRST_THREE = {
    "b0": (-1.1939, -1.4547, -0.1076),
    "b1": (-0.4716, -0.7335, -0.4600),
    "b2": (0.0795, -0.3170, 0.2247),
    "b2-li": (0.0968, 0.3937, -0.4252),
    "b3": (-0.4595, -0.2870, 0.0940),
    "b4": (-0.1769, -0.1747, -0.0143),
    "b5": (-0.2943, -0.1008, 0.6812),
}
MEAN, STD = np.float32((0.485, 0.456, 0.406)), np.float32((0.229, 0.224, 0.225))


@pytest.mark.parametrize("variant", FIRST_THREE)
def test_first_logits(variant):
    weights = find_published("imagenet:hf", variant)
    if not cached_path(weights).is_file():
        pytest.skip(f"no {weights.name} weights of {variant} in the cache: {cached_path(weights)}")
    picture = Path(os.environ.get("PVT_EDGE_COCO", ".")) / PICTURE
    if not picture.is_file():
        pytest.skip(f"no {PICTURE}: set PVT_EDGE_COCO to the folder of COCO's val2017 pictures")
    with Image.open(picture) as opened:
        pixels = opened.convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
    images = (np.asarray(pixels, np.float32) / 255 - MEAN) / STD  # (224, 224, 3)
    model = pvt_edge.create_model(variant)
    pvt_edge.load_weights(model, obtain(weights, variant_in_file, offline=True))
    with torch.inference_mode():
        logits = model(torch.from_numpy(images.transpose(2, 0, 1)[None].copy()))
    assert logits[0, :3].tolist() == pytest.approx(FIRST_THREE[variant], abs=1e-4)
