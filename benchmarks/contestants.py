"""Opened rows: runtimes, the predictors over them, what is timed of them, and the turns they take."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import cycle
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pvt_edge.benchmarks.opening import Opening
from pvt_edge.benchmarks.pictures import Pictures
from pvt_edge.benchmarks.timing import Lanes, TakeTurn, take_turn
from pvt_edge.bundle import Bundle
from pvt_edge.machine.cpu import usable_cores
from pvt_edge.pictures.resizing import apply, plan
from pvt_edge.predictor import Predictor
from pvt_edge.runtimes import RUNTIMES
from pvt_edge.runtimes.openvino import openvino_core
from pvt_edge.runtimes.session import Session
from pvt_edge.sources import Frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pvt_edge.bundle import Manifest
    from pvt_edge.runtimes import Runtime

LAYER_RUNS = 10  # by the plugin's counters
GPU_CALLERS = 2  # of an engine: one copies while the other computes


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


def layer_group_ms(opening: Opening, picture: "NDArray[np.uint8]", *, bf16: bool) -> dict[str, float]:
    """Milliseconds by group, the costliest first, for one picture (1, H, W, 3).

    By the plugin's own counters, which cost time of their own: compare, do not add up.
    """
    from pvt_edge.export.precision.trial import Trial, group_ms

    model = openvino_core().read_model(opening.path)
    trial = Trial(model, bf16=bf16, counters=True, threads=opening.threads)
    return {group: round(ms, 3) for group, ms in group_ms(trial.layer_ms(picture, LAYER_RUNS))[0].items()}


@dataclass(frozen=True)
class Contestant:
    """A row's two turns, and what its runtime says of itself."""

    infer: TakeTurn
    end_to_end: TakeTurn
    device: str
    threads: int | None  # of each caller
    callers: int
    predictor: Predictor  # of the first caller
    float_precision: str  # of what is float in it


def open_contestant(opening: Opening, bundle: Bundle, pictures: Pictures, stack: ExitStack) -> Contestant:
    """The row, opened; what it holds is closed with `stack`. Raises a `PvtEdgeError`."""
    runtimes, threads = _open_callers(opening, stack)
    batch = opening.shape[0]
    predictors = [Predictor(bundle, runtime) for runtime in runtimes]
    infer = [inference_call(predictor, pictures.encoded, batch) for predictor in predictors]
    whole = [end_to_end_call(predictor, pictures.encoded, batch) for predictor in predictors]
    for call in (*infer, *whole):  # what cannot run at all fails here, before the rounds
        call()
    first = runtimes[0]
    if opening.hint == "latency":
        turns: tuple[TakeTurn, TakeTurn] = (lambda s: take_turn(infer[0], s), lambda s: take_turn(whole[0], s))
    else:
        lanes = stack.enter_context(Lanes(infer)), stack.enter_context(Lanes(whole))
        turns = lanes[0].take_turn, lanes[1].take_turn
    return Contestant(*turns, first.device, threads, len(runtimes), predictors[0], first.float_precision)


def _open_callers(opening: Opening, stack: ExitStack) -> tuple[list[Session], int | None]:
    """One runtime for latency, and for throughput one for every caller; with the threads of each."""
    if opening.hint == "latency":
        return [stack.enter_context(opening.open())], opening.threads
    if RUNTIMES[opening.package_of].schedules:
        first = stack.enter_context(opening.open())
        return [first, *(stack.enter_context(first.again()) for _ in range(first.callers - 1))], opening.threads
    if opening.on_gpu:
        count, threads = opening.streams or GPU_CALLERS, opening.threads
    else:
        cores = opening.threads or usable_cores()
        count = opening.streams or cores
        threads = max(1, cores // count)
    each = replace(opening, threads=threads)
    return [stack.enter_context(each.open()) for _ in range(count)], threads
