"""What every task says of itself, and the table of tasks."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from pvt_edge.comparison.difference import FIGURES, Arrays, Difference, Figure
from pvt_edge.comparison.panels import Panels
from pvt_edge.errors import BundleError, DataError, UnknownNameError

if TYPE_CHECKING:
    from pvt_edge.bundle.schema import Manifest, PostprocessSpec
    from pvt_edge.data.labelled_set import LabelledSet
    from pvt_edge.metrics.labelled import Labelled, Settings
    from pvt_edge.pictures.resizing import Placement
    from pvt_edge.postprocessing import Thresholds

LegendEntry = tuple[tuple[int, int, int], str, int]  # colour BGR, what it means, width of the line
TASKS: "dict[str, Task]" = {}


@dataclass(frozen=True)
class Shown:
    """One picture with both answers to it.

    Attributes:
        image: (H, W, 3) uint8 BGR.
        scale_xy: From the picture to the pixels of its boxes.
        difference: How the answers differ.
        limits: What each figure may be.
        found: The artifact's outputs.
        reference: The reference's.
        manifest: Of the reference's bundle.
    """

    image: NDArray[np.uint8]
    scale_xy: tuple[float, float]
    difference: Difference
    limits: Mapping[str, float]
    found: Arrays
    reference: Arrays
    manifest: "Manifest"


@dataclass(frozen=True)
class Classes:
    """What reading outputs takes from a manifest, where there is none yet."""

    labels: tuple[str, ...]
    activation: Literal["softmax", "sigmoid"] = "softmax"
    postprocess: "PostprocessSpec | None" = None


class Task(ABC):
    """One kind of model: its outputs, what they become in a `Result`, and how two answers are compared.

    Attributes:
        name: As `--task` and model.json spell it.
        outputs: What the graph must give; empty where any names will do.
        figures: The rows of `FIGURES` that `verify` judges by, in the order of its tables.
        own_figures: Those of them that the table does not have yet.
        tolerances: Precision -> the limit of each figure; "approx" is for all files that make moves.
        agreement_words: What "agreement" is, in a table's head.
        metric: The figure that labels give, as `--metric` spells it and in words; None where there are no labels.
        label_options: Keywords of `read_labels` that are its own.
        has_thresholds: Whether confidence, overlap and counts cut its answers.
        picks_classes: Whether `classes` leaves out others in its answers.
        counts: What the summary of a run counts: "boxes", "pictures" by class, "areas" of classes, or nothing.
        maps: Whether its outputs lie over the input, which may be a part of the picture.
        slices: Whether large pictures may be run in tiles, whose answers are merged.
        legend: What marks mean on the contact sheet: a sentence, or colours with their meaning.
    """

    name: ClassVar[str]
    outputs: ClassVar[tuple[str, ...]] = ()
    figures: ClassVar[tuple[str, ...]]
    own_figures: ClassVar[Mapping[str, Figure]] = {}
    tolerances: ClassVar[Mapping[str, tuple[float, ...]]]
    agreement_words: ClassVar[str]
    metric: ClassVar[tuple[str, str] | None] = None
    label_options: ClassVar[tuple[str, ...]] = ()
    has_thresholds: ClassVar[bool] = False
    picks_classes: ClassVar[bool] = False
    counts: ClassVar[str | None] = None
    maps: ClassVar[bool] = False
    slices: ClassVar[bool] = False
    legend: ClassVar[str | tuple[LegendEntry, ...]] = ""

    @abstractmethod
    def read(
        self,
        row: Mapping[str, NDArray[Any]],
        placement: "Placement",
        thresholds: "Thresholds",
        manifest: "Manifest | Classes",
    ) -> dict[str, Any]:
        """The fields of `Result` that one picture's outputs fill, arrays without their batch axis.

        Raises `BundleError` where they are of more classes than the manifest names.
        """

    def check(self, arrays: Arrays, names: Sequence[str]) -> None:
        """Raise `BundleError` unless a batch of outputs is that of such a model that knows the classes `names`."""
        return

    def check_shapes(self, found: Arrays, reference: Arrays) -> None:
        """Raise `BundleError` unless outputs can be compared value by value."""
        for name, want in reference.items():
            if name not in found or found[name].shape != want.shape:
                shape = found[name].shape if name in found else "nothing"
                raise BundleError(f"gives {shape} for {name}, the reference {want.shape}: export both at the same size")

    def num_classes(self, manifest: "Manifest") -> int | None:
        """What `create_model` is to be asked for, to get the model of a bundle again."""
        return len(manifest.labels)

    def to_picture(self, arrays: Arrays, placement: "Placement") -> Arrays:
        """One picture's outputs with what is counted in pixels of the input brought to those of the picture."""
        return arrays

    @abstractmethod
    def compare(self, found: Arrays, reference: Arrays, post: "PostprocessSpec") -> Difference:
        """The difference of finite answers to one picture, a batch axis of 1; boxes in the same pixels."""

    @abstractmethod
    def agreement(
        self, found: Sequence[Arrays], reference: Sequence[Arrays], post: "PostprocessSpec | None"
    ) -> dict[str, float]:
        """See `pvt_edge.tasks.agreement`."""

    def judged_at(
        self,
        spec: "PostprocessSpec | None",
        labels: Sequence[str],
        *,
        conf: float | None = None,
        iou: float | None = None,
        max_det: int | None = None,
    ) -> "Settings | None":
        """The thresholds that answers are judged at by labels: those given, else the bundle's; None without any."""
        return None

    def read_labels(
        self, data: Path, images: Path | None = None, *, part: str = "val", labels: Sequence[str] | None = None
    ) -> "tuple[LabelledSet[Any], bool]":
        """How labelled data for this task is read.

        Args:
            data: A file or folder in one of the task's formats.
            images: Where a file's pictures are; by default `images` beside it, else its own folder.
            part: "train" or "val", of data that has such parts.
            labels: The classes, in the model's order, where they are known.

        Returns:
            The labelled pictures, and whether the data itself has that part.

        Raises:
            DataError: For data that is broken or in no known format, and of a task without labels.
        """
        raise DataError(f"a bundle of task {self.name} has no labels to be judged by: use pvt-edge verify")

    def judge(
        self,
        dataset: "LabelledSet[Any]",
        labels: Sequence[str],
        settings: "Settings | None",
        *,
        limit: int | None = None,
        skip: bool = False,
    ) -> "Labelled[Any]":
        """How answers to labelled pictures are judged: those of `dataset`, for a model of the classes `labels`.

        `limit` takes the first so many; `skip` leaves out pictures that are no files. Raises `DataError` where the data
        does not fit the model.
        """
        raise DataError(f"a bundle of task {self.name} has no labels to be judged by: use pvt-edge verify")

    @abstractmethod
    def panels(self, shown: Shown) -> Panels:
        """The reference's and the artifact's answer to one picture, drawn with what differs marked."""


def check_classes(count: int, names: Sequence[str], least: int = 0) -> None:
    """Raise `BundleError` where a model knows more classes than are named, or gives ids below 0."""
    if least < 0:
        raise BundleError(f"gives the class id {least}, and ids count from 0; export again")
    if count > len(names):
        raise BundleError(f"knows {count} classes and model.json names {len(names)}; export again")


def register(task: "Task") -> None:
    """Add a task to the table, and the figures that are its own."""
    TASKS[task.name] = task
    FIGURES.update(task.own_figures)


def get_task(name: str) -> "Task":
    """The task called `name`; `UnknownNameError` names the nearest otherwise."""
    if name not in TASKS:
        raise UnknownNameError("task", name, TASKS)
    return TASKS[name]


def agreement(
    name: str, found: "Sequence[Arrays]", reference: "Sequence[Arrays]", post: "PostprocessSpec | None" = None
) -> dict[str, float]:
    """How far the answers `found` agree with a `reference`'s to the same pictures; no labels needed.

    Args:
        name: The task's.
        found: What `Runtime.infer` gives, one mapping a picture, with a batch axis of 1.
        reference: The same of the other side.
        post: A detector's thresholds; other tasks have none.

    Returns:
        The task's figures, all finite: a picture with NaN or infinity on either side counts as one without any
        agreement. "agreement", up to 1.0, is the one to judge by.

    Raises:
        UnknownNameError: For a task that does not exist.
        DataError: Unless both sides are of the same pictures, at least one.
    """
    return get_task(name).agreement(found, reference, post)
