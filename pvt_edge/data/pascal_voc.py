"""Pascal VOC: an XML file a picture, and lists of their names."""

from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from xml.etree import ElementTree

from pvt_edge.data.coco import as_box_set
from pvt_edge.data.coco_file import Content, Item
from pvt_edge.data.labelled_set import BoxSet
from pvt_edge.errors import DataError

SHOWN = 3  # faults that a message lists
ANNOTATIONS, LISTS, PICTURES = "Annotations", "ImageSets/Main", "JPEGImages"
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


def has_voc(folder: Path) -> bool:
    """Whether the folder is laid out as Pascal VOC's."""
    return (folder / ANNOTATIONS).is_dir() and any((folder / ANNOTATIONS).glob("*.xml"))


def voc_parts(folder: Path) -> set[str]:
    """The parts (train, val) that have lists."""
    return {file.stem for file in (folder / LISTS).glob("*.txt")}


def read_voc(folder: Path, part: str | None = None, labels: Sequence[str] | None = None) -> BoxSet:
    """The boxes of a Pascal VOC folder: of the pictures that the list `part` names, or of all.

    Corners count from 1 and belong to the box, as VOC has it. Objects that are called difficult are neither to be found
    nor wrong when found. The classes are `labels`, or all that the folder's files name, in order of their names.
    `DataError` names the files that are no such XML.
    """
    stems = _stems(folder, part)
    trees, faults = {}, []
    for file in sorted((folder / ANNOTATIONS).glob("*.xml")):
        try:
            trees[file.stem] = ElementTree.parse(file).getroot()
        except (OSError, ElementTree.ParseError, LookupError, ValueError) as error:  # of encodings too
            faults.append(f"{file}: {error}")
    stems = sorted(trees) if stems is None else stems
    absent = [stem for stem in stems if stem not in trees]
    faults += [f"{folder / ANNOTATIONS / stem}.xml is not there" for stem in absent if not faults]
    names = tuple(
        labels or sorted({(o.findtext("name") or "").strip() for t in trees.values() for o in t.iter("object")})
    )
    number_of = {name: number for number, name in enumerate(names, 1)}
    images: list[Item] = []
    annotations: list[Item] = []
    paths = []
    for stem in stems:
        if stem not in trees:
            continue
        file, tree = folder / ANNOTATIONS / f"{stem}.xml", trees[stem]
        paths.append(_picture(folder, stem, tree.findtext("filename")))
        images.append({"id": len(images), "file_name": paths[-1].name, **_size(tree)})
        for thing in tree.findall("object"):
            try:
                annotations.append(_annotation(thing, number_of) | {"image_id": len(images) - 1})
            except ValueError as error:
                faults.append(f"{file}: {error}")
    if faults:
        more = f" and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        raise DataError(f"cannot use the labels of {folder}: {'; '.join(faults[:SHOWN])}{more}")
    content: Content = {
        "images": images,
        "annotations": [{"id": i, **item} for i, item in enumerate(annotations, 1)],
        "categories": [{"id": number, "name": name} for name, number in number_of.items()],
    }
    return as_box_set(folder, content, paths)


def _stems(folder: Path, part: str | None) -> list[str] | None:
    """The names in a part's list; None for all."""
    if part is None:
        return None
    return list_stems(folder / LISTS / f"{part}.txt")


def list_stems(file: Path) -> list[str]:
    """The names of pictures, without their suffixes, in a list: the first word of each line."""
    try:
        return [line.split()[0] for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {file}: {error}") from error


def _picture(folder: Path, stem: str, named: str | None) -> Path:
    places = [folder / PICTURES, folder / "images", folder]
    names = [*([named.strip()] if named and named.strip() else []), *(f"{stem}{suffix}" for suffix in PICTURE_SUFFIXES)]
    found = next((place / name for name in names for place in places if (place / name).is_file()), None)
    return found or places[0] / names[0]


def _size(tree: ElementTree.Element) -> dict[str, int]:
    """The picture's size, where the file has one; some tools write zeros."""
    sizes = {side: _number(tree.findtext(f"size/{side}")) for side in ("width", "height")}
    return {side: int(value) for side, value in sizes.items()} if all(sizes.values()) else {}


def _number(text: str | None) -> float:
    try:
        number = float(text or 0)
    except ValueError:
        return 0.0
    return number if isfinite(number) else 0.0


def _annotation(thing: ElementTree.Element, number_of: dict[str, int]) -> Item:
    name = (thing.findtext("name") or "").strip()
    if name not in number_of:
        raise ValueError(f"object of class {name!r}, which is none of {', '.join(number_of)}")
    corners = [thing.findtext(f"bndbox/{corner}") for corner in ("xmin", "ymin", "xmax", "ymax")]
    try:
        x1, y1, x2, y2 = (float(value or "") for value in corners)
    except ValueError:
        raise ValueError(f"object {name!r} has the bndbox {corners}, which is not four numbers") from None
    if x2 < x1 or y2 < y1:
        raise ValueError(f"object {name!r} has the bndbox {corners}, which ends before it begins")
    difficult = (thing.findtext("difficult") or "0").strip() == "1"
    return {
        "category_id": number_of[name],
        "bbox": [x1 - 1, y1 - 1, x2 - x1 + 1, y2 - y1 + 1],
        "iscrowd": int(difficult),
    }
