"""What the user wrote -> the source that reads it."""

from collections.abc import Sequence
from difflib import get_close_matches
from glob import glob
from pathlib import Path

from pvt_edge.errors import DataError
from pvt_edge.sources.images import ImageFiles
from pvt_edge.sources.source import IMAGE_SUFFIXES, VIDEO_SUFFIXES, Source
from pvt_edge.sources.video import VideoFile

ACCEPTED = "accepted are an image, a list of images, a folder, a pattern such as 'shots/*.jpg', a video file"


def open_source(spec: "str | Path | int | Source | Sequence[str | Path]") -> Source:
    """The source of `spec`: image or video file, folder (not its sub-folders), pattern or list of images.

    An open source is given back as it is. `DataError` for what is missing, empty or of no known kind.
    """
    if isinstance(spec, Source):
        return spec
    if isinstance(spec, int) or (isinstance(spec, str) and _is_stream(spec)):
        raise DataError(f"cannot open {spec!r}: cameras and network streams are not read yet; {ACCEPTED}")
    if isinstance(spec, (str, Path)):
        return _open_path(spec)
    paths = [Path(path) for path in spec]
    if not paths:
        raise DataError(f"the list of images is empty; {ACCEPTED}")
    for path in paths:
        if not path.exists():
            raise DataError(_missing(path))
    return ImageFiles(f"the list of {len(paths)} files", paths)


def _is_stream(spec: str) -> bool:
    return spec.isdigit() or "://" in spec or spec.startswith("/dev/")


def _open_path(spec: str | Path) -> Source:
    path = Path(spec).expanduser()
    if path.is_dir():
        return _open_folder(path)
    if path.exists():
        suffix = path.suffix.lower()
        if suffix in IMAGE_SUFFIXES:
            return ImageFiles(str(path), [path])
        if suffix in VIDEO_SUFFIXES:
            return VideoFile(path)
        raise DataError(
            f"cannot tell what {path} is: images end in {' '.join(IMAGE_SUFFIXES)}, "
            f"videos in {' '.join(VIDEO_SUFFIXES)}"
        )
    if any(sign in str(spec) for sign in "*?["):
        found = sorted(Path(name) for name in glob(str(path), recursive=True))
        images = [name for name in found if name.suffix.lower() in IMAGE_SUFFIXES and name.is_file()]
        if not images:
            raise DataError(f"no image matches {str(spec)!r} ({len(found)} other files do); {ACCEPTED}")
        return ImageFiles(str(spec), images)
    raise DataError(_missing(path))


def _open_folder(folder: Path) -> Source:
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"cannot list {folder}: {error.strerror or error}") from error
    images = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        others = f"; it holds {len(files)} other files" if files else ""
        raise DataError(f"no images in {folder}{others}; known suffixes are {' '.join(IMAGE_SUFFIXES)}")
    return ImageFiles(str(folder), images)


def _missing(path: Path) -> str:
    """Why there is nothing at `path`, with the nearest name that is there."""
    parent = path.absolute().parent
    while not parent.exists():
        path, parent = path.parent, parent.parent
    try:
        near = get_close_matches(path.name, [sibling.name for sibling in parent.iterdir()], n=1)
    except OSError:
        near = []
    hint = f"; did you mean {path.with_name(near[0])}?" if near else ""
    return f"there is no {path}{hint}" if hint else f"there is no {path}; {ACCEPTED}"
