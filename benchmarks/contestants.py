"""Opened rows: runtimes, the predictors over them, and the turns they take."""

from contextlib import ExitStack
from dataclasses import dataclass, replace

from pvt_edge.benchmarks.calls import end_to_end_call, inference_call
from pvt_edge.benchmarks.lanes import Lanes
from pvt_edge.benchmarks.opening import Opening
from pvt_edge.benchmarks.pictures import Pictures
from pvt_edge.benchmarks.rounds import TakeTurn
from pvt_edge.benchmarks.timing import take_turn
from pvt_edge.bundle import Bundle
from pvt_edge.machine.cpu import usable_cores
from pvt_edge.predictor import Predictor
from pvt_edge.runtimes import RUNTIMES
from pvt_edge.runtimes.session import Session

GPU_CALLERS = 2  # of an engine: one copies while the other computes


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
