"""Figures and names as the report writes them."""

import math

import pytest

from pvt_edge.export.report.facts import kind_of
from pvt_edge.export.report.sections import by_part, compact
from pvt_edge.reporting.plots import shorten
from pvt_edge.reporting.wording import code, counted, drop, duration, fraction, mebibytes, ms, times

from .searches import block_names


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (math.nan, "-"), (math.inf, "-"), (0, "0.00"), (0.004, "0.00"), (-0.004, "0.00"), (-0.31, "-0.31"),
     (4.213, "4.21"), (9.994, "9.99"), (9.996, "10.0"), (51.84, "51.8"), (99.94, "99.9"), (99.96, "100"),
     (1234.5, "1234")],
)  # fmt: skip
def test_ms(value, text):
    assert ms(value) == text


@pytest.mark.parametrize(
    ("write", "value", "text"),
    [
        (drop, 0.0030, "+0.0030"),
        (drop, -0.0012, "-0.0012"),
        (drop, -0.00004, "0.0000"),
        (drop, 0.0, "0.0000"),
        (drop, None, "-"),
        (fraction, 0.81704, "0.8170"),
        (fraction, math.nan, "-"),
        (times, 2.3561, "2.36x"),
        (times, None, "-"),
        (mebibytes, 6 * 2**20 + 2**19, "6.5"),
        (mebibytes, 2**10, "0.001"),
        (duration, 0.4, "0 s"),
        (duration, 119.4, "119 s"),
        (duration, 312.4, "5 min 12 s"),
        (duration, 7500, "2 h 5 min"),
    ],
)
def test_figures(write, value, text):
    assert write(value) == text


def test_counted():
    assert [counted(n, "block") for n in (0, 1, 2)] == ["0 blocks", "1 block", "2 blocks"]
    assert counted(2, "copy", "copies") == "2 copies"


@pytest.mark.parametrize(
    ("text", "span"), [("a|b", r"`a\|b`"), ("a`b", "`` a`b ``"), ("a``b", "``` a``b ```"), ("a\nb", "`a b`")]
)
def test_code(text, span):
    assert code(text) == span


def test_shorten():
    assert shorten("stages.0.blocks.1", 17) == "stages.0.blocks.1"
    assert shorten("stages.0.blocks.1.attn.sr", 15) == "stages.…attn.sr"
    assert shorten("two\nlines", 20) == "two lines"


@pytest.mark.parametrize(
    ("block", "kind"),
    [
        ("stages.0.blocks.1.attn.sr", "attn"),
        ("backbone.stages.0.blocks.1.mlp.fc1", "mlp"),
        ("stages.3.patch_embed", "patch_embed"),
        ("neck.lateral.0", "neck"),
        ("head", "head"),
        ("head.cls_out", "head"),
        ("decode", "other"),
        ("mlps", "other"),
    ],
)
def test_kinds(block, kind):
    assert kind_of(block) == kind


def test_parts():
    blocks = ["backbone.stages.1.patch_embed", "stages.10.blocks.0", "stages.1", "head", "neck.a", "stages.1.b"]
    assert by_part(blocks) == {
        "backbone.stages.1": [blocks[0]],
        "stages.10": [blocks[1]],
        "stages.1": [blocks[2], blocks[5]],
        "head": ["head"],
        "neck": ["neck.a"],
    }


@pytest.mark.parametrize(
    ("blocks", "patterns"),
    [
        ([], []),
        (["head"], ["head"]),
        (["a.0", "a.1"], ["a.{0,1}"]),
        (["a.10", "a.2", "a.3", "a.4", "a.0"], ["a.{0,2..4,10}"]),
        (["b.0.fc1", "b.0.fc2", "b.1.fc2", "b.1.fc1"], ["b.{0,1}.{fc1,fc2}"]),
        (["b.0.a.q", "b.0.m.fc1", "b.1.m.fc1"], ["b.0.a.q", "b.{0,1}.m.fc1"]),
        (["a", "a.b", "a.b.c"], ["a", "a.b", "a.b.c"]),
        (["a.b", "c.b", "c.d"], ["a.b", "c.{b,d}"]),
    ],
)
def test_compact(blocks, patterns):
    assert sorted(compact(blocks)) == sorted(patterns)


def test_compact_says_much_in_little():
    patterns = [pattern for part in by_part(block_names()).values() for pattern in compact(part)]
    assert len(patterns) == 4 + 4 * 2 + 1 + 2 + 1
