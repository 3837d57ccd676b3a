"""The search: what it measures, what it keeps and why, on a small network whose answers are judged by distance."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from pvt_edge.export.precision import search as search_module
from pvt_edge.export.precision import sensitivity as sensitivity_module
from pvt_edge.export.precision.judge import AgreementJudge
from pvt_edge.export.precision.layers import find_blocks
from pvt_edge.export.precision.placement import place
from pvt_edge.export.precision.recipes import RECIPES, RECORDED, moves
from pvt_edge.export.precision.record import Latency, SearchRecord
from pvt_edge.export.precision.search import Search, SearchInterruptedError
from pvt_edge.export.precision.trial import Trial, has_bf16

from .network import BLOCK, BLOCKS

FLOATS = {"fp32", "bf16"} if has_bf16() else {"fp32"}
DISTINCT = ["int8 mlp", "int8 late", "int8 linear", "int8 all"]  # here "int8 mlp+sr" is what "int8 mlp" is
MLP = [f"{BLOCK}.mlp.{name}" for name in ("fc1", "dwconv", "fc2")]
VERDICT = r"int8 \d+\.\d ms, (bf16 \d+\.\d ms, )?fp32 \d+\.\d ms \(p50, \d+ threads\): "


@dataclass(frozen=True)
class DistanceJudge(AgreementJudge):
    """1.0 less how far the outputs lie from fp32's, so that every rounding shows."""

    def value(self, outputs) -> float:
        pairs = [(got["logits"], want["logits"]) for got, want in zip(outputs, self.reference, strict=True)]
        return 1 - float(np.mean([np.abs(got - want).mean() / np.abs(want).mean() for got, want in pairs]))


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Timed for a moment only: no test reads how fast anything was."""
    for name, seconds in (("TIMING_SECONDS", 0.2), ("RECIPE_SECONDS", 0.01), ("MOVE_SECONDS", 0.005)):
        monkeypatch.setattr(search_module, name, seconds)
    for module in (search_module, sensitivity_module):
        monkeypatch.setattr(module, "PICTURES", 2)
    monkeypatch.setattr(search_module, "moves", lambda known: moves(known)[-2:])


@pytest.fixture
def every_move(short, monkeypatch):
    """For the tests that are about them."""
    monkeypatch.setattr(search_module, "moves", moves)


@pytest.fixture
def timed(monkeypatch):
    """Sets the latencies that the search measures, by name; others take 10 ms."""

    def fix(latencies: dict[str, float], otherwise: Callable[[str], float] = lambda name: 10.0) -> None:
        def told(runs, seconds):
            assert seconds > 0
            times = {name: latencies.get(name, otherwise(name)) for name in runs}
            return {name: Latency(p50=ms, p90=ms, p99=ms, inferences=9) for name, ms in times.items()}

        monkeypatch.setattr(search_module, "measure", told)

    return fix


@pytest.fixture
def start(small, small_ranges, scenes):
    """A search on the small network, and the steps it tells."""

    def begin(max_drop: float | None = None, placement="searched", on_step=None) -> tuple[Search, list[str]]:
        judge = DistanceJudge(tuple(scenes), "classify", None, "three scenes")
        steps: list[str] = []
        told = on_step or steps.append
        return Search(small, small_ranges, judge, "b0", max_drop, told, placement), steps

    return begin


@pytest.fixture(scope="module")
def fp32(small, scenes):
    return tuple(Trial(small, bf16=False).run(picture) for picture in scenes)


def drops(model, fp32, pictures, bf16: bool) -> float:
    """What a model loses against fp32, judged by hand."""
    trial = Trial(model, bf16=bf16)
    judge = DistanceJudge(tuple(pictures), "classify", None, "", fp32[: len(pictures)])
    return 1 - judge.value([trial.run(picture) for picture in pictures])


def by_name(record: SearchRecord) -> dict:
    return {candidate.name: candidate for candidate in record.candidates}


@pytest.fixture(scope="module")
def measured(small, small_ranges, scenes):
    """One search with its clock, whole."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("TIMING_SECONDS", 0.2), ("RECIPE_SECONDS", 0.05), ("MOVE_SECONDS", 0.02)):
            patch.setattr(search_module, name, value)
        for module in (search_module, sensitivity_module):
            patch.setattr(module, "PICTURES", 2)
        judge, steps = DistanceJudge(tuple(scenes), "classify", None, "three scenes"), []
        search = Search(small, small_ranges, judge, "b0", None, steps.append)
        return search, search.run(), steps


def test_what_is_measured(measured):
    _, record, steps = measured
    candidates = by_name(record)
    assert set(candidates) - {"int8 tuned"} == FLOATS | set(DISTINCT)
    assert all(candidate.latency.inferences > 0 for candidate in record.candidates)
    assert len({candidate.latency.inferences for candidate in record.candidates}) == 1
    assert all(candidate.within_budget for candidate in record.candidates)
    assert (candidates["fp32"].value, candidates["fp32"].drop) == (1.0, 0.0)
    assert (record.variant, record.task, record.runtime, record.placement) == ("b0", "classify", "openvino", "searched")
    assert (record.tuned, record.interrupted, record.max_drop) == (True, False, None)
    assert record.threads >= 1
    assert record.metric.data == "three scenes"
    assert record.sensitivity_pictures == 2
    assert SearchRecord.model_validate_json(record.model_dump_json()) == record
    assert sum("alone in INT8" in step for step in steps) == len(BLOCKS)
    assert any(step.startswith("move 1 of ") for step in steps)


def test_blocks_are_counted(measured):
    _, record, _ = measured
    for recipe in RECIPES:
        if recipe.name in DISTINCT:
            count = len(recipe.blocks(BLOCKS))
            candidate = by_name(record)[recipe.name]
            assert (candidate.int8_blocks, candidate.float_blocks) == (count, len(BLOCKS) - count)
            assert candidate.words == recipe.words
    assert by_name(record)["int8 all"].int8_blocks == len(BLOCKS)
    assert by_name(record)["fp32"].int8_blocks == 0


def test_drops_are_what_placements_lose(measured, small, small_ranges, scenes, fp32):
    search, record, _ = measured
    for name in ("int8 mlp", "int8 all"):
        lost = drops(place(small, search.placements[name], small_ranges), fp32, scenes, has_bf16())
        assert by_name(record)[name].drop == pytest.approx(lost, abs=1e-3)
        assert lost > 0.001


def test_every_block_is_tried_alone(measured, small, small_ranges, scenes, fp32):
    _, record, _ = measured
    assert {sensitivity.block for sensitivity in record.sensitivities} == set(BLOCKS)
    lost = [sensitivity.drop for sensitivity in record.sensitivities]
    assert lost == sorted(lost, reverse=True)
    for sensitivity in record.sensitivities[:2]:
        alone = drops(place(small, {sensitivity.block}, small_ranges), fp32, scenes[:2], bf16=False)
        assert sensitivity.drop == pytest.approx(alone, abs=1e-5)
        assert sensitivity.details["cosine"] < 1
    untold = {sensitivity.block for sensitivity in record.sensitivities if sensitivity.ms_saved is None}
    assert untold <= {BLOCKS[-1]}  # the plugin calls a layer that is the model's output by the output's name
    assert any(sensitivity.ms_saved for sensitivity in record.sensitivities)


def test_the_verdict_says_what_was_chosen(measured):
    search, record, _ = measured
    chosen = [candidate for candidate in record.candidates if candidate.chosen]
    assert len(chosen) == 1
    fastest = min(record.candidates, key=lambda candidate: candidate.latency.p50)
    assert chosen[0].latency.p50 == fastest.latency.p50
    if record.kept:
        words = re.escape(record.metric.words)
        assert re.fullmatch(rf"{VERDICT}int8 kept, {words} [+-]\d\.\d{{3}}", record.verdict)
        assert (search.chosen, search.preferred[0]) == (chosen[0].name, "int8")
        assert sum(group.layers for group in record.layer_groups) > 0
    else:
        assert re.fullmatch(rf"{VERDICT}int8 not written for OpenVINO: it is not faster here", record.verdict)
        assert (search.chosen, search.preferred[0], record.layer_groups) == (None, chosen[0].name, ())


def test_the_fastest_is_kept(start, timed):
    timed({"int8 late": 4.04, "bf16": 7.0, "fp32": 9.96})
    search, _ = start()
    record = search.run()
    assert record.kept
    assert search.chosen == "int8 late"
    assert search.preferred[0] == "int8"
    assert [candidate.name for candidate in record.candidates if candidate.chosen] == ["int8 late"]
    times = "int8 4.0 ms, bf16 7.0 ms, fp32 10.0 ms" if "bf16" in FLOATS else "int8 4.0 ms, fp32 10.0 ms"
    lost = by_name(record)["int8 late"].drop
    assert record.verdict == (
        f"{times} (p50, {record.threads} threads): int8 kept, top-1 agreement with fp32 {-lost:+.3f}"
    )
    assert {group.group for group in record.layer_groups} >= {"linear and convolution", "depthwise convolution"}
    assert sum(group.before_ms for group in record.layer_groups) > 0


def test_a_model_without_bf16(start, timed, monkeypatch):
    monkeypatch.setattr(search_module, "has_bf16", lambda: False)
    timed({"int8 all": 5.0})
    search, _ = start()
    record = search.run()
    assert set(by_name(record)) == {"fp32", *DISTINCT}
    assert record.verdict.startswith(f"int8 5.0 ms, fp32 10.0 ms (p50, {record.threads} threads): int8 kept, ")


SLOWER = [  # latencies, what "auto" takes
    ({"fp32": 3.0, "bf16": 2.0, "int8 all": 2.5}, "bf16"),
    ({"fp32": 2.0, "bf16": 3.0, "int8 all": 2.5}, "fp32"),
    ({"fp32": 9.0, "bf16": 2.5, "int8 all": 2.5}, "bf16"),  # as fast is not faster
    ({"fp32": 2.0, "bf16": 2.0, "int8 all": 2.5}, "bf16"),  # of two as fast, one is taken everywhere
]


@pytest.mark.skipif("bf16" not in FLOATS, reason="no bfloat16 on this CPU")
@pytest.mark.parametrize(("latencies", "fastest"), SLOWER)
def test_int8_that_is_not_faster_is_not_kept(start, timed, latencies, fastest):
    timed(latencies)
    search, _ = start()
    record = search.run()
    assert (record.kept, search.chosen, search.preferred[0]) == (False, None, fastest)
    assert [candidate.name for candidate in record.candidates if candidate.chosen] == [fastest]
    assert record.verdict == (
        f"int8 2.5 ms, bf16 {latencies['bf16']} ms, fp32 {latencies['fp32']} ms (p50, {record.threads} threads): "
        "int8 not written for OpenVINO: it is not faster here"
    )
    assert record.layer_groups == ()


@pytest.mark.usefixtures("every_move")
def test_blocks_move_where_the_clock_says_so(start, timed):
    """Only the second move and the last are faster."""
    sets = moves(BLOCKS)
    steps = []
    search, _ = start(on_step=steps.append)

    def clock(name: str) -> float:
        moved = steps[-1].startswith(("move 2 of", f"move {len(sets)} of"))
        return {"int8 all": 8.0, "rival": 8.0 if moved else 10.0, "int8 tuned": 5.0}.get(name, 10.0)

    timed({}, clock)
    record = search.run()
    assert all(moved <= set(BLOCKS) for moved in sets)  # from everything in INT8, a move is to float
    assert search.placements["int8 tuned"] == set(BLOCKS) - sets[1] - sets[-1]
    assert search.chosen == "int8 tuned"
    assert by_name(record)["int8 tuned"].words == "int8 all with blocks moved where the clock says so"
    assert sum(step.startswith("move ") for step in steps) == len(sets)


@pytest.mark.usefixtures("every_move")
def test_a_move_may_be_to_int8(start, timed):
    proj = frozenset({f"{BLOCK}.attn.proj"})
    taken = f"move {moves(BLOCKS).index(proj) + 1} of"
    steps = []
    search, _ = start(on_step=steps.append)
    timed({"int8 mlp": 8.0}, lambda name: 5.0 if name == "rival" and steps[-1].startswith(taken) else 10.0)
    search.run()
    assert search.placements["int8 tuned"] == proj.union(MLP)
    assert any(step.startswith(taken) and step.endswith("1 blocks to INT8") for step in steps)
    assert any(step.endswith("1 blocks to float") for step in steps)  # fc2 alone


@pytest.mark.usefixtures("every_move")
def test_a_move_that_gains_next_to_nothing_is_left(start, timed):
    timed({"int8 all": 8.0}, lambda name: 9.96 if name == "rival" else 10.0)
    search, _ = start()
    search.run()
    assert "int8 tuned" not in search.placements


def test_given_blocks_are_tried_as_they_are(start, timed):
    timed({"int8 given": 5.0})
    search, steps = start(placement="given")
    record = search.run(MLP)
    assert set(by_name(record)) == FLOATS | {"int8 given"}
    assert search.placements == {"int8 given": frozenset(MLP)}
    assert (record.kept, record.placement, search.chosen) == (True, "given", "int8 given")
    assert len(record.sensitivities) == len(BLOCKS)
    assert not [step for step in steps if step.startswith("move")]


@pytest.mark.skipif("bf16" not in FLOATS, reason="no bfloat16 on this CPU")
def test_given_blocks_that_are_slower_are_taken_at_their_word(start, timed):
    """Written, for they were asked for; "auto" takes what is faster."""
    timed({"int8 given": 5.0, "bf16": 4.0})
    search, _ = start(placement="given")
    record = search.run(MLP)
    assert (record.kept, search.chosen, search.preferred[0]) == (True, "int8 given", "bf16")
    assert [candidate.name for candidate in record.candidates if candidate.chosen] == ["int8 given"]
    assert "int8 5.0 ms, bf16 4.0 ms, fp32 10.0 ms" in record.verdict


def test_given_blocks_beyond_the_budget_are_not_raised(start, timed):
    timed({"int8 given": 5.0})
    search, _ = start(max_drop=1e-9, placement="given")
    record = search.run(BLOCKS)
    assert set(search.placements) == {"int8 given"}
    assert not record.kept
    assert by_name(record)["int8 given"].latency is None
    assert f"may fall by 1e-09, the best placement tried loses {by_name(record)['int8 given'].drop:.4f}" in (
        record.verdict
    )


@pytest.fixture
def no_clock(monkeypatch):
    def measure(runs, seconds):
        raise AssertionError("something was timed")

    monkeypatch.setattr(search_module, "measure", measure)


@pytest.mark.usefixtures("no_clock")
def test_without_tuning_nothing_is_timed(start):
    search, steps = start(placement="recorded")
    record = search.run(MLP, tune="off")
    assert set(by_name(record)) == FLOATS | {"int8 recorded"}
    assert all(candidate.latency is None for candidate in record.candidates)
    assert (record.tuned, record.sensitivities, record.layer_groups) == (False, (), ())
    assert (record.kept, search.chosen, search.preferred[0]) == (True, "int8 recorded", "int8")
    lost = by_name(record)["int8 recorded"].drop
    assert record.verdict == f"int8 kept, top-1 agreement with fp32 {-lost:+.3f}; nothing was timed"
    assert not [step for step in steps if "alone" in step]


@pytest.mark.usefixtures("no_clock")
def test_without_tuning_the_budget_holds_all_the_same(start):
    search, _ = start(max_drop=0.0, placement="recorded")
    record = search.run(BLOCKS, tune="off")
    assert (record.kept, search.chosen) == (False, None)
    assert search.preferred == ("fp32",)  # bfloat16 loses something too
    assert record.verdict.startswith("int8 not written: top-1 agreement with fp32 may fall by 0.0, the best placement")


@pytest.mark.usefixtures("no_clock")
def test_a_real_model_without_tuning(tiny, tiny_ranges, scenes):
    judge = AgreementJudge(tuple(scenes), "classify", None, "three scenes")
    search = Search(tiny, tiny_ranges, judge, "b0", None, lambda step: None, "recorded")
    blocks = RECORDED.blocks(find_blocks(tiny))
    record = search.run(blocks, tune="off")
    assert record.kept
    assert by_name(record)["int8 recorded"].int8_blocks == len(blocks)
    assert by_name(record)["int8 recorded"].details["cosine"] < 1


def test_blocks_are_raised_until_the_budget_holds(start, timed, measured):
    """The budget lies between what the mildest and the worst recipe lose, so something has to go."""
    known = by_name(measured[1])
    worst = known["int8 all"].drop
    budget = 0.6 * worst
    timed({})
    search, _ = start(max_drop=budget)
    record = search.run()
    candidates = by_name(record)
    assert not candidates["int8 all"].within_budget
    assert candidates["int8 all"].latency is None  # not timed
    raised = {name: placed for name, placed in search.placements.items() if name.startswith("int8 all -")}
    assert raised
    order = [s.block for s in sorted(search.sensitivities, key=sensitivity_module.most_sensitive_first)]
    for name, placed in raised.items():
        count = int(name.rpartition("-")[2])
        assert placed == set(BLOCKS) - set(order[:count])
        assert candidates[name].words == f"int8 all with {count} blocks raised to float"
    for candidate in record.candidates:
        if candidate.name in search.placements:
            assert candidate.within_budget == (candidate.drop <= budget), candidate.name
            assert (candidate.latency is not None) == candidate.within_budget
    holding = [int(name.rpartition("-")[2]) for name in raised if candidates[name].within_budget]
    assert holding
    tried = {int(name.rpartition("-")[2]) for name in raised}
    assert min(holding) - 1 in {0, *tried}  # as few as do: one less was tried, or is none
    assert search.chosen is None or candidates[search.chosen].within_budget


@pytest.mark.parametrize("budget", [-1.0, 0.0])
def test_a_budget_that_nothing_holds(start, timed, budget):
    timed({}, lambda name: 1.0 if name.startswith("int8") else 10.0)
    search, _ = start(max_drop=budget)
    record = search.run()
    assert (record.kept, search.chosen) == (False, None)
    assert search.preferred[0] != "int8"
    least = min(candidate.drop for candidate in record.candidates if candidate.name in search.placements)
    floats = "bf16 10.0 ms, fp32 10.0 ms" if "bf16" in FLOATS else "fp32 10.0 ms"
    assert record.verdict.startswith(
        f"{floats} (p50, {record.threads} threads): int8 not written: top-1 agreement with fp32 may fall by {budget}, "
        f"the best placement tried loses {least:.4f}; allow more with --max-drop"
    )
    assert any(name.startswith("int8 all -") for name in search.placements)
    assert all(candidate.latency is None for candidate in record.candidates if candidate.name in search.placements)


@pytest.mark.skipif("bf16" not in FLOATS, reason="no bfloat16 on this CPU")
@pytest.mark.parametrize("tune", ["quick", "off"])
def test_bf16_has_the_budget_of_int8(start, timed, tune):
    """Fastest of all, and beyond the budget: shown and timed, but neither chosen nor what INT8 has to beat."""
    timed({"bf16": 2.0, "int8 recorded": 5.0})
    unlimited, _ = start(placement="recorded")
    lost = by_name(unlimited.run(MLP, tune))["bf16"].drop
    assert lost > 0
    search, _ = start(max_drop=lost / 2, placement="recorded")
    record = search.run(MLP[:1], tune)
    candidates = by_name(record)
    assert (candidates["fp32"].within_budget, candidates["bf16"].within_budget) == (True, False)
    assert "bf16" not in search.preferred
    assert "bf16" in unlimited.preferred
    assert f"bf16 loses {lost:.4f}, more than the budget" in record.verdict


def test_a_quick_look_times_what_it_keeps(start, timed):
    """The recorded placement alone, against the floats; no block is tried alone."""
    timed({"int8 recorded": 5.0})
    search, steps = start(placement="recorded")
    record = search.run(MLP, "quick")
    assert all(candidate.latency for candidate in record.candidates)
    assert (record.tuned, record.kept, record.sensitivities, record.layer_groups) == (False, True, (), ())
    assert search.preferred[0] == "int8"
    assert "nothing was timed" not in record.verdict
    assert not [step for step in steps if "alone" in step]
    timed({"int8 recorded": 15.0})
    slow, _ = start(placement="recorded")
    assert not slow.run(MLP, "quick").kept
    assert "int8" not in slow.preferred


@pytest.fixture
def approximated(small, small_ranges, scenes):
    """A search in which "approx" is a candidate: here the exact model again, as it runs fastest."""

    def begin(placement, max_drop=None):
        judge = DistanceJudge(tuple(scenes), "classify", None, "three scenes")
        told = lambda text: None  # noqa: E731
        return Search(small, small_ranges, judge, "b0", max_drop, told, placement, exact=small, approx=True)

    return begin


def test_an_approximation_in_float_alone(approximated, timed, scenes):
    timed({"approx": 5.0})
    search = approximated("none")
    record = search.run(frozenset(), "quick")
    assert set(by_name(record)) == FLOATS | {"approx"}
    assert (record.kept, record.tuned, record.placement) == (False, False, "none")
    assert search.approx_pays
    assert search.preferred[0] == "approx"
    assert by_name(record)["approx"].chosen
    assert {name: len(outputs) for name, outputs in search.outputs.items()} == dict.fromkeys(
        ("fp32", "approx"), len(scenes)
    )
    timed({"approx": 15.0})
    slow = approximated("none")
    slow.run(frozenset(), "quick")
    assert not slow.approx_pays


def test_int8_that_is_slower_than_the_approximation_is_not_written(approximated, timed):
    timed({"int8 recorded": 7.0, "approx": 5.0})
    search = approximated("recorded")
    assert not search.run(MLP, "quick").kept
    assert search.preferred[0] == "approx"
    timed({"int8 recorded": 4.0, "approx": 5.0})
    search = approximated("recorded")
    assert search.run(MLP, "quick").kept
    assert search.preferred[:2] == ("int8", "approx")


INTERRUPTS = [  # the step Ctrl-C comes in, blocks tried till then, candidates judged
    ("fp32 and bf16", 0, set()),
    ("block 4 of", 3, FLOATS),
    ("int8 late", 10, FLOATS | {"int8 mlp"}),
    ("move 1 of", 10, FLOATS | set(DISTINCT)),
    ("candidates in turns", 10, FLOATS | set(DISTINCT)),
]


@pytest.mark.parametrize(("moment", "blocks", "candidates"), INTERRUPTS)
def test_what_was_measured_survives_ctrl_c(start, timed, moment, blocks, candidates):
    timed({})

    def on_step(step: str) -> None:
        if moment in step:
            raise KeyboardInterrupt

    search, _ = start(on_step=on_step)
    with pytest.raises(SearchInterruptedError) as stopped:
        search.run()
    record = stopped.value.record
    assert isinstance(stopped.value, KeyboardInterrupt)
    assert (record.interrupted, record.kept, record.verdict) == (True, False, "the search was interrupted")
    assert len(record.sensitivities) == blocks
    assert set(by_name(record)) == candidates
    assert not any(candidate.chosen for candidate in record.candidates)
    assert SearchRecord.model_validate_json(record.model_dump_json()) == record
