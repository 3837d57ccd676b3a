"""INT8 simulated in training: placed layers compute with values rounded to the grids that an export stores them on.

Weights lie on a symmetric grid an output channel, activations on one a tensor, of 256 levels: from zero up where
nothing is below it, else around it, as OpenVINO's files have them. Gradients pass straight through, but for what lies
beyond a grid. A LayerNorm's affine part is computed in the layers behind it, as in the deploy form, whose weights are
those that are rounded. No parameter changes its name or its meaning: what is saved are weights like any other.
"""

import re
from collections.abc import Collection, Iterable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pvt_edge.models import Model
from pvt_edge.models.pvt_v2 import AttentionProducts, Block
from pvt_edge.precision_plan import is_miscounted

LEAST = 1e-8  # of a range: a tensor that is always zero
_TOWER = re.compile(r"(head\.(?:cls|reg)\.\d+)\.conv")


class Grid(NamedTuple):
    """Levels `lowest` to `highest` times `step`."""

    step: float
    lowest: int
    highest: int


class Rounding:
    """Rounds a tensor that a layer reads; until it is settled it only looks at the ranges.

    A layer that the levels of a pyramid share reads several tensors in a pass, always in the same order, and each has a
    grid of its own.
    """

    def __init__(self) -> None:
        self.seen: list[tuple[float, float]] = []
        self.grids: tuple[Grid, ...] = ()
        self.turn = 0

    def __call__(self, x: Tensor) -> Tensor:
        if not self.grids:
            low, high = x.detach().aminmax()
            self.seen.append((float(low), float(high)))
            return x
        grid = self.grids[self.turn]
        self.turn = (self.turn + 1) % len(self.grids)
        return torch.fake_quantize_per_tensor_affine(x.float(), grid.step, 0, grid.lowest, grid.highest)

    def both(self, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """The tensor and the layer's weight."""
        return self(x), round_weight(weight) if self.grids else weight

    def settle(self, passes: int) -> None:
        """Take the grids of the ranges seen in so many passes: extremes of a pass, averaged over passes."""
        if self.seen:  # else it is in a branch that is left out
            means = np.array(self.seen).reshape(passes, -1, 2).mean(axis=0)  # (tensors of a pass, 2)
            self.grids = tuple(_grid(float(low), float(high)) for low, high in means)


def _grid(low: float, high: float) -> Grid:
    top = max(-low, high, LEAST)
    return Grid(top / 255, 0, 255) if low >= 0 else Grid(top / 127, -128, 127)


def round_weight(weight: Tensor) -> Tensor:
    """A weight (out, ...) on the grid of each output channel, -127 to 127."""
    steps = weight.detach().flatten(1).abs().amax(dim=1).clamp_min(LEAST) / 127
    zeros = torch.zeros_like(steps, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weight, steps, zeros, 0, -127, 127)


class PlainNorm(nn.LayerNorm):
    """A LayerNorm whose affine part the layers that read it compute; it keeps the parameters."""

    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__(norm.normalized_shape, norm.eps, device="meta")
        self.weight, self.bias = norm.weight, norm.bias

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.normalized_shape, eps=self.eps)


class DeployedLinear(nn.Linear):
    """A linear as an export computes it: with the affine part of the norm before it, and rounded where it is placed."""

    def __init__(self, linear: nn.Linear, norm: nn.LayerNorm | None, rounding: Rounding | None) -> None:
        super().__init__(linear.in_features, linear.out_features, device="meta")
        self.weight, self.bias = linear.weight, linear.bias
        self.norm, self.rounding = (norm,), rounding  # a tuple: the norm is no part of it

    def forward(self, x: Tensor) -> Tensor:
        weight: Tensor = self.weight
        bias: Tensor = self.bias
        (norm,) = self.norm
        if norm is not None:
            weight, bias = weight * norm.weight, bias + weight @ norm.bias
        if self.rounding is not None:
            x, weight = self.rounding.both(x, weight)
        return F.linear(x, weight, bias)


class DeployedConv2d(nn.Conv2d):
    """As `DeployedLinear`; before convolutions that pad there is no norm to take in."""

    def __init__(self, conv: nn.Conv2d, norm: nn.LayerNorm | None, rounding: Rounding | None) -> None:
        assert norm is None or not any(conv.padding)
        super().__init__(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size,  # type: ignore[arg-type]
            conv.stride,  # type: ignore[arg-type]
            conv.padding,  # type: ignore[arg-type]
            groups=conv.groups,
            bias=conv.bias is not None,
            device="meta",
        )
        self.weight, self.bias = conv.weight, conv.bias
        self.norm, self.rounding = (norm,), rounding

    def forward(self, x: Tensor) -> Tensor:
        weight, bias, (norm,) = self.weight, self.bias, self.norm
        if norm is not None:
            shift = weight.sum(dim=(2, 3)) @ norm.bias
            weight, bias = weight * norm.weight.view(1, -1, 1, 1), shift if bias is None else bias + shift
        if self.rounding is not None:
            x, weight = self.rounding.both(x, weight)
        return self._conv_forward(x, weight, bias)


class RoundedProducts(AttentionProducts):
    """Attention's two products with all that they read rounded."""

    def __init__(self) -> None:
        super().__init__()
        self.queries, self.keys, self.shares, self.values = (Rounding() for _ in range(4))

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        scores = self.queries(q) @ self.keys(k).transpose(2, 3) * q.shape[3] ** -0.5  # (B, heads, N, M)
        return self.shares(scores.softmax(dim=3)) @ self.values(v)


def block_names(model: Model) -> list[str]:
    """The blocks of `model` that can run in INT8, as precision plans and exported graphs call them."""
    return [block for name, module in model.named_modules() for block in _blocks_of(name, module)]


def _blocks_of(name: str, module: nn.Module) -> tuple[str, ...]:
    """The blocks that a module computes: keys and values are two, a convolution that no runtime gets right is none."""
    if not isinstance(module, nn.Linear | nn.Conv2d | AttentionProducts):
        return ()
    if isinstance(module, nn.Conv2d) and is_miscounted(module.in_channels // module.groups, module.kernel_size):
        return ()
    name = name.removeprefix("backbone.")
    if name.endswith(".attn.kv"):
        return name.removesuffix("kv") + "k", name.removesuffix("kv") + "v"
    tower = _TOWER.fullmatch(name)
    return (tower[1] if tower else re.sub(r"\.patch_embed\.proj$", ".patch_embed", name),)


def simulate_int8(model: Model, blocks: Collection[str], pictures: Iterable[Tensor]) -> Model:
    """`model` itself, which from now on computes as an export with `blocks` in INT8 does.

    Args:
        model: In eval mode.
        blocks: Among `block_names`. Keys and values lie in one layer, which is rounded where either is placed.
        pictures: What the grids of activations are taken from: normalised RGB (1, 3, H, W).
    """
    norms = _norms_by_reader(model)
    roundings: list[Rounding] = []

    def placed(name: str, module: nn.Module) -> Rounding | None:
        if not any(block in blocks for block in _blocks_of(name, module)):
            return None
        roundings.append(Rounding())
        return roundings[-1]

    folded = set(norms.values())
    for name, module in [*model.named_modules()]:
        norm = norms.get(module)
        if isinstance(module, nn.LayerNorm) and module in folded:
            model.set_submodule(name, PlainNorm(module))
        elif isinstance(module, nn.Linear):
            model.set_submodule(name, DeployedLinear(module, norm, placed(name, module)))
        elif isinstance(module, nn.Conv2d):
            model.set_submodule(name, DeployedConv2d(module, norm, placed(name, module)))
        elif isinstance(module, AttentionProducts) and placed(name, module):
            products = RoundedProducts()
            roundings[-1:] = [products.queries, products.keys, products.shares, products.values]
            model.set_submodule(name, products)
    passes = 0
    with torch.inference_mode():
        for picture in pictures:
            model(picture)
            passes += 1
    for rounding in roundings:
        rounding.settle(passes)
    return model


def _norms_by_reader(model: Model) -> dict[nn.Module, nn.LayerNorm]:
    """The layers that alone read a LayerNorm, and which."""
    found: dict[nn.Module, nn.LayerNorm] = {}
    for block in model.modules():
        if not isinstance(block, Block):
            continue
        attn = block.attn
        found[attn.q] = found[attn.sr if attn.reduces else attn.kv] = block.norm1
        found[block.mlp.fc1] = block.norm2
        if attn.reduces and not attn.linear:  # linear has a GELU between
            found[attn.kv] = attn.norm
    if last := model.last_norm():
        norm, reader = last
        found[reader] = norm
    return found
