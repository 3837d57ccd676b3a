"""The pictures that a data set names: where they lie, perhaps by another machine's folders, and how large they are."""

import contextlib
import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from unicodedata import normalize
from urllib.parse import unquote, urlsplit

Parts = tuple[str, ...]
SHOWN = 3  # places that a message lists
ORIENTATION, QUARTER_TURNS = 0x0112, (5, 6, 7, 8)  # EXIF's tag, and the values that swap width and height


def find_pictures(names: Sequence[str], images: Path) -> tuple[list[Path], list[str]]:
    """(the path of each picture, notes, a line each), seen from the folder `images`.

    A path that is not there as it is written (`C:\\data\\a.jpg`, an address, `train/a.jpg` beside pictures without
    that folder) is that of the one picture in `images`, at any depth, of that name; of several the one in folders of
    the same names. What is nowhere keeps its path as written. Raises `ValueError` where several places are as good,
    or one picture would stand for two names.
    """
    paths = [images / name for name in names]
    absent = [i for i, path in enumerate(paths) if not os.path.isfile(path)]
    if not absent:
        return paths, []
    places = _places(images)
    moved = []
    for i in absent:
        found = _best(names[i], places)
        if len(found) > 1:
            folders = ", ".join(str(Path(*parts)) for parts in sorted(found)[:SHOWN])
            more = " ..." if len(found) > SHOWN else ""
            raise ValueError(
                f"picture {names[i]!r} is not there as written, and {len(found)} pictures of that name are in {images} "
                f"({folders}{more}): write there which of them is meant, or give the folder of these pictures alone"
            )
        if found:
            paths[i] = images.joinpath(*found[0])
            moved.append(i)
    if not moved:
        return paths, []
    _refuse_shared(names, paths, moved)
    first = moved[0]
    return paths, [
        f"pictures that are not at the path as written, taken by their name in {images}: {len(moved)} of {len(paths)} "
        f"({names[first]!r} is {paths[first].relative_to(images)})"
    ]


def _places(images: Path) -> dict[str, list[Parts]]:
    """The files below `images` by their last name: their parts from there."""
    found: dict[str, list[Parts]] = {}
    for folder, _, files in os.walk(images):
        parts = Path(folder).relative_to(images).parts
        for file in files:
            found.setdefault(normalize("NFC", file), []).append((*parts, file))
    return found


def _best(name: str, places: dict[str, list[Parts]]) -> list[Parts]:
    """The files that share the most of the name's last parts; empty without one of its last name."""
    shared: dict[Parts, int] = {}
    for written in _spellings(name):
        for parts in places.get(written[-1], ()):
            shared[parts] = max(shared.get(parts, 0), _common_end(written, parts))
    most = max(shared.values(), default=0)
    return [parts for parts, count in shared.items() if count == most]


def _spellings(name: str) -> Iterable[Parts]:
    """The name's parts, with either slash: as it is, as an address without its query, and percent-decoded."""
    texts = [name]
    if "://" in name:
        with contextlib.suppress(ValueError):  # no address after all
            texts.append(urlsplit(name).path)
    for text in dict.fromkeys((*texts, *map(unquote, texts))):
        parts = tuple(part for part in normalize("NFC", text).replace("\\", "/").split("/") if part not in ("", "."))
        if parts:
            yield parts


def _common_end(written: Parts, there: Parts) -> int:
    count = 0
    for a, b in zip(reversed(written), reversed(there), strict=False):
        if a != normalize("NFC", b):
            break
        count += 1
    return count


def _refuse_shared(names: Sequence[str], paths: Sequence[Path], moved: Sequence[int]) -> None:
    """`ValueError` where a picture found by its name is another one's too."""
    owner = {path: i for i, path in reversed(list(enumerate(paths)))}
    for i in moved:
        other = owner[paths[i]] if owner[paths[i]] != i else None
        if other is not None and names[other] != names[i]:
            raise ValueError(
                f"pictures {names[other]!r} and {names[i]!r} would both be {paths[i]}, the only one there of that "
                "name: give the folder that has both"
            )


def displayed_size(path: Path) -> tuple[int, int] | None:
    """(width, height) of the picture as it is displayed, turned as its EXIF says; None for what is no picture."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings(), Image.open(path) as picture:
            warnings.simplefilter("ignore")
            width, height = picture.size
            turned = picture.getexif().get(ORIENTATION) in QUARTER_TURNS
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError):
        return None
    return (height, width) if turned else (width, height)
