"""What --weights may name, and what the user is told of it."""

import json
import re

import pytest
import torch

from pvt_edge.checkpoints import save_weights
from pvt_edge.errors import PvtEdgeError, UnknownNameError, WeightsError
from pvt_edge.models.classifier import Classifier
from pvt_edge.models.detector import Detector
from pvt_edge.models.retinanet import HeadConfig
from pvt_edge.variants import VARIANTS
from pvt_edge.weights import BUNDLED, get_bundled
from pvt_edge.zoo import create_model, resolve_weights

from .made import build


@pytest.fixture
def file(tmp_path):
    """The function (model, metadata) -> a file of its weights."""

    def write(model, metadata=None):
        path = tmp_path / "mine.safetensors"
        save_weights(model, path, metadata=metadata)
        return path

    return write


def refusal(kind: type[PvtEdgeError], *given, **options) -> str:
    with pytest.raises(kind) as caught:
        resolve_weights(*given, **options)
    return str(caught.value)


@pytest.mark.parametrize("given", [("b0",), ("B0",), ("b0", "detect"), ("b0", None, "cells")])
def test_b0_comes_with_weights(given):
    chosen = resolve_weights(*given)
    assert (chosen.variant, chosen.task, chosen.model.weights_name) == ("b0", "detect", "cells")
    assert chosen.labels == ("RBC", "WBC", "Platelets")
    assert (chosen.file, chosen.dialect, chosen.notes) == (BUNDLED["cells"].path, "native", ())
    assert isinstance(chosen.model, Detector)
    assert chosen.model.num_classes == 3
    assert get_bundled("cells.pth") is None


@pytest.mark.parametrize("given", [*((name,) for name in VARIANTS if name != "b0"), ("b0", "classify")])
def test_others_need_weights(given):
    told = refusal(WeightsError, *given)
    assert told == (
        f"no weights come with the package for {' '.join(given)}: "
        "take published ones with --weights imagenet or coco, give a checkpoint with --weights FILE, "
        "or --weights none for random ones"
    )


@pytest.mark.parametrize(("variant", "task"), [("b1", None), ("b0", "classify")])
def test_bundled_weights_for_another_model(variant, task):
    assert "weights 'cells' are for variant b0, task detect" in refusal(PvtEdgeError, variant, task, "cells")


def test_bundled_weights_with_other_classes():
    assert "weights 'cells' have 3 classes, not 5" in refusal(PvtEdgeError, "b0", num_classes=5)


def test_random_weights_say_so():
    chosen = resolve_weights("b0", weights="none", num_classes=4)
    assert (chosen.task, chosen.model.weights_name, chosen.file, chosen.labels) == ("classify", None, None, None)
    assert isinstance(chosen.model, Classifier)
    assert chosen.model.num_classes == 4
    assert "RANDOM WEIGHTS" in chosen.notes[0]


def test_random_weights_of_a_head():
    assert resolve_weights("b0", "detect", "none", head="lite").model.config.levels == 3
    assert resolve_weights("b0", "detect", "none").model.config.levels == 5
    assert "unknown head 'light': did you mean 'lite'" in refusal(
        UnknownNameError, "b0", "detect", "none", head="light"
    )


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("b6",), "unknown variant 'b6': did you mean"),
        (("b2-lii",), "unknown variant 'b2-lii': did you mean 'b2-li'?"),
        (("b0", "detection"), "unknown task 'detection': did you mean 'detect'?"),
    ],
)
def test_unknown_names(given, told):
    assert told in refusal(UnknownNameError, *given)


def test_a_classifiers_file_tells_task_and_classes(file):
    path = file(build("classify", "b0", classes=5))
    chosen = resolve_weights("b0", weights=str(path))
    assert (chosen.task, chosen.model.num_classes) == ("classify", 5)
    assert (chosen.model.weights_name, chosen.file, chosen.dialect) == (path.name, path, "native")
    assert chosen.labels is None
    assert len(chosen.notes) == 1
    assert "mine.safetensors: b0 in the native dialect" in chosen.notes[0]


def test_a_detectors_file_tells_head_and_labels(file):
    model = build("detect", "b0", classes=2)
    path = file(model, {"head": "lite", "labels": json.dumps(["cat", "dog"])})
    chosen = resolve_weights("b0", weights=str(path))
    assert (chosen.task, chosen.model.num_classes, chosen.labels) == ("detect", 2, ("cat", "dog"))
    assert chosen.model.config == model.config
    given, wanted = chosen.model.state_dict(), model.state_dict()
    assert given.keys() == wanted.keys()
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in given.items())


def test_labels_of_another_number_are_not_taken(file):
    path = file(build("classify", "b0", classes=3), {"labels": json.dumps(["cat", "dog"])})
    assert resolve_weights("b0", weights=str(path)).labels is None


def test_a_backbone_alone_leaves_a_random_head_and_says_so(file):
    path = file(build("features", "b0"))
    assert resolve_weights("b0", weights=str(path)).task == "features"
    chosen = resolve_weights("b0", "classify", str(path), num_classes=4)
    assert chosen.model.num_classes == 4
    assert (
        chosen.notes[1] == "RANDOM HEAD: mine.safetensors holds no head for classify; the export's head knows nothing"
    )


def test_a_classifiers_file_for_a_detector(file):
    path = file(build("classify", "b0", classes=5))
    chosen = resolve_weights("b0", "detect", str(path), head="lite")
    assert (chosen.model.num_classes, chosen.model.config.levels) == (80, 3)
    assert "RANDOM HEAD" in chosen.notes[1]


@pytest.mark.parametrize("options", [{"variant": "b1"}, {"variant": "b0", "num_classes": 7}])
def test_a_file_that_does_not_fit(file, options):
    path = file(build("classify", "b0", classes=5))
    assert "mine.safetensors" in refusal(WeightsError, weights=str(path), **options)


@pytest.mark.parametrize("variant", [None, "auto"])
@pytest.mark.parametrize("task", ["classify", "detect"])
def test_a_file_tells_its_variant(file, task, variant):
    path = file(build(task, "b1", classes=5), {"head": "lite"})
    for given in (path, path.parent):
        chosen = resolve_weights(variant, weights=str(given))
        assert (chosen.variant, chosen.task, chosen.model.num_classes, chosen.file) == ("b1", task, 5, path)
    model = create_model(variant, task, weights=path, head="lite")
    assert (model.backbone.variant.name, model.num_classes) == ("b1", 5)


OWN_HEADS = [
    ("classify", None),
    ("detect", "lite"),
    ("detect", HeadConfig(width=16, depth=1)),
    ("segment", "upernet:8"),
]


@pytest.mark.parametrize(("task", "head"), OWN_HEADS)
def test_what_is_not_said_is_taken_from_the_file(file, task, head):
    """With a named variant as without one."""
    own = create_model("b0", task, 5, head=head)
    path = file(own)
    for variant in ("b0", None):
        model = create_model(variant, task, weights=path, drop_path=0.1)
        assert (model.num_classes, model.config, model.weights_name) == (5, own.config, path.name)
        assert torch.equal(model.state_dict()[f"{model.class_layer}.bias"], own.state_dict()[f"{own.class_layer}.bias"])
        assert model.get_submodule("backbone.stages.3.blocks.1.drop_path").rate == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"num_classes": 7}, "has 5 classes, the model 7: give --num-classes 5"),
        ({"num_classes": 0}, "num_classes must be at least 1, got 0"),
        ({"head": "fpn"}, "its head is lite:8, the model's fpn: leave --head"),
        ({"head": "lite:16"}, "its head is lite:8, the model's lite:16: leave --head"),
        ({"variant": "b1"}, "holds b0, the model is b1: give --variant b0"),
        ({"task": "detect"}, "it is a segmenter's: give --task segment"),
    ],
)
def test_what_contradicts_the_file_is_refused(file, said, told):
    path = file(create_model("b0", "segment", 5, head="lite:8"))
    with pytest.raises(PvtEdgeError, match=re.escape(told)):
        create_model(**{"variant": "b0", "task": "segment", "weights": path, **said})


def test_bundled_weights_of_another_head():
    with pytest.raises(WeightsError, match="have the head lite, not retinanet: leave --head"):
        create_model("b0", "detect", weights="cells", head="retinanet")


def test_bundled_weights_tell_their_variant():
    assert resolve_weights(None, weights="cells").variant == "b0"
    assert create_model("auto", "detect", weights="cells").backbone.variant.name == "b0"


@pytest.mark.parametrize("weights", [None, "none", "imagenet", "coco"])
def test_other_names_tell_no_variant(weights):
    assert "--variant (variant in Python)" in refusal(PvtEdgeError, None, weights=weights)
    with pytest.raises(PvtEdgeError, match="give --variant"):
        create_model(None, weights=weights)


def test_a_file_of_another_size_tells_no_variant(tmp_path):
    state = {f"backbone.{name}": tensor for name, tensor in build("features", "b0").state_dict().items()}
    torch.save({name: tensor for name, tensor in state.items() if ".blocks.1." not in name}, tmp_path / "a.pth")
    assert "holds a PVT-v2 of another size than b0, " in refusal(WeightsError, None, weights=str(tmp_path / "a.pth"))


def test_the_choice_of_averaged_weights_reaches_the_model(tmp_path):
    state = build("classify", "b0", classes=5).state_dict()
    averaged = {name: tensor + 1 for name, tensor in state.items()}
    torch.save({"state_dict": state, "state_dict_ema": averaged}, tmp_path / "last.pth")
    for ema, wanted in ((None, averaged), (True, averaged), (False, state)):
        chosen = resolve_weights(None, weights=str(tmp_path / "last.pth"), ema=ema)
        assert torch.equal(chosen.model.state_dict()["head.bias"], wanted["head.bias"])
        assert ("averaged (EMA) weights of state_dict_ema" in chosen.model.weights_name) == (wanted is averaged)
        assert "state_dict" in chosen.notes[0]


def test_a_file_that_is_not_there(tmp_path):
    assert "no such file" in refusal(WeightsError, "b0", weights=str(tmp_path / "absent.pth"))
    for variant, typed, meant in (("b0", "cels", "cells"), (None, "Imagnet", "imagenet")):
        assert f"did you mean {meant!r}?" in refusal(WeightsError, variant, weights=typed)
