"""What the user wrote -> the source that reads it."""

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite, nan
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from pvt_edge.errors import DataError, UnknownNameError
from pvt_edge.options.stream import SourceOptions
from pvt_edge.sources.capture import Webcam
from pvt_edge.sources.images import ImageFiles, find_path, list_pictures, match_pattern, nearest
from pvt_edge.sources.jetson import CsiCamera, rtsp_source
from pvt_edge.sources.network import HttpStream
from pvt_edge.sources.picture import decodes_animations
from pvt_edge.sources.picture_kind import is_picture_file
from pvt_edge.sources.source import VIDEO_SUFFIXES, LiveSource, Source
from pvt_edge.sources.synthetic import SCENES
from pvt_edge.sources.video import VideoFile
from pvt_edge.sources.web_picture import WebPicture, fetch_picture, names_picture
from pvt_edge.web_addresses import redact

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
        if isinstance(spec, str) and (found := _web_picture(spec, options, needed=connect)) is not None:
            return found
        source = _live_source(spec, options)
        if source is None:
            return _open_path(_local_path(str(spec)), options)
        if connect:
            source.connect()
        return source
    if spec == "":
        raise DataError(f"the source is an empty text; {ACCEPTED}")
    if isinstance(spec, (str, Path)):
        return _open_path(spec, options)
    if not spec:
        raise DataError(f"the list of images is empty; {ACCEPTED}")
    paths = [find_path(path) for path in spec]
    for given, path in zip(spec, paths, strict=True):
        if path is None:
            raise DataError(_missing(given))
    there = [path for path in paths if path is not None]
    return ImageFiles(f"the list of {len(there)} files", there, pixel_max=options.pixel_max)


def _is_live(spec: str) -> bool:
    if spec.startswith("/dev/"):
        return not (spec.startswith("/dev/shm/") or Path(spec).is_file() or Path(spec).is_dir())
    if spec.isdecimal():
        return find_path(spec) is None  # a folder of a year, say
    return "://" in spec


def _web_picture(spec: str, options: SourceOptions, *, needed: bool) -> WebPicture | None:
    """The picture at an address that ends like one; None for other addresses, and where a camera streams from it.

    What is not there is an error where it is `needed`, else None: a stream, which may be connected later.
    """
    scheme = spec.partition("://")[0].lower()
    if scheme not in ("http", "https") or not names_picture(spec):
        return None
    try:
        picture = fetch_picture(f"{scheme}://{spec.partition('://')[2]}", options.stall_s)
    except DataError:
        if needed:
            raise
        return None
    return None if picture is None else WebPicture(spec, picture, options)


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


def _local_path(spec: str) -> str:
    """The path of a file:// address."""
    parts = _parts(spec)
    if parts.netloc.lower() not in ("", "localhost") or not parts.path:
        raise DataError(f"{redact(spec)} names no file of this machine: write it like file:///home/me/a.jpg")
    return unquote(parts.path)


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
    parts = _parts(spec)
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


def _parts(spec: str) -> SplitResult:
    try:
        return urlsplit(spec)
    except ValueError as error:  # brackets, which are for IPv6
        raise DataError(f"{redact(spec)} is malformed: write [ and ] as %5B and %5D") from error


def _sized(options: SourceOptions, given: dict[str, float]) -> SourceOptions:
    """The options with the sizes and the rate that the address gives in their place."""
    width, height = given.get("width", options.width), given.get("height", options.height)
    return replace(
        options,
        width=int(width) if width is not None else None,
        height=int(height) if height is not None else None,
        fps=given.get("fps", options.fps),
    )


def _open_path(spec: str | Path, options: SourceOptions) -> Source:
    path = find_path(spec)
    if path is None:
        matches = match_pattern(spec)
        if matches is None:
            raise DataError(_missing(spec))
        pictures = [match for match in matches if is_picture_file(match)]
        if not pictures:
            others = f" ({len(matches)} other files do)" if matches else ""
            raise DataError(f"no image matches {redact(str(spec))!r}{others}; {ACCEPTED}")
        return ImageFiles(str(spec), pictures, pixel_max=options.pixel_max)
    if path.is_dir():
        return _open_folder(path, options)
    if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file():
        return VideoFile(path)
    return _open_file(path, options)


def _open_file(path: Path, options: SourceOptions) -> Source:
    if not is_picture_file(path):
        raise DataError(
            f"cannot tell what {path} is: no image by its content, and videos end in {' '.join(VIDEO_SUFFIXES)}"
        )
    if path.suffix.lower() == ".gif" and not decodes_animations():  # frame by frame all the same
        return VideoFile(path)
    return ImageFiles(str(path), [path], pixel_max=options.pixel_max)


def _open_folder(folder: Path, options: SourceOptions) -> Source:
    try:
        images = list_pictures(folder)
        files = sum(path.is_file() and not path.name.startswith(".") for path in folder.iterdir())
    except OSError as error:
        raise DataError(f"cannot list {folder}: {error.strerror or error}") from error
    if not images:
        others = f"; it holds {files} other files" if files else ""
        raise DataError(f"no images in {folder}{others}; for those of its sub-folders write '{folder}/**/*'")
    return ImageFiles(str(folder), images, pixel_max=options.pixel_max)


def _missing(spec: str | Path) -> str:
    """Why there is nothing at `spec`, which may be an address gone wrong, with the nearest name that is there."""
    path = Path(redact(str(spec)))
    near = nearest(path)
    return f"there is no {path}; did you mean {near}?" if near else f"there is no {path}; {ACCEPTED}"
