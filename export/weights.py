"""What `--weights` names -> a model that holds them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pvt_edge.errors import WeightsError
from pvt_edge.models.create import AUTO_VARIANT, Model, bundled_variant, create_model
from pvt_edge.tasks import get_task
from pvt_edge.variants import get_variant
from pvt_edge.weights import BUNDLED, NO_WEIGHTS, get_bundled
from pvt_edge.weights.download import Progress
from pvt_edge.weights.obtaining import obtain
from pvt_edge.weights.published import find_published, is_file_name, labels_of


@dataclass(frozen=True)
class ChosenWeights:
    """A model with its weights, and what the user should know of them."""

    model: Model
    variant: str
    task: str
    labels: tuple[str, ...] | None = None
    file: Path | None = None
    dialect: str | None = None
    notes: tuple[str, ...] = field(default=())


def resolve_weights(
    variant: str | None,
    task: str | None = None,
    weights: str | None = None,
    *,
    num_classes: int | None = None,
    head: str | None = None,
    ema: bool | None = None,
    offline: bool = False,
    progress: Progress | None = None,
) -> ChosenWeights:
    """The model that the options of `pvt-edge export` ask for.

    Without `weights`, b0 takes the bundled `cells`; without `variant` (or "auto") and without `task`, a file's own;
    `ema` as in `load_weights`. Published weights (`imagenet`, `coco`) are downloaded once, unless `offline`, and
    `progress` is told how far that is. Raises a `PvtEdgeError` with the mend for anything that does not fit.
    """
    if variant in (None, AUTO_VARIANT):
        if weights is not None and is_file_name(weights):
            return _from_file(None, task, Path(weights), num_classes, head, ema)
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
    if bundled := get_bundled(weights):
        if head not in (None, bundled.head):
            raise WeightsError(
                f"weights {weights!r} have the head {bundled.head}, not {head}: leave --head (head in Python) out"
            )
        model = create_model(row.name, task or bundled.task, num_classes, weights)
        return ChosenWeights(model, row.name, bundled.task, bundled.labels, bundled.path, "native")
    if published := find_published(weights, row.name):
        published.check(task or published.task, num_classes, head)
        path = obtain(published, offline=offline, progress=progress)
        chosen = _from_file(row.name, task or published.task, path, num_classes, head, ema)
        chosen.model.weights_name = published.name
        return replace(chosen, labels=labels_of(published.name, chosen.task))
    if weights == NO_WEIGHTS:
        return _random(row.name, task or "classify", num_classes, head)
    return _from_file(row.name, task, Path(weights), num_classes, head, ema)


def _random(variant: str, task: str, num_classes: int | None, head: str | None) -> ChosenWeights:
    model = create_model(variant, task, num_classes, head=head or "retinanet")
    note = "RANDOM WEIGHTS: this model knows nothing; use it to measure speed only"
    return ChosenWeights(model, variant, task, notes=(note,))


def _from_file(
    variant: str | None, task: str | None, path: Path, num_classes: int | None, head: str | None, ema: bool | None
) -> ChosenWeights:
    from pvt_edge.checkpoints.loading import load_opened
    from pvt_edge.checkpoints.opening import open_checkpoint
    from pvt_edge.checkpoints.summary import head_config, known_variant, summarise

    opened = open_checkpoint(path, ema=ema)
    summary = summarise(opened)
    variant = variant or known_variant(opened)
    task = task or summary.task
    classes = summary.num_classes if summary.task == task else None  # the file's, where its head is of this task
    own_head = head_config(opened, head or summary.head) if summary.task == task else head or "retinanet"
    model = create_model(variant, task, num_classes or classes, head=own_head)
    report = load_opened(model, opened)
    notes = [report.summary(), *(model.sidecar.taken if model.sidecar else ())]
    if report.kept:
        notes.append(f"RANDOM HEAD: {report.path.name} holds no head for {task}; the export's head knows nothing")
    return ChosenWeights(
        model, variant, task, _fitting(summary.labels, model), report.path, report.dialect, tuple(notes)
    )


def _fitting(labels: Sequence[str] | None, model: Model) -> tuple[str, ...] | None:
    classes = getattr(model, "num_classes", None)
    return tuple(labels) if labels is not None and len(labels) == classes else None
