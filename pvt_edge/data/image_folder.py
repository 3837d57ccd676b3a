"""Pictures with a class each: a folder with a sub-folder for each class."""

from collections.abc import Sequence
from pathlib import Path

from pvt_edge.data.labelled_set import ClassSample, ClassSet
from pvt_edge.errors import DataError, UnknownNameError
from pvt_edge.label_names import label_index
from pvt_edge.sources.images import list_pictures
from pvt_edge.sources.picture_kind import why_unusable


def read_image_folder(folder: str | Path, labels: Sequence[str] | None = None) -> ClassSet:
    """The pictures of the sub-folders of `folder`, each named by one of the model's `labels` or by its index.

    Without `labels` the classes are the sub-folders, in order of their names. A label that is a number goes before an
    index. Hidden names, files that are no images and deeper folders are passed over. Raises `DataError` for a
    sub-folder of no class or of several, and where there is no picture.
    """
    folder = Path(folder)
    try:
        classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
        names = tuple(path.name for path in classes) if labels is None else tuple(labels)
        indices = [_label_index(path, names) for path in classes]
        samples = [
            ClassSample(file, index)
            for path, index in zip(classes, indices, strict=True)
            for file in list_pictures(path)
        ]
        unusable = {sample.path: why for sample in samples if (why := why_unusable(sample.path))}
        samples = [sample for sample in samples if sample.path not in unusable]
    except OSError as error:
        raise DataError(f"cannot list {error.filename or folder}: {error.strerror or error}") from error
    if not samples:
        inside = f"its {len(classes)} sub-folders hold none" if classes else "it has no sub-folders"
        raise DataError(f"no labelled images in {folder}: {inside}; {_expected(names)}")
    left_out = tuple(f"{file}: {why}" for file, why in unusable.items())
    return ClassSet(folder, names, tuple(samples), left_out=left_out)


def _label_index(folder: Path, labels: Sequence[str]) -> int:
    try:
        index = label_index(folder.name, labels)
    except DataError as error:
        raise DataError(f"cannot use {folder}: {error}") from error
    if index is None:
        raise DataError(f"cannot use {folder}: {UnknownNameError('class', folder.name, labels)}; {_expected(labels)}")
    return index


def _expected(labels: Sequence[str]) -> str:
    if not labels:
        return "expected are sub-folders of images, one a class"
    return f"expected are sub-folders of images, each named by a label or its index (0 to {len(labels) - 1})"
