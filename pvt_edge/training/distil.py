"""Healing: a model that approximates learns the exact model's own answers, on pictures without labels."""

import copy
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import nn

from pvt_edge.bundle.schema import NormaliseSpec, PostprocessSpec
from pvt_edge.checkpoints.preprocessing import normalise
from pvt_edge.data.labelled_set import LabelledSet
from pvt_edge.errors import ArgumentError, DataError
from pvt_edge.metrics.labelled import Scores
from pvt_edge.models import Model
from pvt_edge.models.table import apply_moves
from pvt_edge.moves import Moves, read_moves
from pvt_edge.options.train import TrainOptions
from pvt_edge.pictures.resizing import apply, plan
from pvt_edge.precision_plan import read_plan
from pvt_edge.sources import read_image
from pvt_edge.sources.images import list_pictures
from pvt_edge.tasks import get_task
from pvt_edge.training.data import SHARE, data_place
from pvt_edge.training.data_check import leave_out_broken
from pvt_edge.training.judging import Judge, Judging, draw_curves
from pvt_edge.training.pictures import Pictures
from pvt_edge.training.plan import Plan
from pvt_edge.training.recipe import choose_recipe
from pvt_edge.training.rounding import block_names, simulate_int8
from pvt_edge.training.run import NMS_IOU, TrainRun, Watcher, run_loop
from pvt_edge.training.start import Start, describe_pictures
from pvt_edge.training.state import PLAN, Progress, write_file, write_split
from pvt_edge.training.task import TrainingTask, get_training
from pvt_edge.weights import get_bundled
from pvt_edge.zoo import resolve_weights

IDLE = ("weights", "extra", "extra_share", "val_share", "drop", "drop_path")  # options that healing has no use for
CALIBRATION = 64  # pictures that the grids of INT8 are taken from


class Unlabelled(NamedTuple):
    """A picture to be taught on."""

    path: Path


UnlabelledSet: TypeAlias = LabelledSet[Unlabelled]


@dataclass(frozen=True)
class Pupil:
    """A model that makes moves, with blocks `int8` in INT8; the exact model that teaches it; how pictures are made.

    `plan` is what it approximates as JSON that an export takes.
    """

    model: Model
    teacher: Model
    labels: tuple[str, ...]
    moves: Moves
    int8: frozenset[str]
    plan: str
    imgsz: tuple[int, int]
    normalise: NormaliseSpec
    note: str


def make_pupil(options: TrainOptions) -> Pupil:
    """The pupil of `options.distil`, trained weights by file or name, with the moves of `options.plan`.

    Raises `WeightsError` for weights that cannot be had, `ArgumentError` and `UnknownNameError` for moves that the
    model cannot make and blocks that it does not have.
    """
    if options.plan is None:
        raise ArgumentError(
            "train(): distil heals what a plan approximates: give --plan PLAN, a file of moves, a precision plan or a "
            "bundle with one"
        )
    if idle := [name for name in IDLE if getattr(options, name) is not None]:
        raise ArgumentError(f"train(): {idle[0]} does nothing where distil heals: leave it out")
    chosen = resolve_weights(options.variant, options.task, options.distil, head=options.head)
    teacher = chosen.model
    moves, int8, content = _plan(options.plan, teacher)
    if options.exact_share and int8:
        raise ArgumentError("train(): exact_share is for a plan of moves alone; this one has blocks in INT8")
    bundled = get_bundled(str(options.distil))
    beside = teacher.sidecar.preprocessing if teacher.sidecar else None
    own = bundled.imgsz if bundled else beside.imgsz if beside else None
    imgsz = options.imgsz or own
    if imgsz is None:
        raise ArgumentError(
            f"train(): {options.distil} does not say what size its pictures are to have: give it with --imgsz "
            "(imgsz in Python), 224 for most classifiers"
        )
    moves.check(teacher.backbone.variant, imgsz)
    explicit = beside.explicit if beside else {}
    fields: dict[str, Any] = {key: explicit[key] for key in ("mean", "std", "channel_order") if key in explicit}
    own_labels = bundled.labels if bundled else teacher.sidecar.labels if teacher.sidecar else None
    labels = chosen.labels or own_labels or tuple(map(str, range(teacher.num_classes)))
    model = apply_moves(copy.deepcopy(teacher), moves)
    words = [moves.words(teacher.backbone.variant)] if moves else []
    words += [f"INT8 simulated in {len(int8)} blocks"] if int8 else []
    note = f"{options.distil}, taught by itself: {', '.join(words)}"
    teacher.eval().requires_grad_(False)
    return Pupil(model, teacher, labels, moves, int8, content, imgsz, NormaliseSpec(**fields), note)


def heal(plan: Plan, watcher: Watcher) -> TrainRun:
    """Let the pupil that `plan` asks for learn from its teacher."""
    began = time.monotonic()
    options, place = plan.options, plan.places
    # what the run once began with, whatever became of the file it came from
    pupil = make_pupil(replace(options, plan=str(plan.folder / PLAN)) if plan.goes_on else options)
    name = pupil.model.task
    training, task = get_training(name), get_task(name)
    images = Path(place["images"]) if "images" in place else None
    taught, held_out, what = read_pictures(name, data_place(place["data"], plan.folder), images, options.seed or 0)
    learnt, compared = ([sample.path for sample in part.samples] for part in (taught, held_out))
    plan.check_same(pupil.labels, learnt, compared)
    judging: Judge = AgreementJudging(training, pupil, held_out)
    if "val" in place:
        dataset, _ = task.read_labels(data_place(place["val"], plan.folder), images, labels=pupil.labels)
        labelled = task.judge(dataset, pupil.labels, task.judged_at(PostprocessSpec(iou=NMS_IOU), pupil.labels))
        judging = Judging(training, labelled, pupil.labels, pupil.imgsz, pupil.normalise)
    notes = {} if options.exact_share else {"moves": pupil.moves.model_dump_json()}
    start = Start(pupil.model, pupil.normalise, pupil.note, pupil.labels, notes)
    counts = {"train_count": len(taught.samples), "val_count": len(held_out.samples)}
    recipe = plan.again()[0] if plan.goes_on else None
    recipe = recipe or choose_recipe(options, training, imgsz=pupil.imgsz, fresh=False, **counts)
    describe_pictures(pupil.model, training, pupil.normalise, pupil.imgsz, pupil.labels)
    # its pictures are made as the teacher's are, whatever it learnt on
    if pupil.teacher.sidecar and pupil.model.sidecar:
        beside = replace(pupil.teacher.sidecar.preprocessing, imgsz=pupil.imgsz)
        pupil.model.sidecar = replace(pupil.model.sidecar, preprocessing=beside.over(pupil.model.sidecar.preprocessing))
    plan.write(recipe, pupil.labels, (counts["train_count"], counts["val_count"]), pupil.normalise, pupil.note)
    write_file(plan.folder / PLAN, pupil.plan)
    write_split(plan.folder, what, pupil.labels, learnt, compared)
    watcher.say(what)
    for line in taught.left_out:
        watcher.say(f"note: left out: {line}")
    pupil.model.to(recipe.device)
    if pupil.int8:
        count = _simulate(pupil, taught.samples, training, recipe.device)
        watcher.say(f"INT8 is simulated in {len(pupil.int8)} blocks, with ranges of {count} of the pictures")
    for words, model in (("exact", pupil.teacher), ("approximated, before healing", pupil.model)):
        figures = judging(model.to(recipe.device).eval()).figures
        shown = ", ".join(f"{key} {figures[key]:.4f}" for key in judging.shown_figures)
        watcher.say(f"{words}: {shown}")
    pictures = Pictures(
        training,
        taught,
        None,
        recipe.imgsz,
        recipe.symmetry,
        recipe.seed,
        cache=bool(options.cache),
        labelled=False,
    )
    return run_loop(
        plan,
        training,
        start,
        recipe,
        pictures,
        judging,
        watcher,
        began=began,
        teacher=pupil.teacher.to(recipe.device),
        moves=pupil.moves,
    )


def _simulate(pupil: Pupil, samples: Sequence[Unlabelled], training: TrainingTask[Any], device: str) -> int:
    """Simulate INT8 in the pupil, with ranges of some of the pictures; returns of how many."""
    few = samples[:: max(1, len(samples) // CALIBRATION)][:CALIBRATION]
    fitted = fitted_pictures(few, training, pupil.imgsz)
    simulate_int8(pupil.model, pupil.int8, (normalise(picture.to(device), pupil.normalise) for picture in fitted))
    return len(few)


def _plan(file: str, model: Model) -> tuple[Moves, frozenset[str], str]:
    """(moves, blocks in INT8, both as JSON) of a file of moves, a precision plan, or a bundle with either."""
    path = Path(file)
    path = path / "model.json" if path.is_dir() else path
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read the plan {file}: {error}") from error
    int8 = frozenset[str]()
    if isinstance(content, dict) and ("blocks" in content or content.get("precision_plan")):
        precision = read_plan(path, model.backbone.variant.name, model.task)
        moves, int8 = precision.moves, precision.int8_blocks(block_names(model))
        given = precision.model_dump_json(indent=2)
    else:
        moves = read_moves(content["moves"] if isinstance(content, dict) and "moves" in content else content)
        given = moves.model_dump_json(indent=2)
    if not moves and not int8:
        raise DataError(f"the plan {file} approximates nothing: there is nothing to heal")
    return moves, int8, given + "\n"


def read_pictures(task: str, place: Path, images: Path | None, seed: int) -> tuple[UnlabelledSet, UnlabelledSet, str]:
    """(pictures to be taught on, pictures held back to compare by, what they are), of a folder or of labelled data.

    Of labelled data the train part is taken, and its labels are not looked at. Pictures that cannot be read are left
    out. Raises `DataError` where there are too few, or more than half cannot be read.
    """
    try:
        found, _ = get_task(task).read_labels(place, images, part="train")
        paths = [sample.path for sample in found.samples]
        what = f"{len(paths)} pictures of {place}, whose labels are not used"
    except DataError:
        if not place.is_dir():
            raise
        folders = sorted((place, *(inner for inner in place.rglob("*") if inner.is_dir())))
        paths = [path for folder in folders for path in list_pictures(folder)]
        what = f"{len(paths)} pictures of {place}"
    whole = leave_out_broken(UnlabelledSet(place, (), tuple(map(Unlabelled, paths))))
    if len(whole.samples) < 2:
        raise DataError(f"{place} has {len(whole.samples)} pictures: to learn and to compare takes two")
    order = np.random.default_rng(seed).permutation(len(whole.samples))
    count = max(1, round(SHARE * len(whole.samples)))
    return whole.take(sorted(order[count:].tolist())), whole.take(sorted(order[:count].tolist())), what


def fitted_pictures(
    samples: Sequence[Unlabelled], training: TrainingTask[Any], imgsz: tuple[int, int]
) -> Iterator[torch.Tensor]:
    """Each picture as the network gets it: (1, H, W, 3) uint8 BGR."""
    for sample in samples:
        image = read_image(sample.path)
        placement = plan((image.shape[0], image.shape[1]), imgsz, training.resize)
        yield torch.from_numpy(apply(image, placement, training.resize)[None])


class AgreementJudging:
    """Judges a pupil by how far its answers agree with its teacher's, on pictures without labels."""

    best_figure: str = "agreement"
    shown_figures: tuple[str, ...] = ("agreement",)

    def __init__(self, training: TrainingTask[Any], pupil: Pupil, held_out: UnlabelledSet) -> None:
        self.training, self.pupil, self.held_out = training, pupil, held_out
        self._wanted: list[dict[str, Any]] = []

    def __call__(self, model: nn.Module) -> Scores:
        """The figures of the task's agreement."""
        if not self._wanted:
            self._wanted = self._outputs(self.pupil.teacher, self.held_out.samples)
        task = get_task(self.training.name)
        found = self._outputs(model, self.held_out.samples)
        return Scores(task.agreement(found, self._wanted, PostprocessSpec()), {})

    def estimate(self, model: nn.Module) -> float:
        """About how many seconds judging takes."""
        few = self.held_out.samples[:2]
        began = time.monotonic()
        self._outputs(model, few)
        return 2 * (time.monotonic() - began) * len(self.held_out.samples) / len(few)

    def keep(self) -> None:
        """Nothing is kept of the best answers."""

    def draw(self, best: Callable[[], nn.Module], progress: Progress, folder: Path) -> None:
        """Draw the curves."""
        draw_curves(progress.history, progress.best_epoch, self.best_figure).savefig(folder / "curves.png")

    def _outputs(self, model: nn.Module, samples: Sequence[Unlabelled]) -> list[dict[str, Any]]:
        pupil = self.pupil
        device = next(model.parameters()).device
        whole = self.training.whole(model, pupil.imgsz, pupil.normalise).eval()
        found = []
        with torch.inference_mode():
            for fitted in fitted_pictures(samples, self.training, pupil.imgsz):
                found.append({name: value.cpu().numpy() for name, value in whole(fitted.to(device)).items()})
        return found
