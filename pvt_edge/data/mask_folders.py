"""Folders of pictures and their masks: which mask belongs to which picture."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pvt_edge.data.class_table import ClassTable, numbered, read_class_table, table_of_categories, with_background
from pvt_edge.data.coco_file import read_coco_file
from pvt_edge.data.index_masks import check_masks, read_index_mask
from pvt_edge.data.labelled_set import MaskSample, MaskSet
from pvt_edge.data.pascal_voc import list_stems
from pvt_edge.data.picture_paths import displayed_size
from pvt_edge.errors import DataError
from pvt_edge.sources.images import list_pictures

PARTS = {"train": ("train", "training"), "val": ("val", "valid", "validation", "test")}
PAIRS = (
    ("images", "masks"),
    ("images", "annotations"),  # ADE20K
    ("images", "labels"),
    ("img_dir", "ann_dir"),  # mmseg
    ("leftImg8bit", "gtFine"),  # Cityscapes
    ("JPEGImages", "SegmentationClass"),  # Pascal VOC
)
PICTURE_ENDS = ("_leftImg8bit",)
# of several files a picture, the first kind that is there counts
MASK_ENDS = ("_gtFine_labelTrainIds", "_labelTrainIds", "_gtFine_labelIds", "_mask", "_masks", "_label", "_seg", "_gt")
SHOWN = 3  # names that a line lists
MOST_ALONE = 0.5  # of the pictures: more without a mask is another fault
FORMATS = (
    "images/ and masks/ (or annotations/), with train/ and val/ in both if you like; img_dir/ and ann_dir/; "
    "leftImg8bit/ and gtFine/; JPEGImages/ and SegmentationClass/; pictures with NAME_mask.png beside them; a COCO "
    "file with polygons"
)


class Place(NamedTuple):
    """Where pictures and masks lie, which stems count (None for all), and whether the data itself has that part."""

    pictures: Path
    masks: Path
    stems: tuple[str, ...] | None
    own: bool


def find_place(data: Path, part: str) -> Place | None:
    """Where the pictures of a part are; None where the folder has no masks in a layout that is known."""
    other = "val" if part == "train" else "train"
    for pictures, masks in PAIRS:
        if not (data / pictures).is_dir() or not (data / masks).is_dir():
            continue
        for wanted in (part, other):
            listed = _listed(data, wanted) if pictures == "JPEGImages" else None
            if listed is not None:
                return Place(data / pictures, data / masks, listed, wanted == part)
            inner = [_sub_folder(data / folder, wanted) for folder in (pictures, masks)]
            if inner[0] is not None and inner[1] is not None and _pictures_below(inner[1]):
                return Place(inner[0], inner[1], None, wanted == part)
        if _pictures_below(data / masks):  # and not text files of boxes, or a JSON file
            return Place(data / pictures, data / masks, None, False)
    for wanted in (part, other):
        inside = _sub_folder(data, wanted)
        found = find_place(inside, part) if inside is not None else None
        if found is not None:
            return found._replace(own=wanted == part)
    if any(_stem(path, MASK_ENDS) != path.stem for path in _pictures_below(data)):
        return Place(data, data, None, False)
    return None


def no_masks(data: Path) -> DataError:
    """Why a folder has no masks that can be used, and what would do."""
    found = [masks for pictures, masks in PAIRS if (data / pictures).is_dir() and (data / masks).is_dir()]
    if found:
        return DataError(f"no masks in {data / found[0]}: they are PNG files (or TIFF, BMP) of the pictures' names")
    return DataError(f"no masks in {data}: expected is {FORMATS}")


def read_mask_folder(
    data: Path,
    place: Place,
    labels: Sequence[str] | None = None,
    *,
    reduce_zero_label: bool = False,
) -> MaskSet:
    """The pictures of a place with their masks, paired by their names.

    The classes are those of a `classes.txt` or `classes.json`, or of a COCO file, in `data` or beside the masks, else
    `labels`, else the numbers found. Pictures that cannot be read or have no mask are left out. Raises `DataError` for
    masks that cannot be used, where more than half of the pictures have none, and where there is nothing.
    """
    pairs, notes = _pair(place)
    broken = [picture for picture, _ in pairs if displayed_size(picture) is None]
    left_out = [*notes, *(f"{picture}: it cannot be read as a picture" for picture in broken)]
    pairs = [pair for pair in pairs if pair[0] not in set(broken)]
    if not pairs:
        raise DataError(f"none of the pictures of {place.pictures} can be read: {left_out[-1]}")
    table = _table(data, place, labels, reduce_zero_label, [mask for _, mask in pairs])
    samples = [MaskSample(picture, mask, table.reduce_zero_label, table.values) for picture, mask in pairs]
    found = check_masks(samples, table.names)
    return MaskSet(data, table.names, tuple(found), left_out=tuple(left_out), names_known=table.known)


def _pair(place: Place) -> tuple[list[tuple[Path, Path]], list[str]]:
    """([(picture, mask)], lines on what has no partner)."""
    try:
        pictures = _pictures_below(place.pictures)
        masks = _masks_by_stem(place.masks, pictures)
        pictures = [path for path in pictures if path not in set(masks.values())]
    except OSError as error:
        raise DataError(f"cannot list {error.filename}: {error.strerror or error}") from error
    if not pictures:
        raise DataError(f"no pictures in {place.pictures}")
    if not masks:
        raise DataError(f"no masks in {place.masks}: expected are PNG files of the pictures' names")
    stems = {_stem(path, PICTURE_ENDS): path for path in pictures}
    if len(stems) < len(pictures):
        twice = Counter(_stem(path, PICTURE_ENDS) for path in pictures).most_common(1)[0][0]
        raise DataError(f"several pictures in {place.pictures} are called {twice}, and a mask belongs to one of them")
    if place.stems is not None:
        absent = [stem for stem in place.stems if stem not in stems]
        stems = {stem: stems[stem] for stem in place.stems if stem in stems}
        masks = {stem: path for stem, path in masks.items() if stem in stems}
    else:
        absent = []
    alone = [path.name for stem, path in stems.items() if stem not in masks]
    spare = [path.name for stem, path in masks.items() if stem not in stems]
    if len(alone) > MOST_ALONE * len(stems) or len(alone) == len(stems):
        raise DataError(
            f"{len(alone)} of {len(stems)} pictures of {place.pictures} have no mask in {place.masks}: "
            f"{_some(alone) or 'none is there'}; a mask has its picture's name, such as {next(iter(stems), 'x')}.png"
        )
    lines = [(alone, "pictures without a mask"), (spare, "masks without a picture"), (absent, "listed, not there")]
    pairs = [(path, masks[stem]) for stem, path in sorted(stems.items()) if stem in masks]
    return pairs, [f"{words}: {len(names)} ({_some(names)})" for names, words in lines if names]


def _table(
    data: Path, place: Place, labels: Sequence[str] | None, reduce_zero_label: bool, masks: Sequence[Path]
) -> ClassTable:
    places = list(dict.fromkeys((data, place.masks, *list(place.masks.parents)[: _depth(data, place.masks)])))
    written = read_class_table(places, reduce_zero_label)
    if written is not None:
        return written
    boxes = next(iter(sorted(data.glob("instances*.json")) if data.is_dir() else []), None)
    if boxes is not None:
        return with_background(table_of_categories(_categories(boxes), boxes))
    if labels:
        return numbered(labels, reduce_zero_label, data, known=False)
    highest = max(_highest(mask) for mask in masks)
    count = highest + 1 - int(reduce_zero_label)
    return numbered([f"class_{i}" for i in range(count)], reduce_zero_label, data, known=False)


def _categories(file: Path) -> list[dict[str, object]]:
    try:
        return read_coco_file(file)["categories"]
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read the classes of {file}: {error}") from error


def _highest(mask: Path) -> int:
    values = read_index_mask(mask)
    return int(values[values != 255].max(initial=0))


def _depth(data: Path, masks: Path) -> int:
    """How many folders lie between the two; 0 where one is not in the other."""
    return len(masks.relative_to(data).parts) if masks.is_relative_to(data) else 0


def _sub_folder(folder: Path, part: str) -> Path | None:
    return next((folder / name for name in PARTS[part] if (folder / name).is_dir()), None)


def _listed(data: Path, part: str) -> tuple[str, ...] | None:
    """The stems of a part as Pascal VOC lists them; None without such a list."""
    file = data / "ImageSets" / "Segmentation" / f"{part}.txt"
    return tuple(list_stems(file)) if file.is_file() else None


def _pictures_below(folder: Path) -> list[Path]:
    folders = sorted((folder, *(inner for inner in folder.rglob("*") if inner.is_dir())))
    return [picture for each in folders for picture in list_pictures(each)]


def _masks_by_stem(folder: Path, pictures: Sequence[Path]) -> dict[str, Path]:
    """The masks by the name of their picture, of files of several kinds those that most of the pictures have."""
    paths, stems = _pictures_below(folder), {_stem(path, PICTURE_ENDS) for path in pictures}
    beside = any(path in set(pictures) for path in paths)
    best: dict[str, Path] = {}
    for end in MASK_ENDS if beside else ("", *MASK_ENDS):
        found = [(path.stem.removesuffix(end), path) for path in paths if path.stem.endswith(end)]
        by_stem = dict(found)
        if len(by_stem.keys() & stems) <= len(best.keys() & stems) and best:
            continue
        twice = next((stem for stem, path in found if by_stem[stem] != path and stem in stems), None)
        if twice is not None:
            both = [str(path) for stem, path in found if stem == twice]
            raise DataError(f"{both[0]} and {both[1]} would both be the mask of {twice}: leave one")
        best = by_stem
    return best


def _stem(path: Path, ends: Sequence[str]) -> str:
    return next((path.stem.removesuffix(end) for end in ends if path.stem.endswith(end)), path.stem)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (" ..." if len(names) > SHOWN else "")
