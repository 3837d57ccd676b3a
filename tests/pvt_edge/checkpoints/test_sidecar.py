"""Configurations beside the weights, or in them, that make no sense: named as unclear, and nothing is taken of them."""

import pytest

from pvt_edge.checkpoints.hugging_face import read_hugging_face
from pvt_edge.checkpoints.timm_config import read_timm


@pytest.mark.parametrize("share", ["all", 2, -1])
def test_a_crop_that_is_no_share_is_unclear(share):
    processor = {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 224}, "crop_pct": share}
    (found,) = read_hugging_face(None, processor)
    assert f"a crop_pct of {share!r}" in found.unclear["resize"]
    assert (found.preprocessing.resize, found.preprocessing.crop) == (None, None)


def test_a_size_without_end_is_unclear():
    found = read_timm({"architecture": "pvt_v2_b0", "input_size": [3, float("inf"), 224]}, "config.json", whole=True)
    assert "input_size" in found.unclear["channels"]
