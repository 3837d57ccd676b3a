"""The check of a run's pictures before it: what can be learnt from, and what is odd, in a page."""

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from pvt_edge.data.labelled_set import BoxSample, BoxSet, HasPath, LabelledSet
from pvt_edge.errors import DataError
from pvt_edge.sources import read_image

SHOWN = 20  # lines that a list in the page has
MOST_BROKEN = 0.5  # of a part: more is another fault than broken pictures
SMALL = 8  # pixels of the picture: a box with a smaller side is hard to find
THREADS = 4
T = TypeVar("T", bound=HasPath)


class _Seen(NamedTuple):
    """What one picture is: its size, a fingerprint of its file, or why it cannot be read."""

    size_wh: tuple[int, int] | None
    fingerprint: bytes
    fault: str = ""


@dataclass(frozen=True)
class CheckedData:
    """The parts with the pictures that can be read, their sizes, and what was found, a line each."""

    train: LabelledSet[Any]
    val: LabelledSet[Any]
    sizes_wh: tuple[tuple[int, int], ...]
    page: str
    notes: tuple[str, ...]


def check_data(
    train: LabelledSet[Any],
    val: LabelledSet[Any],
    split_note: str,
    advance: Callable[[], None] = lambda: None,
    *,
    least_classes: int = 1,
) -> CheckedData:
    """The parts with the pictures that can be read, and a page on them.

    Pictures that are missing or broken are left out, named and counted; of what is learnt from, boxes without area too.
    `advance` is called after each picture. Raises `DataError` where nothing can be learnt or judged: no labels, or of
    fewer than `least_classes` classes, no pictures, or more than half of them broken.
    """
    parts = {"train": train, "val": val}
    seen = {name: _look(dataset, advance) for name, dataset in parts.items()}
    kept = {name: _readable(dataset, seen[name], f" ({name})") for name, dataset in parts.items()}
    broken = [line for dataset in kept.values() for line in dataset.left_out]
    counts = {name: _with_area(dataset).counts() for name, dataset in kept.items()}
    kept["train"] = _with_area(kept["train"])
    for name, purpose in (("train", "learn from"), ("val", "judge by")):
        if not sum(counts[name].values()):
            raise DataError(f"{parts[name].source} ({name}) has no labels: nothing to {purpose}")
    learnt = [label for label, count in counts["train"].items() if count]
    if len(learnt) < least_classes:
        raise DataError(
            f"{train.source} (train) has labels of {', '.join(learnt)} alone: "
            f"a model for this task tells {least_classes} classes apart"
        )
    broken = list(dict.fromkeys(broken))
    notes = [f"left out: {line}" for line in broken[:SHOWN]]
    notes += [f"left out: {len(broken) - SHOWN} more"] if len(broken) > SHOWN else []
    if train.notes == val.notes:  # of the whole that was parted
        notes += train.notes
    else:
        notes += [f"{name}: {line}" for name, dataset in parts.items() for line in dataset.notes]
    empty = [label for label, count in counts["train"].items() if not count]
    only_val = [label for label in empty if counts["val"].get(label)]
    if only_val:
        raise DataError(f"classes in val that train has nothing of: {', '.join(only_val)}: add some, or take them out")
    if empty:
        notes.append(f"classes without anything to learn from: {', '.join(empty)}")
    unjudged = [label for label, count in counts["val"].items() if not count and label not in empty]
    if unjudged:
        notes.append(f"classes that nothing in val judges: {', '.join(unjudged)}")
    if len(counts["train"]) == 1:
        notes.append(f"there is one class alone: {next(iter(counts['train']))}")
    notes += _twins(kept, seen, parts)
    sizes = tuple(one.size_wh for one in seen["train"] if one.size_wh is not None)
    page = _page(kept, counts, sizes, notes, split_note)
    return CheckedData(kept["train"], kept["val"], sizes, page, tuple(notes))


def leave_out_broken(dataset: LabelledSet[T]) -> LabelledSet[T]:
    """The set without pictures that cannot be read, which `left_out` names; `DataError` where they are most of them."""
    return _readable(dataset, _look(dataset, lambda: None))


def _readable(dataset: LabelledSet[T], seen: list[_Seen], part: str = "") -> LabelledSet[T]:
    good = [i for i, one in enumerate(seen) if one.size_wh is not None]
    wrong = [f"{dataset.samples[i].path}: {one.fault}" for i, one in enumerate(seen) if one.size_wh is None]
    if len(wrong) > MOST_BROKEN * len(dataset.samples) or not good:
        raise DataError(
            f"{len(wrong)} of {len(dataset.samples)} pictures of {dataset.source}{part} cannot be read: "
            f"{'; '.join(wrong[:3]) or 'there are none'}"
        )
    return replace(dataset.take(good), left_out=(*dataset.left_out, *wrong))


def _with_area(dataset: LabelledSet[Any]) -> LabelledSet[Any]:
    """The set without boxes that have none."""
    if not isinstance(dataset, BoxSet):
        return dataset
    samples = []
    for sample in dataset.samples:
        wide = (sample.boxes_xyxy[:, 2:] > sample.boxes_xyxy[:, :2]).all(axis=1)
        samples.append(replace(sample, boxes_xyxy=sample.boxes_xyxy[wide], labels=sample.labels[wide]))
    return replace(dataset, samples=tuple(samples))


def _look(dataset: LabelledSet[Any], advance: Callable[[], None]) -> list[_Seen]:
    def one(sample: Any) -> _Seen:
        return _see(sample.path)

    found = []
    with ThreadPoolExecutor(THREADS) as pool:
        for seen in pool.map(one, dataset.samples):
            found.append(seen)
            advance()
    return found


def _see(path: Path) -> _Seen:
    try:
        image = read_image(path)
        content = path.read_bytes()
    except DataError as error:
        return _Seen(None, b"", str(error).removeprefix(f"cannot read {path}: "))
    except OSError as error:
        return _Seen(None, b"", str(error.strerror or error))
    return _Seen((image.shape[1], image.shape[0]), hashlib.sha256(content).digest())


def _twins(
    kept: dict[str, LabelledSet[Any]], seen: dict[str, list[_Seen]], parts: dict[str, LabelledSet[Any]]
) -> Iterable[str]:
    """Pictures that are in train and in val."""
    paths = {
        one.fingerprint: s.path for one, s in zip(seen["train"], parts["train"].samples, strict=True) if one.size_wh
    }
    pairs = [
        (paths[one.fingerprint], sample.path)
        for one, sample in zip(seen["val"], parts["val"].samples, strict=True)
        if one.fingerprint in paths
    ]
    if pairs:
        first = f"{pairs[0][0]} is {pairs[0][1]}"
        yield f"pictures that are in train and in val: {len(pairs)} ({first}); the figures flatter the model"


def _page(
    parts: dict[str, LabelledSet[Any]],
    counts: dict[str, dict[str, int]],
    sizes: tuple[tuple[int, int], ...],
    notes: list[str],
    split_note: str,
) -> str:
    widths, heights = np.array(sizes).T
    lines = ["# Data", "", split_note, "", "| class | train | val |", "|---|---|---|"]
    rows = {name.replace("|", r"\|"): (count, counts["val"].get(name, 0)) for name, count in counts["train"].items()}
    lines += [f"| {name} | {learnt} | {judged} |" for name, (learnt, judged) in rows.items()]
    lines += [f"| pictures | {len(parts['train'].samples)} | {len(parts['val'].samples)} |", ""]
    lines.append(
        f"Pictures of {widths.min()}x{heights.min()} to {widths.max()}x{heights.max()} pixels, "
        f"usually {int(np.median(widths))}x{int(np.median(heights))}."
    )
    boxes = [s.boxes_xyxy for s in parts["train"].samples if isinstance(s, BoxSample) and len(s.labels)]
    if boxes:
        sides = np.concatenate(boxes)[:, 2:] - np.concatenate(boxes)[:, :2]
        quantiles = np.quantile(np.sqrt(sides.prod(axis=1)), (0.05, 0.5, 0.95))
        per = [len(s.labels) for s in parts["train"].samples]
        lines += [
            "",
            f"Boxes of {quantiles[0]:.0f} to {quantiles[2]:.0f} pixels a side (5 to 95 %), usually {quantiles[1]:.0f}; "
            f"{np.mean(per):.1f} in a picture, {max(per)} at most; {int((sides.min(axis=1) < SMALL).sum())} with a "
            f"side below {SMALL} pixels.",
        ]
    lines += ["", "## Notes", "", *(f"- {line}" for line in notes or ["nothing is odd"])]
    return "\n".join(lines) + "\n"
