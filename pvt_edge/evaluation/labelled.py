"""Labelled pictures that fit a bundle, read from a COCO file, a folder a class or a list."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pvt_edge.errors import DataError
from pvt_edge.evaluation.boxes import evaluate_boxes
from pvt_edge.evaluation.classes import match_classes
from pvt_edge.evaluation.pictures import present
from pvt_edge.evaluation.ranks import evaluate_ranks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pvt_edge.bundle import Manifest
    from pvt_edge.evaluation.record import Judged, Settings
    from pvt_edge.predictor import Predictor

MOST_COUNTED = 100  # detections a class and picture that pycocotools looks at


@dataclass(frozen=True)
class Labelled:
    """So many of the data's pictures, and `judge`: (an opened artifact, what moves the bar on) -> what it does on them.

    `image_ids` are those that count where not all of a COCO file's do.
    """

    judge: "Callable[[Predictor, Callable[[], None]], Judged]"
    pictures: int
    in_data: int
    notes: tuple[str, ...]
    image_ids: tuple[int, ...] = ()


def default_images(data: Path) -> Path:
    """The folder that the paths in `data` are seen from: `images` beside it where there is one, else its own."""
    if data.is_dir():
        return data
    beside = data.parent / "images"
    return beside if beside.is_dir() else data.parent


def read_labelled(
    manifest: "Manifest", data: Path, images: Path, settings: "Settings | None", *, limit: int | None, skip: bool
) -> Labelled:
    """The labelled pictures for a bundle's task; a detector is judged at `settings`.

    Raises `DataError` where the data is broken or does not fit, and for a task without labels.
    """
    if settings is not None:
        return labelled_boxes(data, images, manifest.labels, settings, limit=limit, skip=skip)
    if manifest.task == "classify":
        return labelled_classes(data, images, manifest.labels, limit=limit, skip=skip)
    raise DataError(f"a bundle of task {manifest.task} has no labels to be judged by: use pvt-edge verify")


def labelled_boxes(
    data: Path, images: Path, labels: "Sequence[str]", settings: "Settings", *, limit: int | None, skip: bool
) -> Labelled:
    """A COCO file's pictures. Raises `DataError` where it is none, or its classes or pictures are not there."""
    import pycocotools  # noqa: F401 - or its want would be seen after the last picture

    from pvt_edge.data.coco import read_coco

    if data.is_dir():
        raise DataError(f"{data} is a folder: a detector is judged by a COCO file, such as instances_val.json")
    dataset = read_coco(data, images)
    if not dataset.samples:
        raise DataError(f"{data} lists no pictures: a detector is judged by labelled ones")
    samples, left_out = present(dataset.samples[:limit], lambda sample: sample.path, skip=skip)
    kept = replace(dataset, samples=tuple(samples))
    category_of, notes = match_classes(kept, labels)
    if settings.max_det > MOST_COUNTED:
        notes.append(f"AP counts {MOST_COUNTED} detections a class and picture, whatever --max-det says")
    all_count = len(samples) == len(dataset.samples)
    return Labelled(
        partial(evaluate_boxes, dataset=kept, category_of=category_of, settings=settings),
        len(samples),
        len(dataset.samples),
        (*left_out, *dataset.notes, *notes),
        () if all_count else tuple(sample.image_id for sample in samples),
    )


def labelled_classes(data: Path, images: Path, labels: "Sequence[str]", *, limit: int | None, skip: bool) -> Labelled:
    """The pictures of a folder with one sub-folder a class, or of a list of paths and labels. Errors as of boxes."""
    from pvt_edge.data.image_folder import read_image_folder
    from pvt_edge.data.image_list import read_image_list

    if data.suffix.lower() == ".json":
        raise DataError(
            f"{data}: a classifier is judged by a folder a class, or a text file with a path and a label a line"
        )
    found = read_image_folder(data, labels) if data.is_dir() else read_image_list(data, images, labels)
    samples, notes = present(found.samples[:limit], lambda sample: sample[0], skip=skip)
    notes += [f"left out: {line}" for line in found.left_out]
    shown = {label for _, label in samples}
    if len(shown) < len(labels):
        notes.append(f"classes without pictures: {len(labels) - len(shown)} of {len(labels)}")
    return Labelled(partial(evaluate_ranks, samples=samples), len(samples), len(found.samples), tuple(notes))
