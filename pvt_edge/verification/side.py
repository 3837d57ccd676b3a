"""An artifact that answers: opened, given pictures, and its outputs brought to the pixels of the picture."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pvt_edge.errors import BundleError, DataError, RuntimeInputError, RuntimeMissingError
from pvt_edge.pictures.resizing import Placement, mask_as_resized
from pvt_edge.predictor import Predictor
from pvt_edge.runtimes import open_runtime
from pvt_edge.sources import Frame, ImageFiles, Source, VideoFile
from pvt_edge.tasks import get_task
from pvt_edge.verification.checks import APPROXIMATED, check_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pvt_edge.bundle import Bundle
    from pvt_edge.comparison.difference import Arrays
    from pvt_edge.predictor.frames import Prepared


class Side:
    """One artifact of a bundle, running; close its `predictor`."""

    def __init__(self, predictor: Predictor, precision: str) -> None:
        self.predictor = predictor
        self.bundle, self.runtime = predictor.bundle, predictor.runtime
        self.precision = self.runtime.precision
        self.name = f"{self.runtime.name} {precision}"

    @property
    def looseness(self) -> str:
        """What its tolerance goes by: the precision that it computes in, or that it makes moves."""
        artifact = self.bundle.artifact(self.runtime.name, self.precision)
        return APPROXIMATED if artifact.approximated else self.precision

    def answer(self, prepared: "Prepared") -> "Arrays":
        """What it gives for one picture, a batch axis of 1, boxes and masks in pixels of the picture itself. Raises
        `BundleError` for what is no answer of such a model, or not the same in all rows of a batch."""
        manifest = self.bundle.manifest
        fed = np.repeat(prepared.input[None], self.predictor.batch or 1, axis=0)
        batch = self.runtime.infer({manifest.input.name: fed})
        task = get_task(manifest.task)
        task.check(batch, manifest.labels)
        check_rows(batch, manifest.task, self.precision)
        return task.to_picture({name: array[:1] for name, array in batch.items()}, prepared.placement)


def in_input_pixels(arrays: "Arrays", placement: Placement) -> "Arrays":
    """The same with boxes and masks scaled as `placement` scales the picture, so that a pixel is one of the input."""
    if "mask" in arrays:
        return {**arrays, "mask": mask_as_resized(arrays["mask"][0], placement)[None]}
    if "boxes" not in arrays:
        return arrays
    return {**arrays, "boxes": arrays["boxes"] * np.array(placement.scale_xy * 2, np.float32)}


def open_side(bundle: "Bundle", runtime: str, precision: str, device: str = "auto", threads: int | None = None) -> Side:
    """The artifact, running. Raises `RuntimeMissingError` where it cannot run here, another `PvtEdgeError` where it is
    not in the bundle or broken."""
    artifact = bundle.artifact(runtime, precision)
    path, spec = bundle.path(artifact), bundle.spec(artifact)
    opened = open_runtime(runtime, path, precision=precision, device=device, threads=threads, spec=spec)
    try:
        return Side(Predictor(bundle, opened), precision)
    except BaseException:
        opened.close()
        raise


def open_reference(bundle: "Bundle", wanted: str | None, device: str = "auto", threads: int | None = None) -> Side:
    """The artifact that others are compared with: `wanted`, as "onnxruntime:fp32", else the first fp32 that runs here.

    Raises `BundleError` where there is none, `RuntimeMissingError` where none can run.
    """
    if wanted is not None:
        runtime, _, precision = wanted.partition(":")
        if not precision:
            raise RuntimeInputError(f"the reference {wanted!r} is no artifact: write RUNTIME:PRECISION, openvino:fp32")
        return open_side(bundle, runtime, precision, device, threads)
    able = [way for way in bundle.ways() if way.precision == "fp32" and way.artifact is not None]
    if not able:
        raise BundleError(
            f"{bundle.folder} has no fp32 artifact to compare with: name another with --reference RUNTIME:PRECISION, "
            "or give a bundle that has one with --against"
        )
    reasons = []
    for way in able:
        try:
            return open_side(bundle, way.runtime, "fp32", device, threads)
        except RuntimeMissingError as error:
            reasons.append(str(error))
    raise RuntimeMissingError(f"no fp32 artifact of {bundle.folder} can run here: {'; '.join(reasons)}")


def choose_artifacts(bundle: "Bundle", wanted: "Sequence[str]") -> list[tuple[str, str]]:
    """(runtime, precision) of what to verify: those `wanted`, "openvino:int8" or all "openvino", else all there is.

    OpenVINO's fp32 file is verified in bf16 too. Raises `BundleError` or `UnknownNameError` for what is not there.
    """
    ways = [way for way in bundle.ways() if way.artifact is not None and way.by_default]
    if not wanted:
        return [(way.runtime, way.precision) for way in ways if not way.borrowed]
    chosen: list[tuple[str, str]] = []
    for text in wanted:
        runtime, _, precision = text.partition(":")
        if precision:
            bundle.artifact(runtime, precision)  # says what there is instead
            chosen.append((runtime, precision))
            continue
        found = [(way.runtime, way.precision) for way in ways if way.runtime == runtime]
        if not found:
            bundle.artifact(runtime, "fp32")
        chosen += found or [(runtime, "fp32")]
    return list(dict.fromkeys(chosen))


def drawn_frames(source: Source, limit: int, seed: int) -> Iterator[Frame]:
    """At most `limit` frames, of files and videos drawn by `seed` where there are more, of cameras the first.

    What cannot be read is named in the source's `skipped`, and others are drawn in its place. Raises `DataError`
    where nothing could be read.
    """
    count = 0
    for frame in _drawn(source, limit, np.random.default_rng(seed)):
        yield frame
        count += 1
        if count == limit:
            return
    if not count:
        why = f": {source.skipped[-1]}" if source.skipped else ""
        raise DataError(f"no picture of {source.name} can be read{why}")


def shared_names(source: Source) -> frozenset[str]:
    """The file names that several of the source's pictures have, as in class folders: 1.jpg of each."""
    counts = Counter(path.name for path in source.paths) if isinstance(source, ImageFiles) else Counter[str]()
    return frozenset(name for name, count in counts.items() if count > 1)


def picture_name(frame: Frame, source: Source, shared: Collection[str] = ()) -> str:
    """The file's name and page, of `shared` names with its folder, or the number of a frame."""
    if isinstance(source, ImageFiles) and frame.path:
        path = Path(frame.path)
        name = f"{path.parent.name}/{path.name}" if path.name in shared else path.name
        return name + (f", page {frame.page}" if frame.page is not None else "")
    return f"frame {frame.id}"


def _drawn(source: Source, limit: int, rng: np.random.Generator) -> Iterator[Frame]:
    if isinstance(source, ImageFiles):
        few = len(source.paths) <= limit
        yield from source.drawn(range(len(source.paths)) if few else rng.permutation(len(source.paths)).tolist())
    elif isinstance(source, VideoFile) and (source.frame_count or 0) > limit:
        assert source.frame_count is not None
        picked = set(rng.choice(source.frame_count, limit, replace=False).tolist())
        last = max(picked)
        for frame in source:
            if frame.id in picked:
                yield replace(frame, path=None)  # all of a video's frames bear its path
            if frame.id == last:
                return
    else:
        yield from source
