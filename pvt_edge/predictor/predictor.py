"""A bundle that runs: pictures in, results out."""

import warnings
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import ExitStack
from itertools import islice
from os import PathLike, fspath
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias, cast, overload

import numpy as np
from numpy.typing import NDArray

from pvt_edge.arguments import check_keywords, check_kind, check_number, check_text, check_whole, known_keywords
from pvt_edge.bundle.reader import Bundle, find
from pvt_edge.engines.bundle_build import refresh_engines
from pvt_edge.errors import ArgumentError, BundleError, DataError, PictureWarning
from pvt_edge.options.run import PredictOptions, ThresholdOptions
from pvt_edge.pictures.resizing import check_pixel_max, to_bgr
from pvt_edge.postprocessing import Thresholds
from pvt_edge.predictor.choice import OPTIONS, choose_artifact, choose_options, choose_runtime
from pvt_edge.predictor.frames import Picture, Prepared, check_source, frame_of, frames_of, is_one, view_of
from pvt_edge.predictor.slicing import Slicing, merge, windows_of
from pvt_edge.results import Result
from pvt_edge.results.fields import FrameInfo
from pvt_edge.runtimes import RUNTIMES, Runtime, open_runtime
from pvt_edge.sources import Frame, Source, SourceOptions, VideoFile, open_source
from pvt_edge.sources.network import HttpStream
from pvt_edge.tasks import get_task

if TYPE_CHECKING:
    from types import TracebackType

    from PIL.Image import Image
    from typing_extensions import Self, Unpack

Answer: TypeAlias = tuple[dict[str, NDArray[Any]], float]  # a view's outputs, and its share of the milliseconds
MAX_BATCH = 16  # of a dynamic batch, to bound memory


@known_keywords
def load(
    bundle_path: str | PathLike[str] | Bundle,
    runtime: str = "auto",
    *,
    precision: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    rebuild: bool = False,
    pixel_max: "str | float | None" = None,
) -> "Predictor":
    """The predictor of a bundle.

    Args:
        bundle_path: The bundle's folder, or the bundle that `read_bundle` gave.
        runtime: tensorrt, tensorrt-rtx, openvino, onnxruntime or opencv; "auto" is the first of these that is
            installed, in the bundle and, for engines, has a GPU.
        precision: fp32, bf16, fp16 or int8; "auto" is what the bundle found to pay with that runtime.
        device: "cpu", "cuda:0" ...; "auto" is the runtime's choice.
        threads: Of the CPU; None is the runtime's choice.
        rebuild: Build an engine again, from the bundle's graph and in minutes, that was built for another machine.
            `runtime` "auto" allows it too.
        pixel_max: The value that is white in pictures of 16 bits, such as 4095, or "auto" to see it from each picture;
            by default the bundle's, 65535 where it has none.

    Returns:
        A `Predictor`, to be closed, or used as a context manager.

    Raises:
        BundleError: For a bundle that is broken or lacks what is asked for.
        RuntimeMissingError: When nothing here can run it.
        UnknownNameError: For a name that does not exist.
        ArgumentError: For an argument of the wrong kind.
    """
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

    def __init__(self, bundle: Bundle, runtime: Runtime, *, pixel_max: "str | float | None" = None) -> None:
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
        fewest, most = runtime.batch_range
        # What a call is filled up to; None where one picture may go alone, or others with it.
        self.batch = None if fewest == 1 != most else fewest
        self._most = max(fewest, min(most or MAX_BATCH, MAX_BATCH))

    def __repr__(self) -> str:
        height, width = self.input_hw
        runs = f"{self.runtime.name} {self.runtime.precision} on {self.runtime.device}"
        model = f"{self.manifest.variant} {self.manifest.task}"
        return f"Predictor({str(self.bundle.folder)!r}, {model}, {width}x{height} pixels, {runs})"

    @overload  # a path may be one file's or a folder's
    def __call__(self, frames: str | PathLike[str], **options: "Unpack[PredictOptions]") -> Any: ...

    @overload
    def __call__(self, frames: Sequence[Picture], **options: "Unpack[PredictOptions]") -> list[Result]: ...

    @overload
    def __call__(self, frames: "NDArray[np.generic] | Image", **options: "Unpack[PredictOptions]") -> Result: ...

    def __call__(self, frames: Picture | Sequence[Picture], **options: "Unpack[PredictOptions]") -> Any:
        """The `Result` of one picture, or a list of them.

        A result keeps its picture: for what is long, and for videos and cameras, use `stream`.

        Args:
            frames: An array (H, W, 3) uint8 BGR, a Pillow image or the path of an image file: one `Result`. A list
                of these, a folder or a pattern such as "shots/*.jpg": a list, however many there are. So is a file
                of several pages. In a folder or pattern what cannot be read is left out with a `PictureWarning`;
                in a list it is an error, so that the results stand where their pictures do.
            **options: Of a detector `conf` and `iou` in 0..1, `max_det` from 1, `classes` by name or id; the bundle's
                where None. Of a segmenter `classes`: pixels of others are of no class. `slice` runs large pictures in
                tiles of so many pixels, one side or (height, width), which `overlap` by that share (0.2); with
                `whole_frame` also as a whole, for what is larger than a tile.

        Returns:
            One `Result`, or a list of them, as `frames` says.

        Raises:
            DataError: For a picture that cannot be read or used.
            ArgumentError: For keywords that do not exist.
            RuntimeInputError: For thresholds out of range, and options of another task.
            UnknownNameError: For classes that do not exist.
        """
        thresholds, slicing = self.choose(**options)
        if isinstance(frames, (str, PathLike)):
            return self._run_path(fspath(frames), thresholds, slicing)
        if isinstance(frames, (list, tuple)):
            return list(self._run(frames_of(frames, self.pixel_max), thresholds, slicing))
        if isinstance(frames, np.ndarray) and frames.ndim == 4:
            raise DataError(f"one picture is (H, W, 3); for a batch {frames.shape} pass list(batch)")
        if isinstance(frames, (Iterator, Set)) and not hasattr(frames, "read"):
            raise DataError(f"cannot predict on a {type(frames).__name__}: pass a list, list(pictures)")
        return self.complete([self.prepare(frame_of(frames, pixel_max=self.pixel_max), slicing)], thresholds)[0]

    def _run_path(self, path: str, thresholds: Thresholds, slicing: Slicing | None) -> Result | list[Result]:
        on_web = path.lower().startswith("http")  # only its server knows whether it is one picture
        with open_source(path, SourceOptions(pixel_max=self.pixel_max), connect=on_web) as source:
            web_video = isinstance(source, HttpStream) and not source.is_picture
            if source.live or web_video or isinstance(source, VideoFile):
                raise DataError(f"{source.name} is a video: use predictor.stream({source.name!r})")
            results = list(self._run(source, thresholds, slicing))
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
        **options: "Unpack[PredictOptions]",
    ) -> Iterator[Result]:
        """Results of a camera, stream, video or images, one by one; an open `Source` is left open for its owner.

        Another thread reads ahead. Of a live source each result is of the newest frame; files give every frame in
        order. Several sources at once: `pvt_edge.streams.run_streams`.

        Args:
            source: A camera's number or device, an address (rtsp://, http://, csi://, synthetic://), a file, a folder,
                a pattern, a list of paths, or an open `Source`.
            max_age: Milliseconds that a live frame is old at most when the model gets it; older ones are dropped.
            stall: Seconds without a frame after which a live source is opened again, for ever.
            track: Give boxes ids that stay with their objects.
            **options: As of a call.

        Returns:
            An iterator, which ends with the source; that of a camera does not end.

        Raises:
            DataError: For a source that cannot be opened; at once, not with the first result.
            ArgumentError: For keywords that do not exist, and arguments of the wrong kind.
            RuntimeInputError: For thresholds out of range, and options of another task.
            UnknownNameError: For classes that do not exist.
            RuntimeMissingError: For `track` without its packages.
        """
        from pvt_edge.streams import run_streams

        check_keywords("predictor.stream()", options, ("max_age", "stall", "track", *OPTIONS))
        check_number("predictor.stream()", stall=stall)
        check_number("predictor.stream()", optional=True, max_age=max_age)
        check_source("predictor.stream()", source)
        check_kind("predictor.stream()", "track", track, bool, "True or False")
        thresholds, slicing = self.choose(**options)
        opened = open_source(source, SourceOptions(stall_s=stall, pixel_max=self.pixel_max))
        owned = opened is not source
        with ExitStack() as refused:
            if owned:
                refused.callback(opened.close)
            results = run_streams(
                self, [opened], thresholds, slicing=slicing, max_age_ms=max_age, track=track, owned=owned
            )
            refused.pop_all()
        return results

    def choose(self, **options: "Unpack[PredictOptions]") -> tuple[Thresholds, Slicing | None]:
        """The thresholds and how pictures are sliced, the bundle's where nothing is given. Errors as for a call."""
        return choose_options(self.manifest, self.task, options)

    def choose_thresholds(self, **options: "Unpack[ThresholdOptions]") -> Thresholds:
        """The bundle's thresholds with those given in their place. Errors as for a call."""
        check_keywords("predictor", options, ThresholdOptions.__annotations__)
        return choose_options(self.manifest, self.task, cast(PredictOptions, options))[0]

    def _run(self, frames: Iterable[Frame], thresholds: Thresholds, slicing: Slicing | None) -> Iterator[Result]:
        size = 1 if slicing is not None else self._most  # tiles fill a batch of their own
        waiting = iter(frames)
        while group := list(islice(waiting, size)):
            yield from self.complete([self.prepare(frame, slicing) for frame in group], thresholds)

    def prepare(self, frame: Frame, slicing: Slicing | None = None) -> Prepared:
        """The frame as the model takes it. May run in another thread than `complete`."""
        started = perf_counter()
        image = to_bgr(frame.image, self.pixel_max)
        image_hw = (image.shape[0], image.shape[1])
        windows = [(0, 0, *image_hw[::-1])] if slicing is None else windows_of(image_hw, slicing)
        views = tuple(view_of(image, window, self.input_hw, self.manifest.resize) for window in windows)
        took_ms = (perf_counter() - started) * 1e3
        return Prepared(frame, image, views[0].placement, views[0].input, took_ms, views if len(views) > 1 else ())

    def complete(self, prepared: Sequence[Prepared], thresholds: Thresholds) -> list[Result]:
        """Results of frames; a batch of too few is filled up with the last one."""
        answers = self._infer([view for one in prepared for view in one.inputs])
        return [self._result(one, list(islice(answers, len(one.inputs))), thresholds) for one in prepared]

    def _infer(self, views: Sequence[NDArray[np.uint8]]) -> Iterator[Answer]:
        for start in range(0, len(views), self._most):
            inputs = [*views[start : start + self._most]]
            count = len(inputs)
            inputs += [inputs[-1]] * ((self.batch or count) - count)
            started = perf_counter()
            batch = np.stack(inputs) if len(inputs) > 1 else inputs[0][None]  # (B, H, W, 3)
            arrays = self.runtime.infer({self.manifest.input.name: batch})
            inferred_ms = (perf_counter() - started) * 1e3
            self._check(arrays)
            for row in range(count):
                yield {name: array[row] for name, array in arrays.items()}, inferred_ms / count

    def _result(self, one: Prepared, answers: Sequence[Answer], thresholds: Thresholds) -> Result:
        began = perf_counter()
        read = [
            self.task.read(outputs, placement, thresholds, self.manifest)
            for placement, (outputs, _) in zip(one.placements, answers, strict=True)
        ]
        found = read[0]
        if one.views:
            boxes = merge([view.window for view in one.views], [each["boxes"] for each in read], thresholds)
            found = {"boxes": boxes}
        speed = {
            "preprocess": one.preprocess_ms,
            "inference": sum(ms for _, ms in answers),
            "postprocess": (perf_counter() - began) * 1e3,
        }
        frame = one.frame
        info = FrameInfo(frame.id, frame.captured_at, frame.age_ms, page=frame.page, video_s=frame.video_s)
        return Result(one.image, self.names, path=frame.path, speed=speed, frame=info, **found)

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
