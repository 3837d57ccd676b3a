"""Labelled pictures as a reader gives them, whatever format they came in: one class a kind of label."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

from pvt_edge.data.coco_file import Content

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Self


class HasPath(Protocol):
    """A picture with its label."""

    @property
    def path(self) -> Path:
        """The picture's file."""


S = TypeVar("S", bound=HasPath)


class ClassSample(NamedTuple):
    """A picture and the index of its class."""

    path: Path
    label: int


@dataclass(frozen=True)
class BoxSample:
    """A picture with boxes xyxy (n, 4) float32 in pixels, and their labels (n,) int64 counting from 0.

    `size_wh` is what the annotations say of the picture's size, None where they do not.
    """

    path: Path
    image_id: int
    boxes_xyxy: "NDArray[np.float32]"
    labels: "NDArray[np.int64]"
    size_wh: tuple[int, int] | None = None


@dataclass(frozen=True)
class MaskSample:
    """A picture with a file that has the class of each of its pixels.

    Attributes:
        path: The picture.
        mask_path: A picture of one channel, or with a palette, whose values stand for classes.
        reduce_zero_label: Whether 0 there is no class, so that the classes begin at 1.
        values: What stands for class 0, 1, ...; None for the numbers in order.
        labels: The classes that are in it.
    """

    path: Path
    mask_path: Path
    reduce_zero_label: bool = False
    values: tuple[int, ...] | None = None
    labels: tuple[int, ...] = ()

    def mask(self) -> "NDArray[np.uint8]":
        """Class ids (H, W), 255 where there is no label. `DataError` for a file that is none, or has other values."""
        from pvt_edge.data.index_masks import read_index_mask, to_class_ids

        return to_class_ids(read_index_mask(self.mask_path), self)


@dataclass(frozen=True)
class LabelledSet(Generic[S]):
    """Labelled pictures read.

    Attributes:
        source: The file or folder that has the labels.
        names: The class behind each label.
        samples: The pictures with their labels.
        notes: What is odd in it but can be used, a line each.
        left_out: What seems to belong to it and cannot be used, and why, a line each.
    """

    source: Path
    names: tuple[str, ...]
    samples: tuple[S, ...]
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def take(self, indices: Iterable[int]) -> "Self":
        """The set with these of its pictures alone, in this order."""
        return replace(self, samples=tuple(self.samples[i] for i in indices))

    def counts(self) -> dict[str, int]:
        """How many labels each class has."""
        counts = Counter(label for sample in self.samples for label in self.labels_of(sample))
        return {name: counts[i] for i, name in enumerate(self.names)}

    def labels_of(self, sample: S) -> list[int]:
        """The labels in one picture, one for each thing that is labelled; none where they are no classes."""
        return []


@dataclass(frozen=True)
class ClassSet(LabelledSet[ClassSample]):
    """Pictures with a class each."""

    def labels_of(self, sample: ClassSample) -> list[int]:
        return [sample.label]


@dataclass(frozen=True)
class BoxSet(LabelledSet[BoxSample]):
    """Pictures with boxes: `category_ids[i]` is the id of class i in `content`, which is what COCOeval judges by."""

    category_ids: tuple[int, ...] = ()
    content: Content = field(default_factory=dict, repr=False, compare=False)

    def labels_of(self, sample: BoxSample) -> list[int]:
        labels: Any = sample.labels.tolist()
        return list(labels)


@dataclass(frozen=True)
class MaskSet(LabelledSet[MaskSample]):
    """Pictures with a mask each; `names_known` is whether the data says what its classes are called."""

    names_known: bool = True

    def labels_of(self, sample: MaskSample) -> list[int]:
        return list(sample.labels)
