"""`--against`: whether the ratios between rows are those of a recorded run. Absolute times are never compared.

On another day or machine all rows may be slower together; what must hold is how they compare to each other. The rows
whose ratios to each other all stayed within the limit are taken as unmoved, as many as can be; what lies outside has
moved, by its change against their geometric mean.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, inf, log
from pathlib import Path

from pydantic import ValidationError

from pvt_edge.benchmarks.record import SCHEMA, SCHEMA_VERSION, Benchmark, Hint, Row
from pvt_edge.errors import DataError

LEAST_ROWS = 2


@dataclass(frozen=True)
class Move:
    """A row whose ratio is not the recorded one: `change` above 1 is slower than it was, against the others."""

    row: str
    text: str
    change: float


@dataclass(frozen=True)
class Comparison:
    """Truthy where nothing moved."""

    moves: tuple[Move, ...]
    compared: tuple[str, ...]
    notes: tuple[str, ...]  # rows on one side only, another machine
    failed: tuple[str, ...]  # recorded rows that failed in this run

    def __bool__(self) -> bool:
        return not self.moves and not self.failed

    def lines(self, max_ratio: float) -> list[str]:
        """The verdict for people, a line each."""
        lines = [f"moved: {move.text}" for move in self.moves]
        lines += [f"failed: {name}, which the baseline has figures of" for name in self.failed]
        verdict = "as recorded" if self else f"NOT as recorded: {len(self.moves) + len(self.failed)} moved or failed"
        return [f"ratios of {len(self.compared)} rows, within {max_ratio:g}x: {verdict}", *lines, *self.notes]


def read_baseline(path: Path) -> Benchmark:
    """The recorded run in a benchmark.json. Raises `DataError` for anything else."""
    mend = "give the benchmark.json of an earlier pvt-edge benchmark"
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"cannot read the baseline {path}: {error.strerror or error}: {mend}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"the baseline {path} is not JSON ({error}): {mend}") from error
    if not isinstance(data, dict) or data.get("schema_name") != SCHEMA:
        raise DataError(f"{path} is no benchmark: {mend}")
    version = data.get("schema_version")
    if version != SCHEMA_VERSION:
        raise DataError(
            f"the baseline {path} has schema {version}, this pvt-edge reads {SCHEMA_VERSION}: record it again"
        )
    try:
        found = Benchmark.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(
            f"the baseline {path} is wrong: {'.'.join(map(str, first['loc']))}: {first['msg']}: {mend}"
        ) from error
    for row in found.measured:
        if not all(0 < figure < inf for figure in _figures(row)):
            raise DataError(f"the baseline {path} is wrong: {row.name} has no times to compare with: {mend}")
    return found


def _figures(row: Row) -> tuple[float, ...]:
    """What a measured row is compared by."""
    if row.inference is None or row.end_to_end is None:
        return (0.0,)
    return row.inference.p50, row.inference.images_per_second, row.end_to_end.times.p50


def compare(now: Benchmark, then: Benchmark, max_ratio: float) -> Comparison:
    """What moved between the recorded run `then` and `now` by more than a factor of `max_ratio` (above 1).

    Rows are compared with each other by the median of inference (in throughput mode by images per second), and each
    with itself by end-to-end over inference. Raises `DataError` where the two are not of one kind.
    """
    model = now.model
    check_comparable(then, model.variant, model.task, (model.height, model.width), now.settings.hint)
    fresh, old = {row.name: row for row in now.measured}, {row.name: row for row in then.measured}
    common = [name for name in old if name in fresh]
    if len(common) < LEAST_ROWS:
        have = f"this run has {', '.join(fresh) or 'none'}, the baseline {', '.join(old) or 'none'}"
        raise DataError(f"ratios need at least {LEAST_ROWS} rows that both runs have: {have}")
    moves = [
        *_moved_rows({n: _cost(fresh[n]) for n in common}, {n: _cost(old[n]) for n in common}, max_ratio),
        *_moved_wholes({n: _whole(fresh[n]) for n in common}, {n: _whole(old[n]) for n in common}, max_ratio),
    ]
    failed = {row.name for row in now.rows if row.status == "failed"}
    return Comparison(
        moves=tuple(moves),
        compared=tuple(common),
        notes=tuple(_notes(now, then, fresh, old, failed)),
        failed=tuple(name for name in old if name in failed),
    )


def check_comparable(then: Benchmark, variant: str, task: str, imgsz: tuple[int, int], hint: Hint) -> None:
    """Raise `DataError` where a run of this model, size and mode is none that the recorded one can be compared with."""
    for what, mine, its in (
        ("variant", variant, then.model.variant),
        ("task", task, then.model.task),
        ("input", f"{imgsz[0]}x{imgsz[1]}", f"{then.model.height}x{then.model.width}"),
        ("hint", hint, then.settings.hint),
    ):
        if mine != its:
            raise DataError(f"the baseline is of another {what}: {its}, this run of {mine}; record one like this run")


def _moved_rows(now: Mapping[str, float], then: Mapping[str, float], max_ratio: float) -> list[Move]:
    changes = {name: now[name] / then[name] for name in now}
    still = unmoved(changes, max_ratio)
    anchor_now, anchor_then = (_geometric_mean([costs[name] for name in still]) for costs in (now, then))
    to = still[0] if len(still) == 1 else f"the mean of {', '.join(still)}"
    moves = []
    for name in sorted((name for name in changes if name not in still), key=lambda name: -abs(log(changes[name]))):
        before, after = then[name] / anchor_then, now[name] / anchor_now
        change = after / before
        text = f"{name}: {before:.2f} of {to} when recorded, {after:.2f} now ({_words(change)})"
        moves.append(Move(name, text, change))
    return moves


def unmoved(changes: Mapping[str, float], max_ratio: float) -> list[str]:
    """The most names whose changes lie within a factor of `max_ratio` of each other, in their given order.

    Of equally many the faster take the place: a row that became slower is the likelier culprit.

    >>> unmoved({"a": 1.0, "b": 1.1, "c": 1.6}, 1.15)
    ['a', 'b']
    """
    ordered = sorted(changes, key=lambda name: changes[name])
    best: list[str] = []
    for i, first in enumerate(ordered):
        group = [name for name in ordered[i:] if changes[name] <= changes[first] * max_ratio * (1 + 1e-9)]
        if len(group) > len(best):
            best = group
    return [name for name in changes if name in best]


def _moved_wholes(now: Mapping[str, float], then: Mapping[str, float], max_ratio: float) -> list[Move]:
    moves = []
    for name in now:
        change = now[name] / then[name]
        if max(change, 1 / change) > max_ratio:
            before, after = f"{then[name]:.2f}", f"{now[name]:.2f}"
            text = f"{name}: end-to-end {before} of inference when recorded, {after} now ({_words(change)})"
            moves.append(Move(name, text, change))
    return moves


def _notes(
    now: Benchmark, then: Benchmark, fresh: Mapping[str, Row], old: Mapping[str, Row], failed: "set[str]"
) -> list[str]:
    notes = []
    gone = [name for name in old if name not in fresh and name not in failed]
    new = [name for name in fresh if name not in old]
    if gone:
        notes.append(f"only in the baseline: {', '.join(gone)}")
    if new:
        notes.append(f"only in this run: {', '.join(new)}")
    if (now.machine.cpu, now.machine.gpu, now.machine.cores) != (
        then.machine.cpu,
        then.machine.gpu,
        then.machine.cores,
    ):
        notes.append(
            f"the baseline is of another machine ({then.machine.cpu}, {then.machine.cores} cores; this is "
            f"{now.machine.cpu}, {now.machine.cores} cores): ratios may rightly differ"
        )
    if now.settings.threads != then.settings.threads:
        notes.append(f"the baseline had --threads {then.settings.threads}, this run {now.settings.threads}")
    for name, run in (("this run", now), ("the baseline", then)):
        if run.noise.busy:
            notes.append(f"{name} was measured on a busy machine: {'; '.join(run.noise.busy)}")
    return notes


def _cost(row: Row) -> float:
    """What the row is compared by: median ms of a call, or with many callers ms an image."""
    assert row.inference is not None
    return row.inference.p50 if row.callers == 1 else 1e3 / row.inference.images_per_second


def _whole(row: Row) -> float:
    """End-to-end over inference alone."""
    assert row.inference is not None and row.end_to_end is not None
    return row.end_to_end.times.p50 / row.inference.p50


def _geometric_mean(values: Sequence[float]) -> float:
    return exp(sum(map(log, values)) / len(values))


def _words(change: float) -> str:
    return f"{change:.2f}x slower" if change > 1 else f"{1 / change:.2f}x faster"
