"""`pvt_edge.train`: labelled pictures -> weights that an export takes."""

import copy
import shutil
import time
import warnings
from dataclasses import dataclass, fields, replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from torch import nn

from pvt_edge.arguments import check_keywords
from pvt_edge.bundle.schema import PostprocessSpec
from pvt_edge.checkpoints import load_weights
from pvt_edge.errors import ArgumentError, DataError, PictureWarning
from pvt_edge.moves import NONE, Moves
from pvt_edge.options.train import AUTO, TrainOptions
from pvt_edge.tasks import get_task
from pvt_edge.training.data import Parts, read_extra, read_parts
from pvt_edge.training.data_check import CheckedData, check_data, leave_out_broken
from pvt_edge.training.judging import Judge, Judging
from pvt_edge.training.loop import Trainer, Update
from pvt_edge.training.pictures import EpochSampler, Pictures, fits_in_memory, make_loader
from pvt_edge.training.plan import Plan, new_plan, plan_of
from pvt_edge.training.recipe import Recipe, choose_device, choose_recipe, drop_path_of, dump
from pvt_edge.training.start import Start, count_parameters, describe_pictures, freeze, starting_model
from pvt_edge.training.state import BEST, LAST, RUN, load_state, tensorboard_log, write_file, write_split
from pvt_edge.training.task import TrainingTask, get_training
from pvt_edge.weights import NO_WEIGHTS

NMS_IOU = 0.6  # of detections: things that touch stay apart
OPTIONS = tuple(field.name for field in fields(TrainOptions))
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
LEAST_BATCH = 4
SHOWN = 8  # classes that a line names


@dataclass(frozen=True)
class TrainRun:
    """What a run left.

    Attributes:
        folder: Its folder.
        best: The weights with the best figures; a file that `create_model` and `--weights` take.
        last: Those of the last epoch.
        figures: Of the best, as `val` has them.
        epochs: Epochs done.
        stopped: Why it ended before its last epoch; empty where it did not.
    """

    folder: Path
    best: Path
    last: Path
    figures: dict[str, float]
    epochs: int
    stopped: str = ""


class Watcher:
    """Is told how a run is getting on; this one keeps it to itself."""

    def say(self, line: str) -> None:
        """A line for people."""

    def looked(self, done: int, total: int) -> None:
        """So many of the pictures were checked."""

    def updated(self, update: Update) -> None:
        """A step or an epoch is over."""


def train(
    data: str | PathLike[str] | None = None,
    *,
    out: str | PathLike[str] | None = None,
    val: str | PathLike[str] | None = None,
    images: str | PathLike[str] | None = None,
    resume: str | PathLike[str] | None = None,
    watcher: Watcher | None = None,
    **options: Any,
) -> TrainRun:
    """Train on labelled pictures, and write the weights and all that shows how they came about to the folder `out`.

    Args:
        data: Labelled pictures: a folder, a data.yaml, a COCO file, a CSV table, or generated ones ("scenes:200").
        out: The run's folder, which must be new; by default `runs/<task>-<variant>`, with a number where that is taken.
        val: Other data to be judged by; by default the data's own val part, else a seeded fifth of its pictures.
        images: Where the pictures of a file are.
        resume: The folder of a run that is to go on as if it had not been stopped; `epochs`, `time`, `patience`,
            `workers`, `device`, `cache` and `tensorboard` may be other ones.
        watcher: Is told how the run is getting on.
        **options: See `pvt_edge.options.train.TrainOptions`; what is left out is chosen by task, data and machine.

    Returns:
        The run, with the weights that did best on val.

    Raises:
        DataError: For data that is broken or has nothing to learn from, and a run that cannot go on so.
        ArgumentError: For options that do not exist or make no sense.
        UnknownNameError: For a name that does not exist.
        WeightsError: For weights that do not fit.
        TrainingError: For a loss that is no number and a disk that is full; what was saved before is kept.
    """
    check_keywords("train()", options, OPTIONS)
    plain = {key: fspath(value) if isinstance(value, PathLike) else value for key, value in options.items()}
    given = TrainOptions(**plain)
    places = {"data": data, "val": val, "images": images}
    explicit = {key: fspath(place) for key, place in places.items() if place is not None}
    if resume is not None:
        if out is not None:
            raise ArgumentError("train(): a run goes on in its own folder: give resume or out, not both")
        return _chosen(plan_of(Path(resume), explicit, given), watcher or Watcher())
    if data is None:
        raise ArgumentError("train() needs labelled pictures: a folder, a data.yaml, a COCO file or a CSV table")
    if given.task is None and given.distil is None:
        raise ArgumentError("train() needs a task: classify, detect or segment")
    for name in ("exact_share", "plan"):
        if getattr(given, name) and given.distil is None:
            raise ArgumentError(f"train(): {name} goes with distil, which teaches a model that makes moves")
    plan = new_plan(out, explicit, given)
    try:
        plan.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"cannot make {plan.folder}: {error.strerror or error}: choose another place with --out"
        ) from error
    try:
        return _chosen(plan, watcher or Watcher())
    except BaseException:
        if not (plan.folder / RUN).exists():  # the folder was empty: what is in it is of a run that never began
            shutil.rmtree(plan.folder, ignore_errors=True)
        raise


def _chosen(plan: Plan, watcher: Watcher) -> TrainRun:
    if plan.options.distil is None:
        return _carry_out(plan, watcher)
    from pvt_edge.training.distil import heal

    return heal(plan, watcher)


def _carry_out(plan: Plan, watcher: Watcher) -> TrainRun:
    began = time.monotonic()
    options, place = plan.options, plan.places
    training = get_training(str(options.task))
    task = get_task(training.name)
    parts = read_parts(
        task, place["data"], place.get("val"), place.get("images"), plan.folder, options.val_share, options.seed or 0
    )
    plan.check_same(parts.names, *_paths(parts))
    extra = leave_out_broken(read_extra(task, options.extra, parts.names, plan.folder)) if options.extra else None
    start = _start(plan, training, parts.names)  # before all pictures are looked at, which takes a while
    checked = _checked(plan, training, parts, watcher)
    start, recipe = _recipe(plan, training, start, checked)
    if extra:
        watcher.say(f"{len(extra.samples)} more pictures of {options.extra} to learn from")
        for line in extra.left_out:
            watcher.say(f"note: left out: {line}")
    describe_pictures(start.model, training, start.normalise, recipe.imgsz, parts.names)
    plan.write(recipe, parts.names, (len(parts.train.samples), len(parts.val.samples)), start.normalise, start.note)
    labelled = task.judge(checked.val, parts.names, task.judged_at(PostprocessSpec(iou=NMS_IOU), parts.names))
    judging = Judging(training, labelled, parts.names, recipe.imgsz, start.normalise)
    cache = options.cache if options.cache is not None else fits_in_memory(checked.sizes_wh, recipe.workers)
    pictures = Pictures(training, checked.train, extra, recipe.imgsz, recipe.symmetry, recipe.seed, cache=cache)
    return run_loop(plan, training, start, recipe, pictures, judging, watcher, began=began)


def run_loop(
    plan: Plan,
    training: TrainingTask[Any],
    start: Start,
    recipe: Recipe,
    pictures: Pictures,
    judging: Judge,
    watcher: Watcher,
    *,
    began: float,
    teacher: nn.Module | None = None,
    moves: Moves = NONE,
) -> TrainRun:
    """Train on pictures from a start, or from where an earlier start of the run came to.

    A `teacher` is whose answers are learnt in place of labels, by a model that makes `moves`.
    """
    log = tensorboard_log(plan.folder) if plan.options.tensorboard else None
    if get_task(training.name).has_thresholds:  # so that a bundle is judged at those that the run is
        start.model.thresholds = {"iou": NMS_IOU}
    frozen = freeze(start.model, recipe.freeze)
    if teacher is not None:  # whose own statistics do not move either: a batch's would give other answers
        frozen += [module for module in start.model.modules() if isinstance(module, BATCH_NORMS)]
    trained, count = count_parameters(start.model)
    if recipe.batch < LEAST_BATCH and any(isinstance(module, BATCH_NORMS) for module in start.model.modules()):
        watcher.say(f"note: a batch of {recipe.batch} is small for BatchNorm, whose statistics will be rough")
    for line in (f"started from {start.note}", *recipe.lines(), f"{trained:,} of {count:,} parameters train"):
        watcher.say(line)
    start.model.to(recipe.device)
    sampler = EpochSampler(pictures.weights, pictures.extra_count, recipe.extra_share, recipe.batch, recipe.seed)
    trainer = Trainer(
        training,
        start.model,
        frozen,
        recipe,
        make_loader(pictures, sampler, recipe.workers, pin=recipe.device.startswith("cuda")),
        sampler,
        judging,
        plan.folder,
        start.normalise,
        {**training.metadata(start.model), "labels": dump(start.names).strip(), "task": training.name, **start.notes},
        watcher.updated,
        began=began,
        teacher=teacher,
        moves=moves,
        log=log,
    )
    if plan.has_epochs:
        trainer.restore(*load_state(plan.folder))
        watcher.say(f"goes on after epoch {trainer.progress.epoch}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PictureWarning)  # the check has told of them, once
        trainer.run()
    folder, progress = plan.folder, trainer.progress

    def best() -> nn.Module:
        model = copy.deepcopy(trainer.kept)
        load_weights(model, folder / BEST)
        return model.eval()

    if progress.best is not None:
        try:
            judging.draw(best, progress, folder)
        except (OSError, DataError) as error:  # a full disk, a picture that has gone: the weights are there
            watcher.say(f"note: not all could be drawn: {error}")
    return TrainRun(folder, folder / BEST, folder / LAST, progress.figures, progress.epoch, trainer.stopped)


def _checked(plan: Plan, training: TrainingTask[Any], parts: Parts, watcher: Watcher) -> CheckedData:
    """The pictures that can be read, after writing down what was found and how they are parted."""
    total = len(parts.train.samples) + len(parts.val.samples)
    done = iter(range(1, total + 1))
    least = training.least_classes if len(parts.names) > 1 else 1  # of one class alone the task says more
    checked = check_data(
        parts.train, parts.val, parts.note, lambda: watcher.looked(next(done), total), least_classes=least
    )
    write_file(plan.folder / "data.md", checked.page)
    write_split(plan.folder, parts.note, parts.names, *_paths(parts))
    counts = [f"{name} {count}" for name, count in checked.train.counts().items()]
    more = f" and {len(counts) - SHOWN} classes more" if len(counts) > SHOWN else ""
    watcher.say(
        f"{len(checked.train.samples)} pictures to learn from ({', '.join(counts[:SHOWN])}{more}), "
        f"{len(checked.val.samples)} to judge by; more in {plan.folder / 'data.md'}"
    )
    for note in checked.notes:
        watcher.say(f"note: {note}")
    return checked


def _paths(parts: Parts) -> tuple[list[Path], list[Path]]:
    """The pictures (to learn from, to judge by)."""
    return [sample.path for sample in parts.train.samples], [sample.path for sample in parts.val.samples]


def _start(plan: Plan, training: TrainingTask[Any], names: tuple[str, ...]) -> Start:
    """The model to start from."""
    options = plan.options
    choose_device(options.device or AUTO)  # which may not be there
    return starting_model(
        training,
        options.variant or "b0",
        plan.own_weights(),
        names,
        options.head,
        drop_path=drop_path_of(options),
        drop=options.drop or 0.0,
        seed=options.seed or 0,
    )


def _recipe(plan: Plan, training: TrainingTask[Any], start: Start, checked: CheckedData) -> tuple[Start, Recipe]:
    """The start, of a run that goes on as it was told of, and the recipe."""
    options = plan.options
    if plan.goes_on:
        recipe, normalise, note = plan.again()
        return replace(start, normalise=normalise, note=note), recipe
    recipe = choose_recipe(
        options,
        training,
        train_count=len(checked.train.samples),
        val_count=len(checked.val.samples),
        imgsz=options.imgsz or training.choose_imgsz(checked.sizes_wh),
        fresh=options.weights == NO_WEIGHTS,
    )
    return start, recipe
