"""create_model: a PVT-v2 model by name."""

import re
from os import PathLike
from pathlib import Path
from typing import NoReturn

from pvt_edge.arguments import CHECKPOINT_SUFFIXES, check_number, check_path, check_text, check_whole, refuse_unknown
from pvt_edge.errors import ArgumentError, PvtEdgeError, described
from pvt_edge.models.backbone import PVTv2, initialise
from pvt_edge.models.classifier import Classifier
from pvt_edge.models.detector import Detector
from pvt_edge.models.retinanet import HeadConfig, get_head
from pvt_edge.tasks import get_task
from pvt_edge.variants import VARIANTS, get_variant
from pvt_edge.weights import get_bundled
from pvt_edge.weights.obtaining import obtain
from pvt_edge.weights.published import find_published, is_file_name

Model = PVTv2 | Classifier | Detector

DEFAULT_CLASSES = {"classify": 1000, "detect": 80}  # ImageNet-1k, COCO
AUTO_VARIANT = "auto"


def bundled_variant(weights: str | None) -> str:
    """The variant that `weights` are bundled for; `PvtEdgeError` for other names, which do not tell one."""
    if bundled := get_bundled(weights):
        return bundled.variant
    given = "without weights" if weights is None else f"weights {weights!r} are no file that tells it"
    raise PvtEdgeError(f"no variant given, and {given}: give --variant (variant in Python), {', '.join(VARIANTS)}")


def create_model(
    variant: str | None,
    task: str = "classify",
    num_classes: int | None = None,
    weights: str | PathLike[str] | None = None,
    *,
    head: str | HeadConfig = "retinanet",
    drop_path: float = 0.0,
    **unknown: NoReturn,
) -> Model:
    """A PVT-v2 model in training form and eval mode; it takes normalised RGB (B, 3, H, W).

    Args: `variant` b0, b1, b2, b2-li, b3, b4 or b5, or None or "auto" for that of the checkpoint `weights`, which then
    sets `num_classes` too unless it is given; `task` classify, features or detect; `num_classes` 1000 for classify and
    80 for detect unless given; `weights` a checkpoint of any dialect or a folder with one, the name of bundled weights
    ("cells", which sets head and classes too) or of published ones ("imagenet", "imagenet:timm", "imagenet:hf",
    "coco", downloaded once), or None for fresh ones; `head` "retinanet", "lite" or a HeadConfig, for detect;
    `drop_path` the stochastic depth of training.

    Returns: classify gives logits (B, num_classes); features four maps (B, C_i, H/2^(i+2), W/2^(i+2)); detect two
    lists over levels, (B, A*K, H_l, W_l) class logits and (B, A*4, H_l, W_l) box deltas.

    Raises `UnknownNameError` for a name that does not exist, `ArgumentError` for an argument of the wrong kind and
    `WeightsError` for weights that do not fit.
    """
    refuse_unknown(create_model, unknown)
    check_text("create_model()", task=task)
    check_whole("create_model()", optional=True, num_classes=num_classes)
    check_number("create_model()", drop_path=drop_path)
    if weights is not None:
        check_path("create_model()", "weights", weights, "pvt_v2_b0.pth")
    if not 0 <= drop_path < 1:
        raise ArgumentError(f"create_model(): drop_path must be 0 or more and less than 1, not {drop_path}")
    if isinstance(variant, (str, PathLike)) and Path(variant).suffix in CHECKPOINT_SUFFIXES:
        raise ArgumentError(f"create_model() takes a variant first, not a file: {creation_of(variant)}")
    get_task(task)
    if variant is None or variant == AUTO_VARIANT:
        variant, num_classes = _variant_and_classes(task, weights, num_classes)
    row = get_variant(variant)
    bundled = get_bundled(weights) if isinstance(weights, str) else None
    published = find_published(weights, row.name) if isinstance(weights, str) else None
    if bundled is not None:
        if (row.name, task) != (bundled.variant, bundled.task):
            raise PvtEdgeError(
                f"weights {weights!r} are for variant {bundled.variant}, task {bundled.task}, "
                f"not for {row.name}, {task}: ask for those, or give a checkpoint file"
            )
        if num_classes not in (None, len(bundled.labels)):
            raise PvtEdgeError(f"weights {weights!r} have {len(bundled.labels)} classes, not {num_classes}")
        num_classes, head, weights = len(bundled.labels), bundled.head, bundled.path
    if published is not None:
        published.check(task, num_classes, head)
        weights = obtain(published)
    classes = DEFAULT_CLASSES.get(task, 0) if num_classes is None else num_classes
    if classes < 1 and task != "features":
        raise PvtEdgeError(f"num_classes must be at least 1, got {num_classes}")

    model: Model
    if task == "classify":
        model = Classifier(row, classes, drop_path)
    elif task == "detect":
        model = Detector(row, classes, get_head(head), drop_path)
    else:
        model = PVTv2(row, drop_path)
        initialise(model)
    if weights is not None:
        from pvt_edge.checkpoints import load_weights

        load_weights(model, weights)
        if bundled is not None:
            model.weights_name = bundled.name
        if published is not None:
            model.weights_name = published.name
    return model.eval()


def check_model(call: str, model: object) -> None:
    """Raise `ArgumentError` unless `model` is one of ours; of a path or name it has the call to make."""
    if isinstance(model, Model):
        return
    if isinstance(model, (str, PathLike)):
        raise ArgumentError(f"{call} takes a model, not {str(model)!r}: {creation_of(model)}")
    raise ArgumentError(f"{call} takes a model made by create_model, not {described(model)}")


def creation_of(text: str | PathLike[str]) -> str:
    """The call that makes a model of what was given in its place: a variant, a checkpoint or a bundle."""
    name = str(text)
    if (Path(name) / "model.json").is_file():
        return f"that is a bundle, which is run with pvt_edge.load({name!r})"
    if name.lower() in VARIANTS:
        return f"write model = pvt_edge.create_model({name.lower()!r}, weights='imagenet')"
    told = re.search(r"b[0-5]", Path(name).name.lower())
    return f"write model = pvt_edge.create_model({told[0] if told else 'b0'!r}, weights={name!r}), with its variant"


def _variant_and_classes(
    task: str, weights: "str | PathLike[str] | None", num_classes: int | None
) -> tuple[str, int | None]:
    """The variant of the checkpoint `weights`, and its number of classes unless one is given."""
    if weights is None or (isinstance(weights, str) and not is_file_name(weights)):
        return bundled_variant(weights), num_classes
    from pvt_edge.checkpoints.opening import open_checkpoint
    from pvt_edge.checkpoints.summary import known_variant, summarise

    opened = open_checkpoint(weights)
    summary = summarise(opened)
    return known_variant(opened), num_classes or (summary.num_classes if summary.task == task else None)
