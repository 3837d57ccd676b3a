"""The table of published files, and the names of their classes."""

import pytest

from pvt_edge.errors import UnknownNameError, WeightsError
from pvt_edge.models import MODELS
from pvt_edge.variants import VARIANTS
from pvt_edge.weights.published import PUBLISHED, TASK_OF, find_published, get_labels, labels_of

GITHUB = "https://github.com/whai362/PVT/releases/download/v2/"
MMDET = "https://download.openmmlab.com/mmdetection/v2.0/pvt/"
COCO_B0 = "retinanet_pvtv2-b0_fpn_1x_coco/retinanet_pvtv2-b0_fpn_1x_coco_20210831_103157-13e9aabe.pth"


@pytest.mark.parametrize(
    ("name", "variant", "url"),
    [
        ("imagenet", "b0", GITHUB + "pvt_v2_b0.pth"),
        ("imagenet:official", "b2-li", GITHUB + "pvt_v2_b2_li.pth"),
        ("imagenet:timm", "b2-li", "https://huggingface.co/timm/pvt_v2_b2_li.in1k/resolve/main/model.safetensors"),
        ("imagenet:hf", "b5", "https://huggingface.co/OpenGVLab/pvt_v2_b5/resolve/main/model.safetensors"),
        ("imagenet:hf", "b2-li", "https://huggingface.co/OpenGVLab/pvt_v2_b2_linear/resolve/main/model.safetensors"),
        ("coco", "b0", MMDET + COCO_B0),
    ],
)
def test_addresses(name, variant, url):
    assert find_published(name, variant).url == url


@pytest.mark.parametrize("name", ["", "cells", "none", "./imagenet", "imagenet.pth", "c:/coco", "IMAGENET"])
def test_other_names_are_not_published(name):
    assert find_published(name, "b0") is None


def test_the_table_is_whole():
    held = {name: {variant for full, variant in PUBLISHED if full == name} for name, _ in PUBLISHED}
    v2 = {name for name, row in VARIANTS.items() if row.family == "pvt-v2"}
    assert held.pop("coco:mmdet") == set(VARIANTS) - {"b2-li", "v1-large"}
    assert held.pop("imagenet:timm") == v2
    assert held == {f"imagenet:{origin}": set(VARIANTS) for origin in ("official", "hf")}
    files = [weights.file for weights in PUBLISHED.values()]
    assert len(set(files)) == len({weights.url for weights in PUBLISHED.values()}) == len(files)
    for weights in PUBLISHED.values():
        assert len(weights.sha256) in (0, 8, 64)
        assert set(weights.sha256) <= set("0123456789abcdef")
        if weights.origin == "mmdet":
            assert weights.file.endswith(f"-{weights.sha256}.pth")


def test_what_nobody_publishes():
    with pytest.raises(WeightsError, match=r"coco weights of b2-li .*: there are b0, .*, v1-medium; for b2-li"):
        find_published("coco", "b2-li")
    with pytest.raises(UnknownNameError, match="unknown origin of imagenet weights 'tim': did you mean 'timm'"):
        find_published("imagenet:tim", "b0")
    with pytest.raises(UnknownNameError, match="known are mmdet"):
        find_published("coco:timm", "b0")


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("imagenet", ("classify", 5), "weights 'imagenet:official' have 1000 classes, not 5"),
        ("coco", ("detect", 3, "retinanet"), "weights 'coco:mmdet' have 80 classes, not 3"),
        ("coco", ("detect", None, "lite"), "weights 'coco:mmdet' have the head retinanet, not lite"),
    ],
)
def test_what_cannot_hold_them_is_refused_before_downloading(name, given, told):
    with pytest.raises(WeightsError, match=told):
        find_published(name, "b0").check(*given)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("imagenet", ("classify", None)),
        ("imagenet", ("classify", 1000)),
        ("imagenet", ("detect", 3, "lite")),
        ("coco", ("detect", 80, "retinanet")),
        ("coco", ("classify", 5)),
    ],
)
def test_what_can_hold_them(name, given):
    find_published(name, "b0").check(*given)


@pytest.mark.parametrize("name", ["imagenet", "coco"])
def test_labels_are_one_short_name_a_class(name):
    labels = get_labels(name)
    assert len(labels) == MODELS[TASK_OF[name]].default_classes
    assert len({label.lower() for label in labels}) == len(labels)
    assert all(label == label.strip() and label.isascii() and 0 < len(label) < 40 for label in labels)


@pytest.mark.parametrize(
    ("name", "index", "label"),
    [
        ("imagenet", 0, "tench"),
        ("imagenet", 134, "crane (bird)"),
        ("imagenet", 207, "golden retriever"),
        ("imagenet", 264, "Cardigan Welsh corgi"),
        ("imagenet", 281, "tabby"),
        ("imagenet", 474, "cardigan"),
        ("imagenet", 517, "crane (machine)"),
        ("imagenet", 761, "remote control"),
        ("imagenet", 999, "toilet tissue"),
        ("coco", 0, "person"),
        ("coco", 11, "stop sign"),
        ("coco", 15, "cat"),
        ("coco", 65, "remote"),
        ("coco", 79, "toothbrush"),
    ],
)
def test_labels_stand_in_their_places(name, index, label):
    assert get_labels(name)[index] == label


def test_labels_belong_to_the_task_of_their_weights():
    assert labels_of("imagenet:timm", "classify") == get_labels("imagenet")
    assert labels_of("coco:mmdet", "detect") == get_labels("coco")
    for name, task in [(None, "classify"), ("imagenet:hf", "detect"), ("imagenet", "classify"), ("a.pth", "detect")]:
        assert labels_of(name, task) is None
