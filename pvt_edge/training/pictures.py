"""Views of labelled pictures in batches: the same ones for the same seed, however many processes make them."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset

from pvt_edge.data.labelled_set import LabelledSet
from pvt_edge.errors import DataError
from pvt_edge.pictures.resizing import plan
from pvt_edge.sources import read_image
from pvt_edge.training.task import TrainingTask
from pvt_edge.training.view import random_view, recolour

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Draw(NamedTuple):
    """One view to make: number `place` of an epoch, of picture number `picture`, of so many pixels."""

    epoch: int
    place: int
    picture: int
    view_hw: tuple[int, int]


class Batch(NamedTuple):
    """Views (B, h, w, 3) uint8 BGR, what each is to give, and the indices of their pictures."""

    images: Tensor
    targets: list[Any]
    indices: list[int]


class Pictures(Dataset[Any]):
    """Views of the pictures of a set, and of those of `extra` after them; of what has gone since, the error."""

    def __init__(
        self,
        task: TrainingTask[Any],
        dataset: LabelledSet[Any],
        extra: LabelledSet[Any] | None,
        imgsz: tuple[int, int],
        symmetry: str,
        seed: int,
        *,
        cache: bool,
        labelled: bool = True,
    ) -> None:
        self.task, self.imgsz, self.symmetry, self.seed = task, imgsz, symmetry, seed
        self.weights = task.sampling_weights(dataset) if labelled else np.ones(len(dataset.samples))
        self.extra_count = len(extra.samples) if extra else 0
        self.samples: list[Any] = [*dataset.samples, *(extra.samples if extra else ())]
        self.labelled = labelled
        self._kept: dict[int, NDArray[np.uint8]] | None = {} if cache else None

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, draw: Draw) -> "tuple[NDArray[np.uint8], Any, int] | DataError":
        try:
            return self._view(draw)
        except DataError as error:  # raised in a process of its own it would come out with a traceback in its text
            return error

    def _view(self, draw: Draw) -> "tuple[NDArray[np.uint8], Any, int]":
        rng = np.random.default_rng((self.seed, draw.epoch, draw.place))
        sample = self.samples[draw.picture]
        image = self._image(draw.picture)
        height, width = image.shape[:2]
        fit = plan((height, width), self.imgsz, self.task.resize).scale_xy
        view = random_view(
            (height, width), draw.view_hw, fit, self.task.scale, self.symmetry, rng, stretch=self.task.stretch
        )
        target = self.task.target(sample, view) if self.labelled else None
        return recolour(view.image(image), rng), target, draw.picture

    def _image(self, index: int) -> "NDArray[np.uint8]":
        if self._kept is None:
            return read_image(self.samples[index].path)
        if index not in self._kept:
            self._kept[index] = read_image(self.samples[index].path)
        return self._kept[index]


class EpochSampler(BatchSampler):
    """The batches of an epoch; which they are depends on seed and epoch alone."""

    def __init__(
        self, weights: "NDArray[np.float64]", extra_count: int, extra_share: float, batch: int, seed: int
    ) -> None:
        self.weights, self.extra_count, self.extra_share = weights, extra_count, extra_share
        self.batch, self.seed = batch, seed
        self.epoch, self.view_hw = 0, (0, 0)

    def __len__(self) -> int:
        return max(1, len(self.weights) // self.batch)

    def __iter__(self) -> Iterator[list[Any]]:
        rng = np.random.default_rng((self.seed, self.epoch))
        count = len(self) * self.batch
        order = _order(self.weights, count, rng)
        if self.extra_count:
            others = rng.integers(len(self.weights), len(self.weights) + self.extra_count, count)
            order = np.where(rng.random(count) < self.extra_share, others, order)
        for start in range(0, count, self.batch):
            yield [
                Draw(self.epoch, place, int(order[place]), self.view_hw) for place in range(start, start + self.batch)
            ]


def _order(weights: "NDArray[np.float64]", count: int, rng: np.random.Generator) -> "NDArray[np.int64]":
    """`count` indices: each picture once where all weigh the same, else drawn by their weights."""
    if len(weights) and np.ptp(weights) == 0:
        rounds = -(-count // len(weights))
        return np.concatenate([rng.permutation(len(weights)) for _ in range(rounds)])[:count]
    return rng.choice(len(weights), count, p=weights / weights.sum())


def make_loader(pictures: Pictures, sampler: EpochSampler, workers: int, *, pin: bool) -> "DataLoader[Any]":
    """The loader of an epoch's batches, whose processes stay for the next one."""
    return DataLoader(
        pictures,
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=collate,
        persistent_workers=workers > 0,
        worker_init_fn=_start_worker,
        prefetch_factor=4 if workers else None,
        pin_memory=pin,
        generator=torch.Generator(),  # else starting workers, once a start, would draw one of drop path's numbers
    )


def collate(views: "Sequence[tuple[NDArray[np.uint8], Any, int] | DataError]") -> Batch | DataError:
    """Views of one size as a batch; the first of the errors where there are some."""
    made = []
    for view in views:
        if isinstance(view, DataError):
            return view
        made.append(view)
    images, targets, indices = zip(*made, strict=True)
    return Batch(torch.from_numpy(np.stack(images)), [*targets], [*indices])


def read_batches(loader: "DataLoader[Any]") -> Iterator[Batch]:
    """The batches of an epoch. Raises `DataError` for a picture that cannot be read any more."""
    for batch in loader:
        if isinstance(batch, DataError):
            raise batch
        yield batch


def fits_in_memory(sizes_wh: Sequence[tuple[int, int]], processes: int) -> bool:
    """Whether decoded pictures of these sizes take less than a quarter of the memory that is free."""
    needed = 3 * sum(width * height for width, height in sizes_wh) * max(processes, 1)
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            rows = dict(line.split(":", 1) for line in file)
        free = int(rows["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return False
    return needed < free / 4


def _start_worker(number: int) -> None:
    import cv2

    cv2.setNumThreads(0)
    torch.set_num_threads(1)
