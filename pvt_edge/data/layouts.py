"""Which format labelled data has, and its parts: what `val` judges by and what `train` learns from."""

from collections.abc import Sequence
from pathlib import Path

from pvt_edge.data.classed_pictures import list_parts, read_image_folder, read_image_list
from pvt_edge.data.coco import read_coco
from pvt_edge.data.coco_masks import read_coco_masks
from pvt_edge.data.labelled_set import BoxSet, ClassSet, MaskSet
from pvt_edge.data.mask_folders import FORMATS as MASK_FORMATS
from pvt_edge.data.mask_folders import PARTS, Place, find_place, no_masks, read_mask_folder
from pvt_edge.data.pascal_voc import has_voc, read_voc, voc_parts
from pvt_edge.data.yolo import class_names, load_yaml, read_label_files, read_yolo
from pvt_edge.errors import DataError
from pvt_edge.sources.images import list_pictures

YAML = (".yaml", ".yml")
BOX_FORMATS = (
    "a COCO file; a folder with instances_train.json, with data.yaml or with Annotations of Pascal VOC; a data.yaml"
)
CLASS_FORMATS = "a folder a class, or a text or CSV file with a path and a label a line"


def default_images(data: Path) -> Path:
    """The folder that the paths in `data` are seen from: `images` beside it where there is one, else its own."""
    if data.is_dir():
        return data
    beside = data.parent / "images"
    return beside if beside.is_dir() else data.parent


def read_boxes(data: Path, images: Path | None = None, part: str = "val") -> tuple[BoxSet, bool]:
    """(pictures with boxes, whether the data itself has the part "train" or "val" that was asked for).

    Data without parts is read whole. Raises `DataError` for what is in no format that is known, or has faults.
    """
    if data.is_dir():
        return _boxes_of_folder(data, images, part)
    if data.suffix.lower() in YAML:
        found = read_yolo(data, part)
        if found is not None:
            return found, True
        other = read_yolo(data, _other(part))
        if other is None:
            raise DataError(f"{data} names no pictures: expected are the keys train and val")
        return other, False
    if data.suffix.lower() in (".txt", ".csv"):
        raise DataError(f"{data} is a list, which has no boxes: expected is {BOX_FORMATS}")
    return read_coco(data, images or default_images(data)), False


def read_classes(
    data: Path, images: Path | None = None, part: str = "val", labels: Sequence[str] | None = None
) -> tuple[ClassSet, bool]:
    """(pictures with a class each, whether the data itself has the part "train" or "val" that was asked for).

    `labels` are the classes where they are known. Raises `DataError` as the readers do.
    """
    if data.suffix.lower() == ".json" or data.suffix.lower() in YAML:
        raise DataError(f"{data}: a classifier is judged by {CLASS_FORMATS}")
    if not data.is_dir():
        parts = list_parts(data)
        name = next((name for name in PARTS[part] if name in parts), None)
        return read_image_list(data, images or default_images(data), labels, name), name is not None
    parted = not any(name in (labels or ()) for names in PARTS.values() for name in names)
    for name in (part, _other(part)) if parted else ():
        if folder := part_folder(data, name):
            return read_image_folder(folder, labels), name == part
    return read_image_folder(data, labels), False


def read_masks(
    data: Path,
    images: Path | None = None,
    part: str = "val",
    labels: Sequence[str] | None = None,
    *,
    reduce_zero_label: bool = False,
) -> tuple[MaskSet, bool]:
    """(pictures with masks, whether the data itself has the part "train" or "val" that was asked for).

    `data` is a folder of one of the layouts in `mask_folders`, a folder of masks whose pictures are in `images`, or a
    COCO file with polygons or run lengths; `labels` are the classes of data that does not name its own;
    `reduce_zero_label` says that 0 in its masks is no class. Raises `DataError` as the readers do.
    """
    for given in (data, images):
        if given is not None and not given.exists():
            raise DataError(f"no such file or folder: {given}")
    if data.is_dir():
        place = find_place(data, part)
        if place is None and images is not None and images != data and images.is_dir():
            place = Place(images, data, None, False)
        if place is not None:
            return read_mask_folder(data, place, labels, reduce_zero_label=reduce_zero_label), place.own
        file = coco_part(data, part)
        own, jsons = file is not None, sorted(data.glob("*.json"))
        file = file or coco_part(data, _other(part))
        if file is None and len(jsons) == 1:
            file = jsons[0]
        if file is None:
            raise no_masks(data)
        elsewhere = images if images != data else None
        return read_coco_masks(file, elsewhere or _pictures_of(data, file)), own
    if data.suffix.lower() != ".json":
        raise DataError(f"{data}: a segmenter is judged by {MASK_FORMATS}")
    pictures = images or default_images(data)
    if (data.parent / "masks").is_dir():  # which are exact, where polygons and boxes are not
        place = Place(pictures, data.parent / "masks", None, False)
        return read_mask_folder(data.parent, place, labels, reduce_zero_label=reduce_zero_label), False
    return read_coco_masks(data, pictures), False


def part_folder(data: Path, part: str) -> Path | None:
    """The sub-folder of `data` for a part, where the data is parted: one for each of train and val, and no pictures."""
    if not data.is_dir() or not any((data / name).is_dir() for name in PARTS["train"]):
        return None
    return next((data / name for name in PARTS[part] if (data / name).is_dir()), None)


def coco_part(folder: Path, part: str) -> Path | None:
    """The COCO file that a folder has for a part."""
    for name in PARTS[part]:
        for place in (f"instances_{name}.json", f"annotations/instances_{name}.json", f"{name}/_annotations.coco.json"):
            if (folder / place).is_file():
                return folder / place
        if wanted := sorted((folder / "annotations").glob(f"instances_{name}*.json")):  # instances_train2017.json
            return wanted[0]
    return None


def _other(part: str) -> str:
    """The part that stands in where the data lacks the one that was asked for."""
    return "val" if part == "train" else "train"


def _boxes_of_folder(folder: Path, images: Path | None, part: str) -> tuple[BoxSet, bool]:
    for file in sorted((*folder.glob("*.yaml"), *folder.glob("*.yml"))):
        if {"names", "train", "val"} & load_yaml(file).keys():
            return read_boxes(file, images, part)
    for name in (part, _other(part)):
        if (annotations := coco_part(folder, name)) is not None:
            return read_coco(annotations, images or _pictures_of(folder, annotations)), name == part
    if has_voc(folder):
        parts = voc_parts(folder)
        listed = next((name for name in PARTS[part] if name in parts), None)
        return read_voc(folder, listed), listed is not None
    if (folder / "classes.txt").is_file() and (folder / "labels").is_dir():
        return _labelled_beside(folder), False
    jsons = sorted(folder.glob("*.json"))
    if len(jsons) == 1:
        return read_coco(jsons[0], images or default_images(jsons[0])), False
    raise DataError(f"no boxes in {folder}: expected is {BOX_FORMATS}")


def _pictures_of(folder: Path, annotations: Path) -> Path:
    beside = default_images(annotations)
    return beside if annotations.parent != folder / "annotations" or beside != annotations.parent else folder


def _labelled_beside(folder: Path) -> BoxSet:
    """A folder with images/, labels/ and classes.txt, as labelling tools write it."""
    file = folder / "classes.txt"
    try:
        names = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read the classes of {file}: {error}") from error
    numbered = class_names(file, {"names": [name for name in names if name]})
    pictures = list_pictures(folder / "images") if (folder / "images").is_dir() else list_pictures(folder)
    if not pictures:
        raise DataError(f"no pictures in {folder / 'images'}")
    return read_label_files(folder, pictures, numbered)
