"""What is timed: the inference of one batch, and the whole way from JPEG bytes to results."""

from collections.abc import Callable, Sequence
from itertools import cycle
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pvt_edge.pictures.resizing import apply, plan
from pvt_edge.predictor import Predictor
from pvt_edge.sources import Frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pvt_edge.bundle import Manifest
    from pvt_edge.runtimes import Runtime


class Stages(NamedTuple):
    """Milliseconds of one end-to-end call, by stage."""

    decode: float
    preprocess: float
    inference: float
    postprocess: float


def inference_call(predictor: Predictor, encoded: Sequence[bytes], batch: int) -> Callable[[], None]:
    """Runs the model on a batch of the pictures, prepared beforehand."""
    frames = [Frame(decode(data)) for data in encoded[:batch]]
    inputs = [predictor.prepare(frame).input for frame in frames]
    feeds = {predictor.manifest.input.name: np.stack([inputs[i % len(inputs)] for i in range(batch)])}
    runtime: Runtime = predictor.runtime

    def call() -> None:
        runtime.infer(feeds)

    return call


def end_to_end_call(predictor: Predictor, encoded: Sequence[bytes], batch: int) -> Callable[[], Stages]:
    """Decodes the next `batch` pictures, prepares them, runs the model and reads its answers."""
    waiting = cycle(encoded)
    thresholds = predictor.choose_thresholds()

    def call() -> Stages:
        began = perf_counter()
        images = [decode(next(waiting)) for _ in range(batch)]
        decoded = perf_counter()
        prepared = [predictor.prepare(Frame(image)) for image in images]
        ready = perf_counter()
        results = predictor.complete(prepared, thresholds)
        ended = perf_counter()
        inference = sum(result.speed["inference"] for result in results)
        return Stages(
            (decoded - began) * 1e3,
            (ready - decoded) * 1e3,
            inference,
            (ended - ready) * 1e3 - inference,
        )

    return call


def decode(data: bytes) -> "NDArray[np.uint8]":
    """The picture (H, W, 3) uint8 BGR."""
    import cv2

    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def prepare(data: bytes, manifest: "Manifest") -> "NDArray[np.uint8]":
    """The picture as the model takes it, (1, H, W, 3) uint8."""
    image = decode(data)
    placement = plan((image.shape[0], image.shape[1]), (manifest.input.height, manifest.input.width), manifest.resize)
    return apply(image, placement, manifest.resize)[None]
