"""Moves as text, and what they make of the training form, against their definition written as loops."""

import json

import pytest
import torch
from torch import Tensor

from pvt_edge.errors import ArgumentError, PvtEdgeError, UnknownNameError
from pvt_edge.models.pvt_v2 import Attention, Block, Mlp, pool_tokens, spread_tokens
from pvt_edge.models.table import apply_moves, moves_of
from pvt_edge.moves import NONE, RECIPE, BlockMoves, Moves, block_names, read_moves, single_moves
from pvt_edge.variants import get_variant
from pvt_edge.zoo import create_model

B0, LINEAR = get_variant("b0"), get_variant("b2-li")
SIZE = (480, 640)


def test_none_is_exact():
    assert not NONE
    assert NONE == Moves() == read_moves({})
    assert NONE.blocks(B0) == {}
    assert NONE.words(B0) == "exact"
    NONE.check(B0, (32, 32))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"stages.0": {"pool_keys": 4}}, "keys pooled 4x4 in stage 1"),
        ({"stages.0": {"pool_keys": 2}, "stages.1": {"pool_keys": 2}}, "keys pooled 2x2 in stages 1 and 2"),
        ({"stages.1.blocks.1.attn": {"pool_queries": 2}}, "queries pooled 2x2 in block 2 of stage 2"),
        ({"stages.0.blocks.1.mlp": {"leave_out": True}}, "MLP left out in block 2 of stage 1"),
        ({"stages.0.blocks.1": {"leave_out": True}}, "attention left out in block 2 of stage 1, MLP left out in"),
        ({"stages.3": {"pool": 3}, "stages.3.blocks.0.mlp": {}}, "MLP pooled 3x3 in block 2 of stage 4"),
    ],
)
def test_words_and_json(given, words):
    moves = read_moves(given)
    assert moves.words(B0).startswith(words)
    assert json.loads(moves.model_dump_json()) == given
    again = read_moves(json.loads(moves.model_dump_json()))
    assert again == moves
    assert hash(again) == hash(moves)


def test_a_name_stands_for_what_lies_below_and_the_longest_counts():
    moves = read_moves({"stages.0": {"pool_keys": 4, "pool": 2}, "stages.0.blocks.1": {"pool_keys": 2}})
    assert moves.blocks(B0) == {
        "stages.0.blocks.0.attn": BlockMoves(pool_keys=4),
        "stages.0.blocks.0.mlp": BlockMoves(pool=2),
        "stages.0.blocks.1.attn": BlockMoves(pool_keys=2),
    }


@pytest.mark.parametrize(
    ("a", "b", "both"),
    [
        ({}, {"x": {"pool_keys": 2}}, {"x": {"pool_keys": 2}}),
        ({"x": {"pool_keys": 2}}, {"x": {"pool_queries": 2}}, {"x": {"pool_keys": 2, "pool_queries": 2}}),
        ({"x": {"pool_keys": 2}}, {"x": {"pool_keys": 4}}, {"x": {"pool_keys": 4}}),
        ({"x": {"pool_keys": 2}}, {"x": {"leave_out": True}}, {"x": {"leave_out": True}}),
        ({"x": {"leave_out": True}}, {"x": {"pool": 2}}, {"x": {"leave_out": True}}),
        ({"x": {"pool_queries": 4}}, {"x": {"pool_queries": 2}}, {"x": {"pool_queries": 4}}),
    ],
)
def test_both(a, b, both):
    assert read_moves(a) | read_moves(b) == read_moves(both)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([], "the whole"),
        ("x", "the whole"),
        ({"stages.0": 4}, "stages.0"),
        ({"stages.0": {"pool_keys": 0}}, "greater than or equal to 1"),
        ({"stages.0": {"pool_keys": 2.5}}, "integer"),
        ({"stages.0": {"pool_keys": True}}, "integer"),
        ({"stages.0": {"pool_keys": "2"}}, "integer"),
        ({"stages.0": {"leave_out": 1}}, "boolean"),
        ({"stages.0": {"pol_keys": 2}}, "known are pool_keys, pool_queries, pool, leave_out"),
        ({"stages.0.blocks.0.attn": {"pool_keys": 2, "leave_out": True}}, "leave_out contradicts pool_keys"),
    ],
)
def test_what_is_no_moves(given, told):
    with pytest.raises(ArgumentError, match="the moves: .*" + told) as caught:
        read_moves(given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("variant", "imgsz", "given", "told"),
    [
        (
            B0,
            SIZE,
            {"stages.4": {"leave_out": True}},
            "unknown block in the moves 'stages.4': .*stages.0.blocks.0.attn",
        ),
        (B0, SIZE, {"stages.0.blocks.2.attn": {"leave_out": True}}, "did you mean 'stages.0.blocks."),
        (B0, SIZE, {"stages.0.blocks.0": {"pool_kv": 2}}, "known are"),
        (B0, SIZE, {"head": {"leave_out": True}}, "unknown block"),
        (B0, SIZE, {"stages.0.blocks.0.mlp": {"pool_keys": 2}}, "cannot make pool_keys: it takes pool, leave_out"),
        (B0, SIZE, {"stages.0.blocks.0.attn": {"pool": 2}}, "cannot make pool: it takes pool_keys, pool_queries"),
        (B0, SIZE, {"stages.0": {"pool_keys": 16}}, "larger than its map of 15x20 at image size 480,640"),
        (B0, (64, 64), {"stages.0": {"pool_keys": 4}}, "larger than its map of 2x2"),
        (B0, (64, 96), {"stages.3": {"pool_keys": 3}}, "larger than its map of 2x3"),
        (B0, (64, 96), {"stages.3": {"pool": 3}}, "larger than its map of 2x3"),
        (LINEAR, SIZE, {"stages.0": {"pool_keys": 8}}, "larger than its map of 7x7"),
    ],
)
def test_what_a_model_cannot_make(variant, imgsz, given, told):
    with pytest.raises(PvtEdgeError, match=told):
        read_moves(given).check(variant, imgsz)


def test_largest_pools_pass():
    read_moves({"stages.0": {"pool_keys": 15}, "stages.3": {"pool": 15, "pool_queries": 15}}).check(B0, SIZE)
    read_moves({"stages.0": {"pool_keys": 7}}).check(LINEAR, (64, 64))


def test_a_recipe_at_a_smaller_size():
    recipe = read_moves({"stages.0": {"pool_keys": 4, "pool_queries": 2}, "stages.1.blocks.0.mlp": {"leave_out": True}})
    assert recipe.fitting(B0, SIZE).blocks(B0) == recipe.blocks(B0)
    small = recipe.fitting(B0, (64, 64))
    small.check(B0, (64, 64))
    assert small.blocks(B0)["stages.0.blocks.0.attn"] == BlockMoves(pool_queries=2)
    assert "stages.1.blocks.0.mlp" in small.blocks(B0)


def test_single_moves_can_be_made_and_are_all_different():
    for variant, imgsz in ((B0, SIZE), (B0, (64, 64)), (LINEAR, SIZE)):
        found = single_moves(variant, imgsz)
        for moves in found:
            moves.check(variant, imgsz)
        assert len(set(found)) == len(found) > 2 * sum(variant.depths)


# ---- the training form


def windows(h: int, w: int, side: int) -> list[list[int]]:
    """The tokens of each window of a map, row by row, written out."""
    return [
        [i * w + j for i in range(top, min(top + side, h)) for j in range(left, min(left + side, w))]
        for top in range(0, h, side)
        for left in range(0, w, side)
    ]


@pytest.mark.parametrize(("h", "w", "side"), [(1, 1, 1), (4, 6, 2), (5, 7, 2), (5, 7, 3), (3, 4, 3), (15, 20, 4)])
def test_windows(h, w, side):
    x = torch.randn(2, h * w, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    pooled, ph, pw = pool_tokens(x, h, w, side)
    members = windows(h, w, side)
    assert ph * pw == len(members)
    spread = spread_tokens(pooled, h, w, side)
    for place, tokens in enumerate(members):
        assert torch.allclose(pooled[:, place], x[:, tokens].mean(1), atol=1e-12)
        for token in tokens:
            assert torch.equal(spread[:, token], pooled[:, place])


def filled(module: torch.nn.Module) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        parameter.data = torch.randn(parameter.shape, dtype=torch.float64, generator=generator) * 0.3
    return module.eval()


def tokens(h: int, w: int) -> Tensor:
    return torch.randn(1, h * w, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("ratio", "linear"), [(2, False), (1, False), (1, True)])
def test_pooled_keys_are_averages_of_keys_and_of_values(ratio, linear):
    h, w = 10, 14
    attention, x = filled(Attention(8, 2, ratio, linear)), tokens(h, w)
    reduced = attention.reduce(x, h, w)  # before any move
    map_hw = (7, 7) if linear else (h // ratio, w // ratio)
    members = windows(*map_hw, 2)
    k, v = (torch.stack([part[:, m].mean(1) for m in members], 1) for part in attention.kv(reduced).chunk(2, 2))
    q, out = attention.q(x), []
    for head in range(2):
        own = slice(4 * head, 4 * head + 4)
        out.append(torch.softmax(q[..., own] @ k[..., own].transpose(1, 2) / 2, -1) @ v[..., own])
    attention.moves = BlockMoves(pool_keys=2)
    assert (attention(x, h, w) - attention.proj(torch.cat(out, 2))).abs().max() < 1e-12


def test_pooled_queries_give_one_answer_a_window():
    h, w = 5, 6
    attention, x = filled(Attention(8, 2, 2, linear=False)), tokens(h, w)
    attention.moves = BlockMoves(pool_queries=2)
    found = attention(x, h, w)
    attention.moves = BlockMoves()
    for members in windows(h, w, 2):
        own = x.clone()
        kv = attention.reduce(x, h, w)
        attention.reduce = lambda *_, kv=kv: kv  # keys stay those of the whole map
        own[:, members] = x[:, members].mean(1, keepdim=True)
        wanted = attention(own, h, w)[:, members]
        del attention.reduce
        assert (found[:, members] - wanted).abs().max() < 1e-12


def test_a_pooled_mlp_is_the_mlp_of_the_small_map():
    h, w = 5, 6
    mlp, x = filled(Mlp(8, 2, linear=False)), tokens(h, w)
    members = windows(h, w, 2)
    small = mlp(torch.stack([x[:, m].mean(1) for m in members], 1), 3, 3)
    mlp.moves = BlockMoves(pool=2)
    found = mlp(x, h, w)
    for place, own in enumerate(members):
        assert (found[:, own] - small[:, [place]]).abs().max() < 1e-12


@pytest.mark.parametrize("training", [False, True])
def test_a_branch_left_out_changes_nothing_and_is_not_computed(training):
    block, x = filled(Block(8, 2, 2, 2, linear=False, drop_path=0.0)).train(training), tokens(4, 4)
    wanted = x + block.mlp(block.norm2(x), 4, 4)
    block.attn.moves = BlockMoves(leave_out=True)
    block.attn.forward = None
    assert torch.equal(block(x, 4, 4), wanted)
    block.mlp.moves = BlockMoves(leave_out=True)
    assert torch.equal(block(x, 4, 4), x)


def test_applied_to_a_model_and_taken_back():
    moves = read_moves({"stages.0": {"pool_keys": 2, "pool": 2}, "stages.1.blocks.1.attn": {"leave_out": True}})
    model = create_model("b0", "detect", head="lite").eval()
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        exact = model(images)[0][0]
        assert apply_moves(model, moves) is model
        assert moves_of(model).blocks(B0) == moves.blocks(B0)
        assert not torch.equal(model(images)[0][0], exact)
        apply_moves(model, read_moves({"stages.3": {"pool": 2}}))
        assert list(moves_of(model).root) == ["stages.3.blocks.0.mlp", "stages.3.blocks.1.mlp"]
        apply_moves(model, NONE)
        assert moves_of(model) == NONE
        assert torch.equal(model(images)[0][0], exact)


def test_applied_to_one_model_only():
    one, other = create_model("b0", "features"), create_model("b0", "features")
    apply_moves(one, read_moves({"stages.0": {"pool": 2}}))
    assert moves_of(other) == NONE


def test_refused_moves_leave_the_model_as_it_was():
    model = apply_moves(create_model("b0", "features"), read_moves({"stages.0": {"pool": 2}}))
    with pytest.raises(UnknownNameError):
        apply_moves(model, read_moves({"stages.1": {"pool": 2}, "stages.9": {"pool": 2}}))
    assert list(moves_of(model).root) == [
        name for name in block_names(B0) if name.startswith("stages.0.") and "mlp" in name
    ]


@pytest.mark.parametrize("imgsz", [(32, 32), (64, 96), (224, 224), SIZE])
def test_the_recipe_at_any_size(imgsz):
    for variant in (B0, LINEAR):
        fitting = RECIPE.fitting(variant, imgsz)
        fitting.check(variant, imgsz)
        assert "queries pooled 2x2 in stage" in fitting.words(variant) or imgsz == (32, 32)
    assert RECIPE.fitting(B0, SIZE).blocks(B0) == RECIPE.blocks(B0)
