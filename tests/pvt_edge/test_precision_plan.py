"""Precision plans: what their names cover, how they are read, and what is said of one that does not fit."""

import json

import pytest

from pvt_edge.bundle.schema import InputSpec, Manifest, Provenance, ResizeSpec
from pvt_edge.errors import ExportError, UnknownNameError
from pvt_edge.precision_plan import PrecisionPlan, read_plan

KNOWN = [
    "stages.0.patch_embed",
    "stages.0.blocks.0.attn.q",
    "stages.0.blocks.0.mlp.fc1",
    "stages.0.blocks.1.attn.q",
    "stages.0.blocks.10.attn.q",
    "head.cls.0",
    "head.cls_out",
]
FIRST, TENTH = "stages.0.blocks.1.attn.q", "stages.0.blocks.10.attn.q"

PLANS = [  # the plan's blocks, those that run in INT8
    ({}, []),
    ({"head": "float"}, []),
    ({"head": "int8"}, ["head.cls.0", "head.cls_out"]),
    ({"head.cls": "int8"}, ["head.cls.0"]),  # head.cls_out is not below it
    ({"stages.0.blocks.1": "int8"}, [FIRST]),  # nor is block 10 below block 1
    ({"stages.0.blocks.10.attn.q": "int8"}, [TENTH]),
    ({"stages": "int8", "stages.0.blocks": "float"}, ["stages.0.patch_embed"]),
    ({"stages.0.blocks": "float", "stages": "int8"}, ["stages.0.patch_embed"]),  # whatever comes first
    ({"stages": "float", "stages.0.blocks.0": "int8", "stages.0.blocks.0.mlp": "float"}, ["stages.0.blocks.0.attn.q"]),
    ({"stages": "int8", "head": "int8"}, KNOWN),
]


def plan(**blocks: str) -> PrecisionPlan:
    return PrecisionPlan.model_validate({"variant": "b0", "task": "detect", "blocks": blocks})


def written(tmp_path, content: object, name: str = "plan.json"):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def manifest(**changes: object) -> Manifest:
    given = {
        "variant": "b0",
        "task": "detect",
        "labels": ("a",),
        "input": InputSpec(height=64, width=96),
        "outputs": ("boxes",),
        "resize": ResizeSpec(mode="stretch"),
        "artifacts": (),
        "precision_plan": {"head.cls.0": "int8", "head.cls_out": "float"},
        "provenance": Provenance(pvt_edge="0", created="now", weights="w", versions={}, machine="m"),
    }
    return Manifest.model_validate({**given, **changes})


@pytest.mark.parametrize(("blocks", "int8"), PLANS)
def test_what_a_plan_covers(blocks, int8):
    assert plan(**blocks).int8_blocks(KNOWN) == frozenset(int8)


UNKNOWN = [  # a name of no block, the nearest that there is
    ("head.cls.1", "head.cls.0"),
    ("stage.0", "stages.0"),
    ("head.cls_ou", "head.cls_out"),
    ("stages.0.blocks.1.attn.q.weight", "stages.0.blocks.1.attn.q"),
]


@pytest.mark.parametrize(("name", "nearest"), UNKNOWN)
def test_a_name_of_no_block(name, nearest):
    with pytest.raises(UnknownNameError) as raised:
        plan(head="int8", **{name: "int8"}).int8_blocks(KNOWN)
    said = f"unknown block in the precision plan '{name}': did you mean '{nearest}'?"
    assert str(raised.value).startswith(said)


def test_a_name_of_no_block_that_is_float():
    with pytest.raises(UnknownNameError, match="'nek'"):
        plan(nek="float").int8_blocks(KNOWN)


def test_a_plan_is_read(tmp_path):
    path = written(tmp_path, {"variant": "b0", "task": "detect", "blocks": {"head": "int8"}})
    for given in (path, str(path)):
        assert read_plan(given, "b0", "detect") == plan(head="int8")


def test_a_bundles_plan_is_read(tmp_path):
    path = written(tmp_path, manifest().model_dump_json(), "model.json")
    for given in (path, tmp_path):
        assert read_plan(given, "b0", "detect").int8_blocks(KNOWN) == {"head.cls.0"}


@pytest.mark.parametrize("blocks", [None, {}])
def test_a_bundle_without_a_plan(tmp_path, blocks):
    written(tmp_path, manifest(precision_plan=blocks).model_dump_json(), "model.json")
    with pytest.raises(ExportError, match=r"model\.json has no precision plan: it was exported without --int8"):
        read_plan(tmp_path, "b0", "detect")


GOOD = {"variant": "b0", "task": "detect", "blocks": {"head": "int8"}}
BROKEN = [  # a file's content, what is said of it
    ("", "is not JSON"),
    ('{"variant": "b0",', "is not JSON"),
    ("null", "is not one: the whole: "),
    ([GOOD], "is not one: the whole: "),
    ({}, "is not one: variant: Field required"),
    ({**GOOD, "blocks": {"head": "int4"}}, r"is not one: blocks\.head: Input should be 'int8' or 'float'"),
    ({**GOOD, "blocks": ["head"]}, "is not one: blocks: "),
    ({**GOOD, "precision": "int8"}, "is not one: precision: Extra inputs are not permitted"),
    ({**GOOD, "variant": "b1"}, "is for b1 detect, not b0 detect: take one of this model, or leave --plan out"),
    ({**GOOD, "task": "classify"}, "is for b0 classify, not b0 detect"),
]


@pytest.mark.parametrize(("content", "said"), BROKEN)
def test_a_plan_that_is_none(tmp_path, content, said):
    path = written(tmp_path, content)
    with pytest.raises(ExportError, match=said) as raised:
        read_plan(path, "b0", "detect")
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_plan_that_is_no_text(tmp_path):
    path = tmp_path / "plan.json"
    path.write_bytes(b"\xff\xfe\x00{}")
    with pytest.raises(ExportError, match="is not JSON"):
        read_plan(path, "b0", "detect")


def test_a_plan_that_is_not_there(tmp_path):
    for path, missing in ((tmp_path / "no.json", "no.json"), (tmp_path, "model.json")):
        with pytest.raises(ExportError, match=f"cannot read the precision plan .*{missing}: No such file"):
            read_plan(path, "b0", "detect")
