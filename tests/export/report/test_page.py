"""report.md says what was measured: its tables are read back, and compared with the search."""

import itertools
import re

import pytest

from pvt_edge.bundle.schema import CalibrationRecord
from pvt_edge.export.precision.record import BlockSensitivity, Latency, Metric
from pvt_edge.export.report.page import page

from .reading import sections, table
from .searches import CANDIDATES, block_names, candidate, file_record, manifest, plan, search

PLOTS = ("plots/pareto.png", "plots/latency.png", "plots/sensitivity.png", "plots/layers.png")
TITLE = "INT8 of PVT-v2 b0, detect, 480x640"


def read(given=None, plots=PLOTS, **changes) -> dict[str, str]:
    """The sections of the page of a search with `changes`."""
    return sections(page(given or manifest(), search(**changes), plots))


def test_the_verdict_comes_first():
    verdict = "int8 22.4 ms, bf16 24.8 ms, fp32 51.8 ms (p50, 2 threads): int8 kept, AP -0.0009"
    text = page(manifest(), search(), PLOTS)
    assert text.splitlines()[:3] == [f"# {TITLE}", "", f"**{verdict}**"]
    assert "cut short" not in text


def test_int8_that_was_not_kept():
    given = manifest(precision_plan=None)
    found = read(given, kept=False, verdict="bf16 24.8 ms, int8 25.1 ms: INT8 is slower than bf16")
    assert found[TITLE] == "**No INT8 was written: bf16 24.8 ms, int8 25.1 ms: INT8 is slower than bf16**"
    assert found["Where INT8 is"] == "Nowhere: all blocks run in float."
    assert "--plan" not in found["Again"]


def test_a_search_cut_short():
    candidates = (*CANDIDATES[:2], candidate("int8 all", None, 0.7))
    found = read(interrupted=True, seconds=4000, candidates=candidates, sensitivities=search().sensitivities[:1])
    verdict, cut = found[TITLE].split("\n\n")
    assert verdict.startswith("**int8 22.4 ms")
    assert cut == (
        "**The search was cut short** after 66 min 40 s. Until then it had measured 3 candidates, 2 of them timed, "
        "and 1 block alone; what follows rests on these."
    )


def test_candidates():
    untimed = candidate("int8 qkv", None, 0.7903, words="queries, keys and values")
    slow = candidate("int8 slow", 141.25, 0.8181, latency=Latency(p50=141.25, p90=150, p99=1200.4, inferences=50))
    rows = table(read(candidates=(*CANDIDATES[:4], untimed, slow))["Candidates"])
    names = ["candidate", "what it is", "INT8 blocks", "float blocks", "AP", "drop", "p50 ms", "p90 ms", "p99 ms",
             "against fp32", "within budget", "chosen"]  # fmt: skip
    assert list(rows[0]) == names
    assert [list(row.values()) for row in rows] == [
        ["fp32", "everything in FP32", "0", "79", "0.8170", "0.0000", "51.8", "57.0", "67.3", "1.00x", "yes", ""],
        ["bf16", "everything in bfloat16", "0", "79", "0.8168", "+0.0002", "24.8", "27.3", "32.2", "2.09x", "yes", ""],
        ["int8 all", "NNCF's default placement", "76", "3", "0.8093", "+0.0077", "21.9", "24.1", "28.5", "2.37x",
         "no", ""],
        ["int8 mlp", "linear layers of the MLPs", "44", "35", "0.8161", "+0.0009", "22.4", "24.6", "29.1", "2.31x",
         "yes", "yes"],
        ["int8 qkv", "queries, keys and values", "44", "35", "0.7903", "+0.0267", "-", "-", "-", "-", "no", ""],
        ["int8 slow", "what int8 slow is", "44", "35", "0.8181", "-0.0011", "141", "150", "1200", "0.37x", "yes", ""],
    ]  # fmt: skip


UNTIMED = tuple(candidate.model_copy(update={"latency": None}) for candidate in search().candidates)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, "the budget had ruled it out"),
        ({"tuned": False}, "the budget had ruled it out"),  # others were timed
        ({"tuned": False, "candidates": UNTIMED}, "the recorded recipe is taken without timing it"),
        ({"interrupted": True}, "the search was cut short"),
    ],
)
def test_why_a_candidate_was_not_timed(changes, why):
    text = read(**changes)["Candidates"]
    assert f"`-` was not measured: {why}." in text


def test_candidates_without_fp32_to_compare_with():
    row = table(read(candidates=(candidate("bf16", 2.718, 0.8),))["Candidates"])[0]
    assert (row["p50 ms"], row["against fp32"]) == ("2.72", "-")


def test_names_that_markdown_would_take_for_its_own():
    odd = candidate("int8 a|b *c* `d`", 20, 0.8, words="<b> and [a link](x)\nover two lines", chosen=True)
    text = page(manifest(), search(candidates=(odd,)), None)
    row = table(sections(text)["Candidates"])[0]
    assert row["candidate"] == "int8 a|b *c* `d`"
    assert row["what it is"] == "<b> and [a link](x) over two lines"
    assert r"**int8 a\|b \*c\* \`d\`** | \<b> and \[a link](x) over two lines |" in text


def test_how_it_was_measured():
    text = read()["How it was measured"]
    for words in (
        "Machine: Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz, 2 threads.",
        "openvino, batch 1, input 480x640.",
        "200 inferences of each candidate; the candidates interleaved",
        "percentiles of all inferences, none removed",
        "AP on 48 generated scenes, seed 3",
        "a candidate may lose 0.005 of it",
        "searched for this model on this machine; 5 min 12 s in all",
        "openvino 2026.4",
    ):
        assert words in text


def test_a_budget_that_is_not_gated():
    found = read(max_drop=None, tuned=False, placement="recorded", threads=1)
    assert {row["within budget"] for row in table(found["Candidates"])} == {"not gated"}
    text = found["How it was measured"]
    assert "stated, not gated" in text
    assert "the recorded recipe, taken as it is" in text
    assert "1 thread." in text


@pytest.mark.parametrize(
    ("candidates", "words"),
    [
        (
            (CANDIDATES[0], candidate("bf16", 2, 0.8, latency=Latency(p50=2, p90=2, p99=2, inferences=1))),
            "Latency: 200 of fp32, 1 of bf16; ",
        ),
        ((candidate("fp32", None, 0.8),), "Latency: nothing was timed, "),
    ],
)
def test_inferences(candidates, words):
    assert words in read(candidates=candidates)["How it was measured"]


def expand(pattern: str) -> set[str]:
    """The names a pattern with braces stands for."""
    parts = re.split(r"\{(.*?)\}", pattern)
    choices = [[part] if i % 2 == 0 else list(_choices(part)) for i, part in enumerate(parts)]
    return {"".join(choice) for choice in itertools.product(*choices)}


def _choices(inside: str):
    for item in inside.split(","):
        ends = item.split("..")
        yield from ends if len(ends) == 1 else map(str, range(int(ends[0]), int(ends[1]) + 1))


def test_where_int8_is():
    text = read()["Where INT8 is"]
    assert text.startswith("24 blocks in INT8, 55 in float.")
    rows = table(text)
    assert [row["part"] for row in rows] == [*(f"stages.{i}" for i in range(4)), "neck", "head", "decode"]
    assert rows[0]["INT8"] == "stages.0.blocks.{0,1}.mlp.{fc1,dwconv,fc2}"
    assert rows[0]["float"] == "stages.0.patch_embed`<br>`stages.0.blocks.{0,1}.attn.{sr,q,k,v,proj}"
    assert rows[4]["INT8"] == "-"
    for precision in ("INT8", "float"):
        spans = [span for row in rows for span in row[precision].split("`<br>`") if span != "-"]
        named = {name for name, taken in plan().items() if taken == precision.lower()}
        assert set().union(*map(expand, spans)) == named


def test_blocks_that_the_plan_does_not_name():
    named = {name: taken for name, taken in plan().items() if not name.startswith("neck.")}
    text = read(manifest(precision_plan=named))["Where INT8 is"]
    assert text.endswith("Not in the plan, and so in float: `neck.{lateral,output}.{0..2}`.")
    assert "Not in the plan" not in read()["Where INT8 is"]


def test_a_plan_of_modules():
    given = manifest(precision_plan={"stages": "int8", "neck": "float", "head": "float"})
    text = read(given)["Where INT8 is"]
    assert [row["INT8"] for row in table(text)] == ["stages", "-", "-"]
    assert text.endswith("Not in the plan, and so in float: `decode`.")


def test_an_empty_plan():
    text = read(manifest(precision_plan={}), sensitivities=())["Where INT8 is"]
    assert text.startswith("0 blocks in INT8, 0 in float.")
    assert table(text) == []


def test_kept_without_a_plan():
    text = read(manifest(precision_plan=None))["Where INT8 is"]
    assert text == "44 blocks in INT8, 35 in float; `model.json` names none of them."


def test_sensitivities():
    given = search()
    text = read()["Sensitivity"]
    rows = table(text)
    worst = sorted(given.sensitivities, key=lambda block: block.drop, reverse=True)
    assert [row["block"] for row in rows] == [block.block for block in worst[:15]]
    assert [float(row["drop"]) for row in rows] == [pytest.approx(block.drop, abs=5e-5) for block in worst[:15]]
    assert rows[0]["details"] == f"cosine {worst[0].details['cosine']:.4f}"
    saved = [None if row["ms saved"] == "-" else float(row["ms saved"]) for row in rows]
    assert saved == [pytest.approx(block.ms_saved, abs=5e-3) for block in worst[:15]]
    assert None in saved
    assert f"64 more blocks lie under these, at +{worst[15].drop:.4f} or less each." in text


@pytest.mark.parametrize(("count", "more"), [(1, None), (15, None), (16, "1 more block lies"), (200, "185 more")])
def test_how_many_sensitivities_are_shown(count, more):
    blocks = [BlockSensitivity(block=f"stages.0.blocks.{i}.attn.q", drop=0.001) for i in range(count)]
    text = read(sensitivities=blocks)["Sensitivity"]
    rows = table(text)
    assert len(rows) == min(count, 15)
    assert list(rows[0].values()) == ["stages.0.blocks.0.attn.q", "-", "+0.0010", "-"]
    assert (more in text) if more else "more block" not in text


def test_sensitivities_around_zero():
    drops = {"a": -0.00001, "b": 0.0, "c": -0.25, "d": float("nan"), "e": 0.00006}
    blocks = [BlockSensitivity(block=name, drop=drop) for name, drop in drops.items()]
    rows = table(read(sensitivities=blocks)["Sensitivity"])
    assert {row["block"]: row["drop"] for row in rows} == {
        "d": "-",
        "e": "+0.0001",
        "b": "0.0000",
        "a": "0.0000",
        "c": "-0.2500",
    }
    assert [row["block"] for row in rows] == ["d", "e", "b", "a", "c"]


@pytest.mark.parametrize(
    ("tuned", "words"),
    [
        (True, "No block was measured alone."),
        (False, "No block was measured alone: the recorded recipe was taken as it is."),
    ],
)
def test_no_sensitivities(tuned, words):
    assert read(sensitivities=(), tuned=tuned, plots=PLOTS[:2])["Sensitivity"] == words


def test_layer_groups():
    rows = table(read()["Time by kind of layer"])
    assert [list(row.values()) for row in rows[:2]] == [
        ["linear layers", "66", "12.3", "8.10"],
        ["attention products", "16", "6.40", "3.20"],
    ]
    assert list(rows[-1].values()) == ["reorders", "9", "0.00", "0.31"]
    assert "Time by kind of layer" not in read(layer_groups=())


def images(*contents: int):
    return tuple(file_record(f"{i}.png", content) for i, content in enumerate(contents))


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (None, "None."),
        (
            CalibrationRecord(source="generated scenes", seed=0, count=64),
            "64 pictures of `generated scenes`, seed 0.",
        ),
        (
            CalibrationRecord(source="images/", seed=3, count=1, images=images(1)),
            "1 picture of `images/`, seed 3, by name and hash in `model.json`.",
        ),
        (
            CalibrationRecord(source="images/", seed=3, count=3, images=images(1, 4, 2), duplicates=1),
            "3 pictures of `images/`, seed 3, by name and hash in `model.json`. 1 near-duplicate dropped.",
        ),
        (
            CalibrationRecord(
                source="a", seed=0, count=1, skipped=("a_b.png: <bad>",), left_out=[f"{i}.png: tiny" for i in range(7)]
            ),
            "1 picture of `a`, seed 0.\n\nNot readable, 1:\n\n- a_b.png: \\<bad>\n\nLeft out, 7:\n\n- 0.png: tiny\n"
            "- 1.png: tiny\n- 2.png: tiny\n- 3.png: tiny\n- 4.png: tiny\n- 2 more, in `model.json`",
        ),
    ],
)
def test_calibration(record, text):
    assert read(manifest(calibration=record))["Calibration"] == text


def test_artifacts():
    text = read()["Artifacts"]
    assert [list(row.values()) for row in table(text)] == [
        ["model.fp32.onnx", "onnxruntime", "fp32", "15.7"],
        ["openvino/int8.xml", "openvino", "int8", "6.5"],
    ]
    assert text.endswith("`--precision auto` takes int8 on openvino.")
    assert "auto" not in read(manifest(auto_precision={}))["Artifacts"]
    excluded = {"openvino-bf16": "loses 0.0312 of AP, more than the budget of 0.02"}
    told = read(manifest(auto_excluded=excluded, not_written={"onnxruntime-int8": "it is not faster here"}))[
        "Artifacts"
    ]
    assert "`auto` does not take openvino-bf16: loses 0.0312 of AP" in told
    assert "not written, onnxruntime-int8: it is not faster here" in told


def test_how_to_do_it_again():
    found = read()["Again"]
    assert found.startswith("```sh\npvt-edge export --variant b0 --int8 --max-drop 0.005\n```")
    assert "`--plan model.json`" in found
    provenance = manifest().provenance.model_copy(update={"command": None})
    assert read(manifest(provenance=provenance))["Again"].startswith("This was exported from Python")


@pytest.mark.parametrize(
    "metric",
    [
        Metric(name="agreement", words="matched-box F1 with fp32", data="64 calibration pictures"),
        Metric(name="top1", words="top-1", data="1000 pictures of /data/$x_1$"),
        Metric(name="map", words="AP", data="48 generated scenes, seed 3"),
    ],
)
def test_metrics(metric):
    found = read(metric=metric)
    assert table(found["Candidates"])[3][metric.words] == "0.8161"
    assert f"Drop is the {metric.words} lost" in found["Candidates"]
    assert f"{metric.words} on {metric.data}" in found["How it was measured"]


def test_every_block_has_its_place():
    assert len(block_names()) == len(set(block_names())) == len(plan()) == 79
