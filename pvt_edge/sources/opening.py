"""What the user wrote -> the source that reads it."""

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from glob import glob
from math import isfinite, nan
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from pvt_edge.credentials import redact
from pvt_edge.errors import DataError, UnknownNameError
from pvt_edge.sources.csi import CsiCamera
from pvt_edge.sources.images import ImageFiles
from pvt_edge.sources.jetson import rtsp_source
from pvt_edge.sources.live import LiveSource
from pvt_edge.sources.network import HttpStream
from pvt_edge.sources.options import SourceOptions
from pvt_edge.sources.source import IMAGE_SUFFIXES, VIDEO_SUFFIXES, Source
from pvt_edge.sources.synthetic import SCENES
from pvt_edge.sources.video import VideoFile
from pvt_edge.sources.webcam import Webcam

SCHEMES = ("rtsp", "rtsps", "http", "https", "csi", "synthetic", "file")
ACCEPTED = (
    "accepted are a camera (0, /dev/video0, csi://0), a stream (rtsp://, http://, https://), synthetic://cells, "
    "an image, a list of images, a folder, a pattern such as 'shots/*.jpg', a video file"
)


def open_source(
    spec: "str | Path | int | Source | Sequence[str | Path]",
    options: SourceOptions | None = None,
    *,
    connect: bool = True,
) -> Source:
    """The source of `spec`: camera, stream, image or video file, folder (not its sub-folders), pattern or list.

    An open source is given back as it is. `DataError` for what is missing, empty, silent or of no known kind.
    `connect` False leaves a live source to be connected later.
    """
    if isinstance(spec, Source):
        return spec
    options = options or SourceOptions()
    if isinstance(spec, int) or (isinstance(spec, str) and _is_live(spec)):
        source = _live_source(spec, options)
        if source is None:
            return _open_path(unquote(urlsplit(str(spec)).path))
        if connect:
            source.connect()
        return source
    if isinstance(spec, (str, Path)):
        return _open_path(spec)
    paths = [Path(path) for path in spec]
    if not paths:
        raise DataError(f"the list of images is empty; {ACCEPTED}")
    for path in paths:
        if not path.exists():
            raise DataError(_missing(path))
    return ImageFiles(f"the list of {len(paths)} files", paths)


def _is_live(spec: str) -> bool:
    if spec.startswith("/dev/"):
        return not (spec.startswith("/dev/shm/") or Path(spec).is_file() or Path(spec).is_dir())
    return spec.isdecimal() or "://" in spec


def _live_source(spec: str | int, options: SourceOptions) -> LiveSource | None:
    """The live source of `spec`, not yet connected; None for a file://."""
    if isinstance(spec, int) or spec.isdecimal():
        return Webcam(int(spec), options)
    if spec.startswith("/dev/"):
        number = spec.removeprefix("/dev/video")
        return Webcam(int(number) if number.isdecimal() else spec, options)
    scheme, _, rest = spec.partition("://")
    scheme = scheme.lower()
    if scheme not in SCHEMES:
        raise UnknownNameError(f"kind of source in {redact(spec)!r}:", scheme, SCHEMES)
    if scheme in ("rtsp", "rtsps"):
        return rtsp_source(f"{scheme}://{rest}", options)
    if scheme in ("http", "https"):
        return HttpStream(f"{scheme}://{rest}", options)
    if scheme == "csi":
        return _csi(spec, options)
    return _synthetic(spec, options) if scheme == "synthetic" else None


def _csi(spec: str, options: SourceOptions) -> CsiCamera:
    name, given = _split(spec, ("width", "height", "fps", "flip"))
    if not name.isdecimal():
        raise DataError(
            f"{redact(spec)} names no sensor: write csi://0, or csi://0?flip=2 for a camera that hangs upside down"
        )
    flip = int(given.pop("flip", 0))
    if flip not in range(8):
        raise DataError(f"{redact(spec)}: flip is 0 to 7 (2 turns by 180 degrees), not {flip}")
    return CsiCamera(int(name), _sized(options, given), flip=flip)


def _synthetic(spec: str, options: SourceOptions) -> LiveSource:
    name, given = _split(spec, ("width", "height", "fps", "seed", "frames"))
    if name not in SCENES:
        raise UnknownNameError("synthetic scene", redact(name), SCENES)
    seed, frames = int(given.pop("seed", 0)), given.pop("frames", None)
    if seed < 0 or (frames is not None and frames < 1):
        raise DataError(f"{redact(spec)}: seed must be 0 or more, frames 1 or more")
    return SCENES[name](_sized(options, given), seed=seed, frames=int(frames) if frames is not None else None)


def _split(spec: str, known: Sequence[str]) -> tuple[str, dict[str, float]]:
    """The part after the scheme, and the numbers after the question mark."""
    parts = urlsplit(spec)
    given: dict[str, float] = {}
    for key, value in parse_qsl(parts.query, keep_blank_values=True):
        if key not in known:
            raise UnknownNameError(f"setting in {redact(spec)}:", key, known)
        try:
            given[key] = float(value)
        except ValueError:
            given[key] = nan
        if not isfinite(given[key]):
            raise DataError(f"{redact(spec)}: {key} must be a number, not {value!r}")
    return parts.netloc or parts.path.strip("/"), given


def _sized(options: SourceOptions, given: dict[str, float]) -> SourceOptions:
    """The options with the sizes and the rate that the address gives in their place."""
    width, height = given.get("width", options.width), given.get("height", options.height)
    return replace(
        options,
        width=int(width) if width is not None else None,
        height=int(height) if height is not None else None,
        fps=given.get("fps", options.fps),
    )


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
            raise DataError(f"no image matches {redact(str(spec))!r} ({len(found)} other files do); {ACCEPTED}")
        return ImageFiles(str(spec), images)
    raise DataError(_missing(Path(redact(str(path)))))


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
