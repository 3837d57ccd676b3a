"""What `--variant`, `--task` and `--weights` name -> a model that holds them: the one place that decides it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pvt_edge.arguments import CHECKPOINT_SUFFIXES, check_number, check_path, check_text, check_whole, known_keywords
from pvt_edge.errors import ArgumentError, PvtEdgeError, WeightsError, nearest
from pvt_edge.models.table import build_model, creation_of, get_model
from pvt_edge.tasks import get_task
from pvt_edge.variants import VARIANTS, Variant, get_variant
from pvt_edge.weights import BUNDLED, NO_WEIGHTS, BundledWeights, get_bundled
from pvt_edge.weights.obtaining import obtain
from pvt_edge.weights.published import ORIGINS, PublishedWeights, find_published, is_file_name, labels_of

if TYPE_CHECKING:
    from pvt_edge.models.model import Model
    from pvt_edge.models.retinanet import HeadConfig
    from pvt_edge.weights.download import Progress

AUTO_VARIANT = "auto"
RANDOM = "RANDOM WEIGHTS: this model knows nothing; use it to measure speed only"


@dataclass(frozen=True)
class ChosenWeights:
    """A model with its weights, and what the user should know of them.

    Attributes:
        model: In eval mode.
        labels: The names of its classes, where they are known and as many.
        file: The checkpoint.
        dialect: Its dialect.
        notes: Lines for the user.
    """

    model: "Model"
    labels: tuple[str, ...] | None = None
    file: Path | None = None
    dialect: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def variant(self) -> str:
        """The variant's name."""
        return self.model.backbone.variant.name

    @property
    def task(self) -> str:
        """The task's name."""
        return self.model.task


@known_keywords
def create_model(
    variant: str | None,
    task: str = "classify",
    num_classes: int | None = None,
    weights: str | PathLike[str] | None = None,
    *,
    head: "str | HeadConfig | None" = None,
    drop_path: float = 0.0,
) -> "Model":
    """A model in training form and eval mode; it takes normalised RGB (B, 3, H, W).

    Args:
        variant: b0, b1, b2, b2-li, b3, b4 or b5; None or "auto" for that of the checkpoint `weights`.
        task: classify, features, detect or segment.
        num_classes: Those of the checkpoint where it is of `task`, else 1000, 80 for detect, 150 for segment.
        weights: A checkpoint of any dialect or a folder with one, the name of bundled weights ("cells", which sets
            head and classes too) or of published ones ("imagenet", "imagenet:timm", "imagenet:hf", "coco", downloaded
            once), or None for fresh ones.
        head: Of detect: "retinanet", "lite" or a `HeadConfig`; of segment: "lite", "linear", "fpn" or "upernet", with
            a width behind a colon. By default the checkpoint's own, of fresh ones "retinanet" and "lite".
        drop_path: The stochastic depth of training, 0 to below 1.

    Returns:
        classify gives logits (B, num_classes); features four maps (B, C_i, H/2^(i+2), W/2^(i+2)); detect two lists
        over levels, `(B, A*K, H_l, W_l)` class logits and `(B, A*4, H_l, W_l)` box deltas; segment class logits
        (B, num_classes, H/4, W/4).

    Raises:
        UnknownNameError: For a name that does not exist.
        ArgumentError: For an argument of the wrong kind.
        WeightsError: For weights that do not fit, of another variant, other classes or another head than asked for.
    """
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
    given = weights if isinstance(weights, str) else None
    if variant in (None, AUTO_VARIANT):
        if weights is not None and (given is None or is_file_name(given)):
            return _from_file(None, task, Path(weights), num_classes, head, drop_path=drop_path).model
        variant = bundled_variant(given)
    row = get_variant(variant)
    named = None if given is None else _named(given, row)
    if weights is None:
        return build_model(row, task, num_classes, head, drop_path)
    if named is None:
        return _from_file(row.name, task, Path(weights), num_classes, head, drop_path=drop_path).model
    if isinstance(named, BundledWeights):
        num_classes = _check_bundled(named, row, task, num_classes, head)
        named_file, head = named.path, head or named.head
    else:
        named.check(task, num_classes, head)
        named_file = obtain(named, variant_in_file)
    model = _from_file(row.name, task, named_file, num_classes, head, drop_path=drop_path).model
    model.weights_name = named.name
    return model


def resolve_weights(
    variant: str | None,
    task: str | None = None,
    weights: str | None = None,
    *,
    num_classes: int | None = None,
    head: str | None = None,
    ema: bool | None = None,
    offline: bool = False,
    progress: "Progress | None" = None,
) -> ChosenWeights:
    """The model that the options of a command ask for.

    Without `weights`, b0 takes the bundled `cells`, for segment `cells-seg`; without `variant` (or "auto") and without
    `task`, a file's own. Published weights (`imagenet`, `coco`) are downloaded once.

    Args:
        variant: As of `create_model`.
        task: As of `create_model`; None for the weights' own.
        weights: A name, a checkpoint, "none" for fresh ones, or None for what comes with the package.
        num_classes: None for the weights' own.
        head: None for the weights' own.
        ema: As of `load_weights`.
        offline: Download nothing.
        progress: Is told how far a download is.

    Raises:
        PvtEdgeError: For anything that does not fit, with what to do.
    """
    if variant in (None, AUTO_VARIANT):
        if weights is not None and is_file_name(weights):
            return _from_file(None, task, Path(weights), num_classes, head, ema=ema)
        variant = bundled_variant(weights)
    row = get_variant(variant)
    if task is not None:
        get_task(task)
    if weights is None:
        weights = next((name for name, b in BUNDLED.items() if b.variant == row.name and task in (None, b.task)), None)
    if weights is None:
        raise WeightsError(
            f"no weights come with the package for {row.name} {task or ''}".rstrip()
            + ": take published ones with --weights imagenet or coco, give a checkpoint with --weights FILE, "
            "or --weights none for random ones"
        )
    named = _named(weights, row)
    if isinstance(named, BundledWeights):
        model = create_model(row.name, task or named.task, num_classes, weights, head=head)
        return ChosenWeights(model, named.labels, named.path, "native")
    if named is not None:
        named.check(task or named.task, num_classes, head)
        path = obtain(named, variant_in_file, offline=offline, progress=progress)
        chosen = _from_file(row.name, task or named.task, path, num_classes, head, ema=ema)
        chosen.model.weights_name = named.name
        return replace(chosen, labels=labels_of(named.name, chosen.task))
    if weights == NO_WEIGHTS:
        return ChosenWeights(build_model(row, task or "classify", num_classes, head), notes=(RANDOM,))
    return _from_file(row.name, task, Path(weights), num_classes, head, ema=ema)


def bundled_variant(weights: str | None) -> str:
    """The variant that `weights` are bundled for; `PvtEdgeError` for other names, which do not tell one."""
    if bundled := get_bundled(weights):
        return bundled.variant
    given = "without weights" if weights is None else f"weights {weights!r} are no file that tells it"
    raise PvtEdgeError(f"no variant given, and {given}: give --variant (variant in Python), {', '.join(VARIANTS)}")


def variant_in_file(path: Path) -> str | None:
    """The variant in a checkpoint, None where it cannot be told; `WeightsError` for what is no checkpoint."""
    from pvt_edge.checkpoints import read_checkpoint
    from pvt_edge.checkpoints.opening import summarise_checkpoint

    read_checkpoint(path)
    try:
        return summarise_checkpoint(path).variant
    except WeightsError:  # which loading it will say
        return None


def _named(weights: str, row: Variant) -> BundledWeights | PublishedWeights | None:
    """What a name of bundled or published weights means for a variant; None for others."""
    return get_bundled(weights) or find_published(weights, row.name)


def _check_bundled(bundled: BundledWeights, row: Variant, task: str, num_classes: int | None, head: Any) -> int:
    """The number of classes of bundled weights; `PvtEdgeError` where other things are asked for."""
    if (row.name, task) != (bundled.variant, bundled.task):
        raise PvtEdgeError(
            f"weights {bundled.name!r} are for variant {bundled.variant}, task {bundled.task}, "
            f"not for {row.name}, {task}: ask for those, or give a checkpoint file"
        )
    if num_classes not in (None, len(bundled.labels)):
        raise PvtEdgeError(f"weights {bundled.name!r} have {len(bundled.labels)} classes, not {num_classes}")
    if isinstance(head, str) and head != bundled.head:
        raise WeightsError(
            f"weights {bundled.name!r} have the head {bundled.head}, not {head}: leave --head (head in Python) out"
        )
    return len(bundled.labels)


def _from_file(
    variant: str | None,
    task: str | None,
    path: Path,
    num_classes: int | None,
    head: Any,
    *,
    ema: bool | None = None,
    drop_path: float = 0.0,
) -> ChosenWeights:
    """The model of a file; variant, task, classes and head are its own unless they are said."""
    from pvt_edge.checkpoints.loading import load_opened
    from pvt_edge.checkpoints.opening import known_variant, open_checkpoint, summarise

    _check_name(path)
    opened = open_checkpoint(path, ema=ema)
    summary = summarise(opened)
    row = get_variant(variant or known_variant(opened))
    task = task or summary.task
    classes, own_head = num_classes, head  # the file's, where its head is of this task
    if summary.task == task:
        classes = summary.num_classes if num_classes is None else num_classes
        tensors: Any = opened.translation.tensors
        own_head = get_model(task).head_in(tensors, head or summary.head, opened.trained_head)
    model = build_model(row, task, classes, own_head, drop_path)
    report = load_opened(model, opened)
    notes = [report.summary(), *(model.sidecar.taken if model.sidecar else ())]
    if report.kept:
        notes.append(f"RANDOM HEAD: {report.path.name} holds no head for {task}; the export's head knows nothing")
    return ChosenWeights(model, _fitting(summary.labels, model), report.path, report.dialect, tuple(notes))


def _check_name(path: Path) -> None:
    """Raise `WeightsError` for a word that is no file, where a name of weights is near."""
    near = nearest(str(path), [*BUNDLED, *ORIGINS])
    if near is not None and len(path.parts) == 1 and not path.suffix and not path.exists():
        raise WeightsError(f"{path}: no such file, and no weights of that name: did you mean {near!r}?")


def _fitting(labels: Sequence[str] | None, model: "Model") -> tuple[str, ...] | None:
    return tuple(labels) if labels is not None and len(labels) == model.num_classes else None
