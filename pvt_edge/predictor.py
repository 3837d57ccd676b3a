"""A bundle that runs: pictures in, results out."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from pvt_edge.bundle.schema import PostprocessSpec
from pvt_edge.choice import choose_artifact, choose_runtime
from pvt_edge.errors import BundleError, DataError
from pvt_edge.pixel_depth import PixelMax, check_pixel_max
from pvt_edge.postprocessing import Thresholds, choose_thresholds, select, softmax
from pvt_edge.resizing import Placement, apply, plan, to_bgr, to_original
from pvt_edge.results import Boxes, FrameInfo, Probs, Result
from pvt_edge.sources import Frame, Source, SourceOptions, VideoFile, open_source, read_image
from pvt_edge.sources.network import HttpStream

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self, Unpack

    from pvt_edge.bundle.reader import Bundle
    from pvt_edge.postprocessing import ThresholdOptions
    from pvt_edge.runtimes import Runtime


@dataclass(frozen=True, eq=False)
class Prepared:
    """A frame, its picture (h, w, 3) BGR, and the model's input (H, W, 3) uint8 with how the picture lies in it."""

    frame: Frame
    image: NDArray[np.uint8]
    placement: Placement
    input: NDArray[np.uint8]
    preprocess_ms: float


Pictures: TypeAlias = str | Path | Sequence[NDArray[np.generic] | str | Path]
OUTPUTS = {"detect": ("boxes", "scores", "labels"), "classify": ("logits",), "features": ()}
ENGINE_RUNTIMES = ("tensorrt", "tensorrt-rtx")
MAX_BATCH = 16  # of a dynamic batch, to bound memory


def refresh_engines(bundle: "Bundle", library: str) -> "Bundle":
    """The bundle with engines that fit this machine: built again, with a warning, where they do not."""
    from pvt_edge.runtimes.cuda import probe_cuda
    from pvt_edge.runtimes.passport import differences, here
    from pvt_edge.runtimes.tensorrt_library import load_library

    engines = [artifact for artifact in bundle.manifest.artifacts if artifact.runtime == library]
    machine = here(probe_cuda(), load_library(library))
    wrong = [text for engine in engines for text in differences(engine.passport or {}, machine)]
    if not wrong:
        return bundle
    from pvt_edge.export.tensorrt.bundle_build import build_bundle

    told = "; ".join(dict.fromkeys(wrong))
    warnings.warn(f"{bundle.folder}: engines are built again for this machine ({told})", stacklevel=3)
    return build_bundle(bundle.folder, library=library)


def load(
    bundle_path: str | Path,
    runtime: str = "auto",
    *,
    precision: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    rebuild: bool = False,
    pixel_max: "str | float | None" = None,
) -> "Predictor":
    """The predictor of the bundle in a folder.

    `runtime` "auto" is the first of tensorrt, tensorrt-rtx, openvino, onnxruntime and opencv that is installed, in the
    bundle and, for engines, has a GPU; `precision` "auto" what the bundle found to pay there. An engine that was built
    for another machine is built again from the bundle's graph, which takes minutes, where `rebuild` or `runtime` "auto"
    allows it. `pixel_max` is the value that is white in pictures of 16 bits, such as 4095, or "auto" to see it from
    each picture; by default the bundle's, 65535 where it has none. Raises `BundleError` for a bundle that is broken or
    lacks what is asked for, `RuntimeMissingError` when nothing here can run it, `UnknownNameError` for a name that does
    not exist.
    """
    from pvt_edge.bundle.reader import read_bundle
    from pvt_edge.runtimes import open_runtime

    check_pixel_max(pixel_max)
    bundle = read_bundle(Path(bundle_path))
    name = choose_runtime(bundle, runtime)
    if name in ENGINE_RUNTIMES and (rebuild or runtime == "auto"):
        bundle = refresh_engines(bundle, name)
    artifact, run_as = choose_artifact(bundle, name, precision)
    opened = open_runtime(name, bundle.path(artifact), precision=run_as, device=device, threads=threads)
    return Predictor(bundle, opened, pixel_max=pixel_max)


class Predictor:
    """Runs a bundle on pictures. Not thread-safe; close it, or use it as a context manager.

    >>> with load("out/b0") as predictor:
    ...     result = predictor(frame_bgr, conf=0.4)
    """

    def __init__(self, bundle: "Bundle", runtime: "Runtime", *, pixel_max: "str | float | None" = None) -> None:
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
        absent = [name for name in OUTPUTS[self.manifest.task] if name not in gives]
        if absent:
            raise BundleError(
                f"a {self.manifest.task} bundle needs the output {absent[0]}, the {runtime.name} artifact "
                f"gives {', '.join(gives)}; export again"
            )
        self.batch = None if takes.shape[0] == -1 else takes.shape[0]

    @overload
    def __call__(self, frames: NDArray[np.generic], **thresholds: "Unpack[ThresholdOptions]") -> Result: ...

    @overload
    def __call__(self, frames: "Pictures", **thresholds: "Unpack[ThresholdOptions]") -> list[Result]: ...

    def __call__(
        self, frames: "NDArray[np.generic] | Pictures", **thresholds: "Unpack[ThresholdOptions]"
    ) -> Result | list[Result]:
        """The result of one picture (H, W, 3) uint8 BGR, or the results of a list of pictures or paths.

        A path to an image, folder or pattern gives a list too. `conf`, `iou` (0 to 1), `max_det`, `classes`
        (ids or names) are the bundle's where None. A result keeps its picture: stream what is long.
        """
        chosen = self.choose_thresholds(**thresholds)
        if isinstance(frames, np.ndarray):
            if frames.ndim == 4:
                raise DataError(f"one picture is (H, W, 3); for a batch {frames.shape} pass list(batch)")
            return self.complete([self.prepare(Frame(to_bgr(frames, self.pixel_max)))], chosen)[0]
        if isinstance(frames, (str, Path)):
            with open_source(frames, SourceOptions(pixel_max=self.pixel_max), connect=False) as source:
                if isinstance(source, HttpStream):  # only its server knows whether it is one picture
                    source.connect()
                if source.live or isinstance(source, VideoFile):
                    raise DataError(f"{source.name} is a video: use predictor.stream({source.name!r})")
                return list(self._run(source, chosen, self.batch or MAX_BATCH))
        if not isinstance(frames, (list, tuple)):
            raise DataError(f"cannot predict on {type(frames).__name__}: pass an array (H, W, 3), a list or a path")
        return list(self._run(_as_frames(frames, self.pixel_max), chosen, self.batch or MAX_BATCH))

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
            found = self._read_row({name: array[row] for name, array in arrays.items()}, one.placement, thresholds)
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

    def _read_row(self, row: dict[str, NDArray[Any]], placement: Placement, thresholds: Thresholds) -> dict[str, Any]:
        """The fields of `Result` that one image's outputs fill."""
        if self.manifest.task == "classify":
            self._check_labels(len(row["logits"]))
            return {"probs": Probs(softmax(row["logits"]))}
        if self.manifest.task == "features":
            return {"features": {name: array.astype(np.float32) for name, array in row.items()}}
        found = select(
            to_original(row["boxes"], placement),
            row["scores"].astype(np.float32, copy=False),
            row["labels"],
            conf=thresholds.conf,
            iou=thresholds.iou,
            max_det=thresholds.max_det,
            classes=thresholds.classes,
        )
        self._check_labels(int(found.cls.max()) + 1 if len(found.cls) else 0)
        return {"boxes": Boxes(*found)}

    def _check_labels(self, classes: int) -> None:
        if classes > len(self.names):
            raise BundleError(f"the model knows {classes} classes and model.json names {len(self.names)}; export again")

    def close(self) -> None:
        """Free the model; a second call does nothing."""
        self.runtime.close()

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        self.close()


def _as_frames(items: Sequence[NDArray[np.generic] | str | Path], pixel_max: PixelMax) -> Iterator[Frame]:
    """Frames of arrays and image paths. Unlike in a source, each must be readable: the results align."""
    for number, item in enumerate(items):
        if isinstance(item, (str, Path)):
            yield Frame(read_image(item, pixel_max=pixel_max), number, path=str(item))
        else:
            yield Frame(to_bgr(item, pixel_max), number)
