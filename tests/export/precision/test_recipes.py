"""Recipes: nested sets of blocks, none of them empty, the last one everything."""

import itertools
import re

import pytest

from pvt_edge.export.precision.layers import find_blocks
from pvt_edge.export.precision.recipes import HEAD, LINEARS, MLP, PRODUCTS, RECIPES, RECORDED, moves
from pvt_edge.models import kind_of

NECK = re.compile(r"^(neck|head)\b")


@pytest.fixture(scope="module")
def known(detector, tiny, pooled) -> dict[tuple[str, str], list[str]]:
    """The blocks of each task's models: real graphs, and what they share put together."""
    b0, li = find_blocks(detector), find_blocks(pooled)
    neck = [name for name in b0 if NECK.match(name)]
    return {
        ("b0", "detect"): b0,
        ("b0", "classify"): find_blocks(tiny),
        ("b0", "features"): [name for name in b0 if not NECK.match(name)],
        ("b2-li", "detect"): [*li, *neck],
        ("b2-li", "classify"): [*li, "head"],
        ("b2-li", "features"): li,
    }


CASES = [(variant, task) for variant in ("b0", "b2-li") for task in ("detect", "classify", "features")]


@pytest.mark.parametrize("case", CASES)
def test_each_recipe_holds_the_one_before(known, case):
    sets = [recipe.blocks(known[case]) for recipe in RECIPES]
    assert sets[0]
    for smaller, larger in itertools.pairwise(sets):
        assert smaller < larger
    assert sets[-1] == set(known[case])


def test_no_blocks():
    assert [recipe.blocks([]) for recipe in RECIPES] == [frozenset()] * len(RECIPES)
    assert moves([]) == []


def test_names_are_told_apart():
    assert len({recipe.name for recipe in RECIPES}) == len({recipe.words for recipe in RECIPES}) == len(RECIPES)
    assert all(recipe.name.startswith("int8 ") for recipe in RECIPES)


KINDS = [  # kinds, what it covers, what it does not
    (MLP, "stages.0.blocks.1.mlp.dwconv", "stages.0.blocks.1.attn.proj"),
    (HEAD, "neck.output.2", "neck.lateral.2"),
    (HEAD, "head.cls.1", "head"),
    (HEAD, "head.reg_out", "head.reg"),
    (LINEARS, "head", "head.cls.0"),
    (LINEARS, "stages.3.blocks.0.attn.k", "stages.3.blocks.0.attn.products"),
    (PRODUCTS, "stages.3.blocks.0.attn.products", "stages.3.blocks.0.attn.sr"),
]


@pytest.mark.parametrize(("kinds", "inside", "outside"), KINDS)
def test_kinds(kinds, inside, outside):
    assert kind_of(inside) in kinds
    assert kind_of(outside) not in kinds


def test_late_linears_are_those_of_the_last_two_stages(known):
    added = RECIPES[2].blocks(known["b0", "classify"]) - RECIPES[1].blocks(known["b0", "classify"])
    names = ("q", "k", "v", "proj")
    assert added == {"head", *(f"stages.{stage}.blocks.0.attn.{name}" for stage in (2, 3) for name in names)}


@pytest.mark.parametrize("case", CASES)
def test_moves_reach_every_block(known, case):
    blocks, sets = known[case], moves(known[case])
    assert all(sets)
    assert set().union(*sets) == set(blocks)
    assert all(moved <= set(blocks) for moved in sets)


def test_a_move_stays_in_one_stage(known):
    for moved in moves(known["b0", "detect"]):
        parts = {name.split(".")[1] if name.startswith("stages") else name.split(".")[0] for name in moved}
        assert len(parts) == 1, moved
    assert {"head.cls.0", "head.cls.1", "head.reg.0", "head.reg.1"} in moves(known["b0", "detect"])
    assert {"head"} in moves(known["b0", "classify"])
    stage = {f"stages.1.blocks.{i}.mlp.{name}" for i in (0, 1) for name in ("fc1", "dwconv", "fc2")}
    assert stage in moves(known["b0", "detect"])


def test_the_recorded_recipe_is_one_of_them():
    assert RECORDED in RECIPES
