"""Which placement of INT8 to keep: inside the accuracy budget, and the fastest on this machine, by measurement."""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from pvt_edge.bundle.schema import Precision
from pvt_edge.export.precision.judge import Judge
from pvt_edge.export.precision.layers import Ranges, find_blocks
from pvt_edge.export.precision.placement import place
from pvt_edge.export.precision.recipes import RECIPES, moves
from pvt_edge.export.precision.record import BlockSensitivity, Candidate, Latency, LayerGroup, SearchRecord
from pvt_edge.export.precision.sensitivity import PICTURES, measure_blocks, raise_blocks
from pvt_edge.export.precision.trial import Trial, block_ms, has_bf16, layer_groups, measure
from pvt_edge.export.precision.verdict import EXACT, FLOAT, p50, pays, verdict
from pvt_edge.machine.cpu import read_cpu

if TYPE_CHECKING:
    import numpy as np
    import openvino
    from numpy.typing import NDArray

    from pvt_edge.comparison.difference import Arrays
    from pvt_edge.options.export import Tune

Placement = Literal["searched", "given", "recorded", "none"]
OnStep = Callable[[str], None]  # what is being tried now

TIMING_SECONDS = 3.0  # a candidate; fp32 and bf16 count as two
RECIPE_SECONDS = 1.5  # a recipe, to see where to start from
QUICK_SECONDS = 1.5  # a candidate, where only the recorded placement is timed
MOVE_SECONDS = 1.2  # a move, half of it for what it is compared with
WORTH_MOVING = 0.995  # of the time before


class SearchInterruptedError(KeyboardInterrupt):
    """Ctrl-C during a search; `record` holds what was measured till then."""

    def __init__(self, record: SearchRecord) -> None:
        super().__init__("the search was interrupted")
        self.record = record


@dataclass
class Search:
    """The search over placements of one float model, and what it has measured so far."""

    model: "openvino.Model"
    ranges: Ranges
    judge: Judge
    variant: str
    max_drop: float | None  # None: accuracy is stated, not gated
    on_step: OnStep
    placement: Placement = "searched"
    exact: "openvino.Model | None" = None  # what fp32 and bf16 are, where `model` approximates it
    approx: bool = False  # whether `model` is a candidate in float, too
    candidates: dict[str, Candidate] = field(default_factory=dict)
    trials: dict[str, Trial] = field(default_factory=dict)  # of the candidates: each is compiled once
    outputs: "dict[str, tuple[Arrays, ...]]" = field(default_factory=dict)  # on the judge's pictures, see `run`
    placements: dict[str, frozenset[str]] = field(default_factory=dict)
    sensitivities: list[BlockSensitivity] = field(default_factory=list)
    groups: tuple[LayerGroup, ...] = ()
    threads: int = 0

    def __post_init__(self) -> None:
        self.started = time.perf_counter()
        self.blocks = find_blocks(self.model)
        self.bf16 = has_bf16()

    def run(self, given: Collection[str] | None = None, tune: "Tune" = "full") -> SearchRecord:
        """Measure, choose, and say so.

        With `given` blocks only their placement is tried, as it is; of no blocks, floats alone. "quick" tries no block
        alone; "off" times nothing either: `given` is judged and kept if the budget holds. `outputs` has those of fp32
        and approx afterwards, and of int8 where one placement was tried. Raises `SearchInterruptedError` on Ctrl-C.
        """
        full, timed = tune == "full", tune != "off"
        try:
            self._judge_float()
            if full:
                self._measure_blocks(RECIPES[-1].blocks(self.blocks))
            if given is not None:
                self._judge_placement(f"int8 {self.placement}", f"the placement {self.placement}", frozenset(given))
            else:
                for recipe in RECIPES:
                    self._judge_placement(recipe.name, recipe.words, recipe.blocks(self.blocks))
                self._climb()
                self._hold_budget()
            if timed:
                self._time(TIMING_SECONDS if full else QUICK_SECONDS)
            self._choose(timed)
            self.trials.clear()  # compiled models are as large as their weights
            if full and self.chosen:
                self._count_layers(self.placements[self.chosen])
        except KeyboardInterrupt:
            raise SearchInterruptedError(
                self.record("the search was interrupted", kept=False, tuned=full, interrupted=True)
            ) from None
        text = verdict(
            self.candidates,
            None if self.placement == "none" else self.placements,
            metric=self.judge.metric,
            max_drop=self.max_drop,
            threads=self.threads,
        )
        return self.record(text, kept=self.chosen is not None, tuned=full)

    @property
    def floating(self) -> "openvino.Model":
        """What fp32 and bf16 run: the exact model."""
        return self.model if self.exact is None else self.exact

    @property
    def chosen(self) -> str | None:
        """The INT8 candidate to write, None where none is worth it."""
        return next((c.name for c in self.candidates.values() if c.chosen and c.name not in FLOAT), None)

    @property
    def fastest_placement(self) -> str | None:
        """The INT8 candidate that holds the budget and is the fastest of them, were floats faster; None without one."""
        within = [c for name, c in self.candidates.items() if name in self.placements and c.within_budget]
        return min(within, key=p50).name if within else None

    @property
    def approx_pays(self) -> bool:
        """Whether the approximated model in float holds the budget and, where it was timed, is faster than exact."""
        return pays(self.candidates)

    @property
    def preferred(self) -> tuple[Precision, ...]:
        """The precisions that hold the budget, the fastest first; int8, approx, bf16, fp32 where nothing was timed."""
        names: dict[str | None, Precision] = {self.chosen: "int8", "approx": "approx", "bf16": "bf16", "fp32": "fp32"}
        there = [(self.candidates[name], kind) for name, kind in names.items() if name in self.candidates]
        within = [(candidate, kind) for candidate, kind in there if candidate.within_budget]
        return tuple(kind for _, kind in sorted(within, key=lambda pair: p50(pair[0])))

    def record(self, verdict: str, *, kept: bool, tuned: bool = True, interrupted: bool = False) -> SearchRecord:
        """What was measured so far, as data."""
        return SearchRecord(
            variant=self.variant,
            task=self.judge.task,
            runtime="openvino",
            machine=read_cpu().name,
            threads=self.threads,
            metric=self.judge.metric,
            max_drop=self.max_drop,
            placement=self.placement,
            tuned=tuned,
            candidates=tuple(self.candidates.values()),
            sensitivities=tuple(sorted(self.sensitivities, key=lambda s: -s.drop)),
            sensitivity_pictures=min(PICTURES, len(self.judge.inputs)),
            layer_groups=self.groups,
            verdict=verdict,
            kept=kept,
            interrupted=interrupted,
            seconds=round(time.perf_counter() - self.started, 1),
        )

    def placed(self, blocks: Collection[str]) -> "openvino.Model":
        """The model with `blocks` in INT8."""
        return place(self.model, blocks, self.ranges)

    def _judge_float(self) -> None:
        self.on_step("fp32 and bf16 on the pictures INT8 is judged by")
        self.trials["fp32"] = Trial(self.floating, bf16=False)
        self.threads = self.trials["fp32"].threads
        reference = self.outputs["fp32"] = self._run("fp32")
        self.judge = replace(self.judge, reference=reference)
        self.base = self.judge.value(reference)
        self._add("fp32", "the model in float32", frozenset(), reference, gated=False)
        if self.bf16:
            self.trials["bf16"] = Trial(self.floating, bf16=True)
            self._add("bf16", "the same file, run in bfloat16", frozenset(), self._run("bf16"))
        if self.approx:
            self.trials["approx"] = Trial(self.model, bf16=self.bf16)
            self.outputs["approx"] = self._run("approx")
            words = f"the moves in {'bfloat16' if self.bf16 else 'float32'}"
            self._add("approx", words, frozenset(), self.outputs["approx"])

    def _run(self, name: str) -> "tuple[Arrays, ...]":
        return tuple(self.trials[name].run(picture) for picture in self.judge.inputs)

    def _judge_placement(self, name: str, words: str, blocks: frozenset[str]) -> bool:
        """Judge a placement unless it was already; whether the budget holds."""
        same = next((known for known, placed in self.placements.items() if placed == blocks), None)
        if same is None and blocks:
            self.on_step(f"{name}: {len(blocks)} of {len(self.blocks)} blocks in INT8")
            self.trials[name] = Trial(self.placed(blocks), bf16=self.bf16)
            self.placements[name] = blocks
            outputs = self._run(name)
            if self.placement != "searched":
                self.outputs["int8"] = outputs
            self._add(name, words, blocks, outputs)
            same = name
        return same is not None and self.candidates[same].within_budget

    def _add(self, name: str, words: str, blocks: frozenset[str], outputs: Sequence, gated: bool = True) -> None:  # type: ignore[type-arg]
        value, details = self.judge.judge(outputs)
        drop = self.base - value
        within = not gated or self.max_drop is None or drop <= self.max_drop
        self.candidates[name] = Candidate(
            name=name,
            words=words,
            int8_blocks=len(blocks),
            float_blocks=len(self.blocks) - len(blocks),
            value=round(value, 5),
            drop=round(drop, 5),
            details={key: round(number, 5) for key, number in details.items()},
            within_budget=within,
        )

    def _measure_blocks(self, everything: frozenset[str]) -> None:
        """Each block alone in INT8: what it loses; and what it saves, by the counters, with all in INT8."""
        picture = self.judge.inputs[0]
        floating = Trial(self.model, bf16=self.bf16, counters=True).layer_ms(picture)
        quantised = Trial(self.placed(everything), bf16=self.bf16, counters=True).layer_ms(picture)
        before, after = block_ms(floating), block_ms(quantised)
        for row in measure_blocks(self.blocks, self.judge, self._alone, self.on_step):
            # a layer that is the model's output goes by another name
            timed = row.block in before and row.block in after
            saved = round(before[row.block] - after[row.block], 4) if timed else None
            self.sensitivities.append(row.model_copy(update={"ms_saved": saved}))

    def _alone(self, blocks: Collection[str], pictures: "Sequence[NDArray[np.uint8]]") -> "list[Arrays]":
        """What the model gives with few blocks in INT8; bfloat16's own error would drown that of one."""
        trial = Trial(self.placed(blocks), bf16=False)
        return [trial.run(picture) for picture in pictures]

    def _climb(self) -> None:
        """One more candidate: the fastest so far, with sets of blocks moved to float or to INT8 where that is faster.

        Counters cannot tell: what a block costs depends on the precision of its neighbours.
        """
        trials = {name: self.trials[name] for name in self.placements}
        if not trials:
            return
        self.on_step(f"timing {len(trials)} placements in turns")
        latencies = self._latencies(trials, RECIPE_SECONDS * len(trials))
        start = min(latencies, key=lambda name: latencies[name].p50)
        best, trial = self.placements[start], trials[start]
        sets = moves(self.blocks)
        for number, blocks in enumerate(sets, 1):
            other = best - blocks if blocks <= best else best | blocks
            if not other:
                continue
            self.on_step(
                f"move {number} of {len(sets)}: {len(blocks)} blocks {'to float' if other < best else 'to INT8'}"
            )
            rival = Trial(self.placed(other), bf16=self.bf16)
            found = self._latencies({"best": trial, "rival": rival}, MOVE_SECONDS)
            if found["rival"].p50 < found["best"].p50 * WORTH_MOVING:
                best, trial = other, rival
        self._judge_placement("int8 tuned", f"{start} with blocks moved where the clock says so", best)

    def _latencies(self, trials: dict[str, Trial], seconds: float) -> dict[str, Latency]:
        return measure({name: partial(trial.run, self.judge.inputs[0]) for name, trial in trials.items()}, seconds)

    def _hold_budget(self) -> None:
        """For placements beyond the budget: raise blocks to float, the most sensitive first, till it holds."""
        for name, blocks in list(self.placements.items()):
            if not self.candidates[name].within_budget:
                raise_blocks(blocks, self.sensitivities, partial(self._judge_raised, name))

    def _judge_raised(self, name: str, count: int, rest: frozenset[str]) -> bool:
        return self._judge_placement(f"{name} -{count}", f"{name} with {count} blocks raised to float", rest)

    def _time(self, seconds: float) -> None:
        worth = {name for name, candidate in self.candidates.items() if candidate.within_budget}
        trials = {name: trial for name, trial in self.trials.items() if name in (*EXACT, *worth)}
        self.on_step(f"timing {len(trials)} candidates in turns")
        for name, latency in self._latencies(trials, seconds * len(trials)).items():
            self.candidates[name] = self.candidates[name].model_copy(update={"latency": latency})

    def _count_layers(self, blocks: frozenset[str]) -> None:
        """Where the time goes, in float and as chosen."""
        picture = self.judge.inputs[0]
        models = (self.model, self.placed(blocks))
        floating, chosen = (Trial(m, bf16=self.bf16, counters=True).layer_ms(picture) for m in models)
        self.groups = layer_groups(floating, chosen)

    def _choose(self, timed: bool) -> None:
        best = self.candidates.get(self.fastest_placement or "")
        floats = [c for c in self.candidates.values() if c.name in FLOAT and c.latency and c.within_budget]
        slower = timed and any(p50(c) <= p50(best) for c in floats) if best else True
        if best and (self.placement == "given" or not slower):  # a plan is taken at its word, "auto" is not
            self.candidates[best.name] = best.model_copy(update={"chosen": True})
        elif floats:
            fastest = self.preferred[0]  # of two as fast, the one that "auto" takes
            self.candidates[fastest] = self.candidates[fastest].model_copy(update={"chosen": True})
