"""What a run learns from and what it is judged by: read, split where the data itself is not, written down."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pvt_edge.data.labelled_set import LabelledSet
from pvt_edge.errors import ArgumentError, DataError
from pvt_edge.scenes import write_scenes
from pvt_edge.tasks import Task

SHARE = 0.2  # of the pictures, to judge by
SCENES = "scenes:"
SCENE_SEED = 1  # apart from those that an export is measured on


def split(dataset: LabelledSet[Any], *, share: float = SHARE, seed: int = 0) -> tuple[list[int], list[int]]:
    """(indices to learn from, indices to judge by), both ascending.

    Each class gives its share, as far as it has pictures: one with several counts for the rarest of its classes. A
    class of a single picture is learnt from. `DataError` for fewer than two pictures.
    """
    if len(dataset.samples) < 2:
        raise DataError(f"{dataset.source} has {len(dataset.samples)} pictures: to learn and to judge takes two")
    labels = [dataset.labels_of(sample) for sample in dataset.samples]
    counts = Counter(label for each in labels for label in each)
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for i, each in enumerate(labels):
        groups[min(each, key=lambda label: (counts[label], label), default=-1)].append(i)
    rng = np.random.default_rng(seed)
    held_out: list[int] = []
    for _, group in sorted(groups.items()):
        count = min(max(round(share * len(group)), int(len(group) > 1)), len(group) - 1)
        held_out += rng.permutation(group)[:count].tolist()
    if not held_out:
        held_out = [int(rng.integers(len(dataset.samples)))]
    return sorted(set(range(len(dataset.samples))) - set(held_out)), sorted(held_out)


@dataclass(frozen=True)
class Parts:
    """Pictures to learn from and to judge by, `names` the classes of both, `note` how they were parted."""

    train: LabelledSet[Any]
    val: LabelledSet[Any]
    names: tuple[str, ...]
    note: str


def read_parts(
    task: Task, data: str, val: str | None, images: str | None, folder: Path, share: float | None, seed: int
) -> Parts:
    """The parts of labelled data in any format that `val` reads, or of generated scenes ("scenes:200").

    Args:
        task: What the model is for.
        data: The file or folder.
        val: Another file or folder to judge by; by default the data's own val part, else a seeded share of it.
        images: Where the pictures of a file are.
        folder: The run's, where generated scenes are kept.
        share: Of the pictures, to judge by, where the data has no val part.
        seed: Of the split.

    Raises:
        DataError: For data that is broken or has nothing to learn from, and parts of different classes.
    """
    place = data_place(data, folder)
    pictures = Path(images) if images else None
    if pictures is not None and not pictures.is_dir():
        raise DataError(f"{images} is no folder of pictures: give the one that {data} has its paths from with --images")
    learnt, own = task.read_labels(place, pictures, part="train")
    names = learnt.names
    if not names:
        raise DataError(f"{data} has no classes: nothing to learn from")
    if val is not None:
        judged, _ = task.read_labels(data_place(val, folder), pictures, part="val", labels=names)
        return Parts(learnt, _same_classes(judged, names, val), names, f"learnt from {data}, judged by {val}")
    judged, has_val = task.read_labels(place, pictures, part="val", labels=names)
    if own and has_val:
        return Parts(learnt, _same_classes(judged, names, data), names, f"the parts of {data} itself")
    part = learnt if own or not has_val else judged
    train_places, val_places = split(part, share=share or SHARE, seed=seed)
    note = f"{len(val_places)} of {len(part.samples)} pictures of {data} held back to judge by, seed {seed}"
    return Parts(part.take(train_places), part.take(val_places), names, note)


def read_extra(task: Task, extra: str, names: tuple[str, ...], folder: Path) -> LabelledSet[Any]:
    """More pictures to learn from, of the same classes in the same order. Raises `DataError` for others."""
    found, _ = task.read_labels(data_place(extra, folder), part="train", labels=names)
    found = _same_classes(found, names, extra)
    used = [name for name, count in found.counts().items() if count]
    if any(found.names.index(name) != names.index(name) for name in used):
        raise DataError(
            f"{extra} has the classes {', '.join(found.names)} where the data to learn from has {', '.join(names)}: "
            "give both the same classes in the same order"
        )
    return found


def _same_classes(dataset: LabelledSet[Any], names: tuple[str, ...], where: str) -> LabelledSet[Any]:
    unknown = [name for name, count in dataset.counts().items() if count and name not in names]
    if unknown:
        raise DataError(f"{where} has classes that there is nothing to learn from: {', '.join(unknown)}")
    return dataset


def data_place(data: str, folder: Path) -> Path:
    """The path of the data; generated scenes are written first."""
    if not data.startswith(SCENES):
        if not Path(data).exists():
            raise DataError(f"{data} is not there: give a folder or file of labelled pictures, or scenes:200")
        return Path(data)
    try:
        count = int(data.removeprefix(SCENES))
    except ValueError:
        count = 0
    if count < 1:
        raise ArgumentError(f"{data!r} names no number of scenes: write scenes:200")
    place = folder / "scenes" / str(count)
    if not (place / "instances.json").is_file():
        write_scenes(place, count, seed=SCENE_SEED)
    return place / "instances.json"
