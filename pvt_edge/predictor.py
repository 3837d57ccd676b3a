"""A bundle that runs: pictures in, results out."""

import warnings
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from os import PathLike, fspath
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, NoReturn, overload

import numpy as np
from numpy.typing import NDArray

from pvt_edge.arguments import check_keywords, check_kind, check_number, check_text, check_whole, refuse_unknown
from pvt_edge.bundle.reader import Bundle, find
from pvt_edge.bundle.schema import PostprocessSpec
from pvt_edge.choice import choose_artifact, choose_runtime
from pvt_edge.engines.refresh import refresh_engines
from pvt_edge.errors import ArgumentError, BundleError, DataError, PictureWarning, RuntimeInputError
from pvt_edge.frame_info import FrameInfo
from pvt_edge.given_picture import Picture, check_source, frame_of, frames_of, is_one
from pvt_edge.pixel_depth import check_pixel_max
from pvt_edge.postprocessing import ThresholdOptions, Thresholds, choose_thresholds
from pvt_edge.resizing import Placement, apply, plan, to_bgr
from pvt_edge.results import Result
from pvt_edge.sources import Frame, Source, SourceOptions, VideoFile, open_source
from pvt_edge.sources.network import HttpStream
from pvt_edge.tasks import get_task

if TYPE_CHECKING:
    from types import TracebackType

    from PIL.Image import Image
    from typing_extensions import Self, Unpack

    from pvt_edge.runtimes import Runtime


@dataclass(frozen=True, eq=False)
class Prepared:
    """A frame, its picture (h, w, 3) BGR, and the model's input (H, W, 3) uint8 with how the picture lies in it."""

    frame: Frame
    image: NDArray[np.uint8] = field(repr=False)
    placement: Placement
    input: NDArray[np.uint8] = field(repr=False)
    preprocess_ms: float


THRESHOLDS = tuple(ThresholdOptions.__annotations__)
MAX_BATCH = 16  # of a dynamic batch, to bound memory


def load(
    bundle_path: str | PathLike[str] | Bundle,
    runtime: str = "auto",
    *,
    precision: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    rebuild: bool = False,
    pixel_max: "str | float | None" = None,
    **unknown: NoReturn,
) -> "Predictor":
    """The predictor of the bundle in a folder, or of one that `read_bundle` gave.

    `runtime` "auto" is the first of tensorrt, tensorrt-rtx, openvino, onnxruntime and opencv that is installed, in the
    bundle and, for engines, has a GPU; `precision` "auto" what the bundle found to pay there. An engine that was built
    for another machine is built again from the bundle's graph, which takes minutes, where `rebuild` or `runtime` "auto"
    allows it. `pixel_max` is the value that is white in pictures of 16 bits, such as 4095, or "auto" to see it from
    each picture; by default the bundle's, 65535 where it has none. Raises `BundleError` for a bundle that is broken or
    lacks what is asked for, `RuntimeMissingError` when nothing here can run it, `UnknownNameError` for a name that does
    not exist.
    """
    from pvt_edge.runtimes import RUNTIMES, open_runtime

    refuse_unknown(load, unknown)
    check_text("load()", runtime=runtime, precision=precision, device=device)
    check_whole("load()", optional=True, threads=threads)
    check_pixel_max(pixel_max)
    bundle = find(bundle_path)
    name = choose_runtime(bundle, runtime)
    if RUNTIMES[name].needs_gpu and (rebuild or runtime == "auto"):
        bundle = refresh_engines(bundle, name)
    artifact, run_as = choose_artifact(bundle, name, precision)
    path, spec = bundle.path(artifact), bundle.spec(artifact)
    opened = open_runtime(name, path, precision=run_as, device=device, threads=threads, spec=spec)
    return Predictor(bundle, opened, pixel_max=pixel_max)


class Predictor:
    """Runs a bundle on pictures. Not thread-safe; close it, or use it as a context manager.

    >>> with load("out/b0") as predictor:
    ...     result = predictor(frame_bgr, conf=0.4)
    """

    def __init__(self, bundle: Bundle, runtime: "Runtime", *, pixel_max: "str | float | None" = None) -> None:
        if not isinstance(bundle, Bundle):
            raise ArgumentError(
                f"Predictor() takes a read bundle and its opened runtime: call pvt_edge.load({bundle!r})"
            )
        self.bundle, self.runtime = bundle, runtime
        self.manifest = bundle.manifest
        self.pixel_max = check_pixel_max(pixel_max if pixel_max is not None else self.manifest.input.pixel_max)
        self.names = self.manifest.labels
        spec = self.manifest.input
        self.input_hw = (spec.height, spec.width)
        takes, gives = runtime.inputs[0], [output.name for output in runtime.outputs]
        if takes.name != spec.name or takes.shape[1:] != (*self.input_hw, 3):
            raise BundleError(
                f"model.json says the input is {spec.name} (batch, {spec.height}, {spec.width}, 3), the "
                f"{runtime.name} artifact takes {takes.name} {takes.shape}; export again"
            )
        self.task = get_task(self.manifest.task)
        absent = [name for name in self.task.outputs if name not in gives]
        if absent:
            raise BundleError(
                f"a {self.manifest.task} bundle needs the output {absent[0]}, the {runtime.name} artifact "
                f"gives {', '.join(gives)}; export again"
            )
        self.batch = None if takes.shape[0] == -1 else takes.shape[0]

    def __repr__(self) -> str:
        height, width = self.input_hw
        runs = f"{self.runtime.name} {self.runtime.precision} on {self.runtime.device}"
        model = f"{self.manifest.variant} {self.manifest.task}"
        return f"Predictor({str(self.bundle.folder)!r}, {model}, {width}x{height} pixels, {runs})"

    @overload  # a path may be one file's or a folder's
    def __call__(self, frames: str | PathLike[str], **thresholds: "Unpack[ThresholdOptions]") -> Any: ...

    @overload
    def __call__(self, frames: Sequence[Picture], **thresholds: "Unpack[ThresholdOptions]") -> list[Result]: ...

    @overload
    def __call__(self, frames: "NDArray[np.generic] | Image", **thresholds: "Unpack[ThresholdOptions]") -> Result: ...

    def __call__(self, frames: Picture | Sequence[Picture], **thresholds: "Unpack[ThresholdOptions]") -> Any:
        """The `Result` of one picture, or a list of them.

        Args:
            frames: An array (H, W, 3) uint8 BGR, a Pillow image or the path of an image file: one `Result`. A list
                of these, a folder or a pattern such as "shots/*.jpg": a list, however many there are. So is a file
                of several pages. In a folder or pattern what cannot be read is left out with a `PictureWarning`;
                in a list it is an error, so that the results stand where their pictures do.
            **thresholds: `conf` and `iou` in 0..1, `max_det` from 1, `classes` by name or id, of a detector; the
                bundle's where None.

        A result keeps its picture: for what is long, and for videos and cameras, use `stream`.

        Raises:
            DataError: For a picture that cannot be read or used.
            ArgumentError, RuntimeInputError, UnknownNameError: For keywords, thresholds and classes that do not exist.
        """
        chosen = self.choose_thresholds(**thresholds)
        if isinstance(frames, (str, PathLike)):
            return self._run_path(fspath(frames), chosen)
        if isinstance(frames, (list, tuple)):
            return list(self._run(frames_of(frames, self.pixel_max), chosen, self.batch or MAX_BATCH))
        if isinstance(frames, np.ndarray) and frames.ndim == 4:
            raise DataError(f"one picture is (H, W, 3); for a batch {frames.shape} pass list(batch)")
        if isinstance(frames, (Iterator, Set)):
            raise DataError(f"cannot predict on a {type(frames).__name__}: pass a list, list(pictures)")
        return self.complete([self.prepare(frame_of(frames, pixel_max=self.pixel_max))], chosen)[0]

    def _run_path(self, path: str, thresholds: Thresholds) -> Result | list[Result]:
        with open_source(path, SourceOptions(pixel_max=self.pixel_max), connect=False) as source:
            if isinstance(source, HttpStream):  # only its server knows whether it is one picture
                source.connect()
            if source.live or isinstance(source, VideoFile):
                raise DataError(f"{source.name} is a video: use predictor.stream({source.name!r})")
            results = list(self._run(source, thresholds, self.batch or MAX_BATCH))
        for line in source.skipped:
            warnings.warn(f"left out: {line}", PictureWarning, stacklevel=3)
        return results[0] if len(results) == 1 and is_one(path) else results

    def stream(
        self,
        source: "str | Path | int | Source | Sequence[str | Path]",
        *,
        max_age: float | None = None,
        stall: float = 5.0,
        track: bool = False,
        **thresholds: "Unpack[ThresholdOptions]",
    ) -> Iterator[Result]:
        """Results of a camera, stream, video or images, one by one; an open `Source` is left open for its owner.

        Another thread reads ahead. Of a live source each result is of the newest frame, `max_age` ms old at most
        when the model gets it; a source that gives nothing for `stall` seconds is opened again, for ever. Files
        give every frame in order. `track` gives boxes ids. Thresholds as for a call; wrong ones and a source that
        cannot be opened are refused at once. Several sources at once: `pvt_edge.streams.run_streams`.
        """
        from pvt_edge.streams import run_streams

        check_keywords("predictor.stream()", thresholds, ("max_age", "stall", "track", *THRESHOLDS))
        check_number("predictor.stream()", stall=stall)
        check_number("predictor.stream()", optional=True, max_age=max_age)
        check_source("predictor.stream()", source)
        check_kind("predictor.stream()", "track", track, bool, "True or False")
        chosen = self.choose_thresholds(**thresholds)
        opened = open_source(source, SourceOptions(stall_s=stall, pixel_max=self.pixel_max))
        owned = opened is not source
        with ExitStack() as refused:
            if owned:
                refused.callback(opened.close)
            results = run_streams(self, [opened], chosen, max_age_ms=max_age, track=track, owned=owned)
            refused.pop_all()
        return results

    def choose_thresholds(self, **options: "Unpack[ThresholdOptions]") -> Thresholds:
        """The bundle's thresholds with those given in their place. Errors as for a call."""
        check_keywords("predictor", options, THRESHOLDS)
        given = [name for name, value in options.items() if value is not None]
        if given and not self.task.has_thresholds:
            raise RuntimeInputError(f"{given[0]} is a detector's, this bundle's task is {self.manifest.task}")
        return choose_thresholds(self.manifest.postprocess or PostprocessSpec(), self.names, **options)

    def _run(self, frames: Iterable[Frame], thresholds: Thresholds, size: int) -> Iterator[Result]:
        waiting = iter(frames)
        while group := list(islice(waiting, size)):
            yield from self.complete([self.prepare(frame) for frame in group], thresholds)

    def prepare(self, frame: Frame) -> Prepared:
        """The frame as the model takes it. May run in another thread than `complete`."""
        started = perf_counter()
        image = to_bgr(frame.image, self.pixel_max)
        placement = plan((image.shape[0], image.shape[1]), self.input_hw, self.manifest.resize)
        model_input = apply(image, placement, self.manifest.resize)
        return Prepared(frame, image, placement, model_input, (perf_counter() - started) * 1e3)

    def complete(self, prepared: Sequence[Prepared], thresholds: Thresholds) -> list[Result]:
        """Results of at most one batch of frames; a static batch is filled up with the last one."""
        inputs = [one.input for one in prepared]
        inputs += [inputs[-1]] * ((self.batch or len(inputs)) - len(inputs))
        started = perf_counter()
        batch = np.stack(inputs) if len(inputs) > 1 else inputs[0][None]  # (B, H, W, 3)
        arrays = self.runtime.infer({self.manifest.input.name: batch})
        inferred_ms = (perf_counter() - started) * 1e3
        self._check(arrays)
        results = []
        for row, one in enumerate(prepared):
            began = perf_counter()
            outputs = {name: array[row] for name, array in arrays.items()}
            found = self.task.read(outputs, one.placement, thresholds, self.manifest)
            speed = {
                "preprocess": one.preprocess_ms,
                "inference": inferred_ms / len(prepared),
                "postprocess": (perf_counter() - began) * 1e3,
            }
            frame = one.frame
            info = FrameInfo(frame.id, frame.captured_at, frame.age_ms, page=frame.page, video_s=frame.video_s)
            results.append(Result(one.image, self.names, path=frame.path, speed=speed, frame=info, **found))
        return results

    def _check(self, arrays: dict[str, NDArray[np.generic]]) -> None:
        """`BundleError` where the artifact gave what is no number: nothing found would be a silent lie."""
        for name, array in arrays.items():
            if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
                raise BundleError(
                    f"the {self.runtime.name} {self.runtime.precision} artifact gave infinite or undefined "
                    f"{name}: its numbers overflow; take another precision and check with: pvt-edge verify"
                )

    def close(self) -> None:
        """Free the model; a second call does nothing."""
        self.runtime.close()

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        self.close()
