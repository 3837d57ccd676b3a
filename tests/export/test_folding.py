"""Each folding alone, in float64: the new layer gives what the old pair gave."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pvt_edge.checkpoints.preprocessing import IMAGENET, normalise
from pvt_edge.export.deploy.folding import (
    as_conv,
    centre_conv,
    fold_batch_norm,
    fold_input,
    fold_norm_into_conv,
    fold_norm_into_linear,
    scale_linear,
    split_linear,
)

from .made import noise, randomise

EXACT = 1e-9


def made(layer: nn.Module, seed: int = 0) -> nn.Module:
    return randomise(layer.double(), seed).eval()


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype == torch.float64 and (a - b).abs().max().item() < EXACT


LINEARS = [(1, 1), (1, 5), (32, 32), (32, 64), (160, 320), (256, 10)]  # features in, out


@pytest.mark.parametrize(("dim", "out"), LINEARS)
@pytest.mark.parametrize("bias", [True, False])
def test_norm_into_linear(dim, out, bias):
    norm, linear = made(nn.LayerNorm(dim), 1), made(nn.Linear(dim, out, bias=bias))
    x = noise(2, 7, dim)
    folded = fold_norm_into_linear(norm, linear)
    assert same(folded(F.layer_norm(x, (dim,), eps=norm.eps)), linear(norm(x)))


@pytest.mark.parametrize(
    ("dim", "out", "kernel", "size"),
    [(3, 4, 1, (1, 1)), (32, 32, 8, (16, 24)), (64, 64, 4, (8, 8)), (160, 160, 2, (5, 7)), (32, 8, 1, (3, 5))],
)
@pytest.mark.parametrize("bias", [True, False])
def test_norm_into_conv(dim, out, kernel, size, bias):
    norm = made(nn.LayerNorm(dim), 1)
    conv = made(nn.Conv2d(dim, out, kernel, kernel, bias=bias))
    x = noise(2, *size, dim)
    plain = F.layer_norm(x, (dim,), eps=norm.eps).permute(0, 3, 1, 2)
    assert same(fold_norm_into_conv(norm, conv)(plain), conv(norm(x).permute(0, 3, 1, 2)))


@pytest.mark.parametrize("padding", [1, (0, 1), (1, 0)])
def test_norm_into_a_conv_that_pads_is_refused(padding):
    with pytest.raises(ValueError, match="pads with zeros"):
        fold_norm_into_conv(nn.LayerNorm(4), nn.Conv2d(4, 4, 3, padding=padding))


@pytest.mark.parametrize(
    ("dim", "out", "options"),
    [
        (3, 5, {"kernel_size": 1}),
        (64, 64, {"kernel_size": 3, "padding": 1}),
        (8, 6, {"kernel_size": 3, "stride": 2, "padding": 1}),
        (8, 8, {"kernel_size": 3, "padding": 1, "groups": 8}),
        (8, 4, {"kernel_size": (3, 1), "padding": (1, 0), "groups": 2}),
    ],
)
@pytest.mark.parametrize("bias", [True, False])
def test_batch_norm(dim, out, options, bias):
    conv = made(nn.Conv2d(dim, out, bias=bias, **options))
    norm = made(nn.BatchNorm2d(out), 1)
    x = noise(2, dim, 6, 7)
    assert same(fold_batch_norm(conv, norm)(x), norm(conv(x)))


@pytest.mark.parametrize(("dim", "out"), LINEARS)
@pytest.mark.parametrize("factor", [0.0, 1.0, 32**-0.5, -3.0])
def test_scale(dim, out, factor):
    linear, x = made(nn.Linear(dim, out)), noise(2, 7, dim)
    assert same(scale_linear(linear, factor)(x), linear(x) * factor)


@pytest.mark.parametrize(("dim", "out", "parts"), [(1, 1, 1), (8, 16, 2), (32, 64, 2), (5, 9, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_split(dim, out, parts, bias):
    linear, x = made(nn.Linear(dim, out, bias=bias)), noise(2, 7, dim)
    pieces = split_linear(linear, parts)
    assert [piece.out_features for piece in pieces] == [out // parts] * parts
    assert same(torch.cat([piece(x) for piece in pieces], dim=2), linear(x))


@pytest.mark.parametrize(("dim", "out"), LINEARS)
@pytest.mark.parametrize("bias", [True, False])
def test_linear_as_conv(dim, out, bias):
    linear, x = made(nn.Linear(dim, out, bias=bias)), noise(2, 6, dim)
    image = x.transpose(1, 2).unflatten(2, (2, 3))  # (B, C, 2, 3)
    conv = as_conv(linear)
    assert conv.kernel_size == (1, 1)
    assert same(conv(image).flatten(2).transpose(1, 2), linear(x))


@pytest.mark.parametrize(
    ("dim", "out", "options"),
    [
        (3, 5, {"kernel_size": 1}),
        (3, 1, {"kernel_size": 1}),
        (3, 32, {"kernel_size": 7, "stride": 4, "padding": 3}),
        (32, 64, {"kernel_size": 3, "stride": 2, "padding": 1}),
        (64, 64, {"kernel_size": 4, "stride": 4}),
    ],
)
@pytest.mark.parametrize("bias", [True, False])
def test_centred_conv(dim, out, options, bias):
    conv, x = made(nn.Conv2d(dim, out, bias=bias, **options)), noise(2, dim, 8, 12)
    wanted = conv(x)
    assert same(centre_conv(conv)(x), wanted - wanted.mean(dim=1, keepdim=True))


@pytest.mark.parametrize("size", [(32, 32), (36, 52), (5, 9)])
def test_input_with_its_borders(size):
    conv = made(nn.Conv2d(3, 16, 7, 4, padding=3))
    pixels = torch.randint(0, 256, (2, *size, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    mean_bgr = torch.tensor(IMAGENET.mean[::-1], dtype=torch.float64).view(1, 3, 1, 1)
    rgb = pixels.flip(-1).permute(0, 3, 1, 2).double()
    mean, std = (torch.tensor(v, dtype=torch.float64).view(1, 3, 1, 1) for v in (IMAGENET.mean, IMAGENET.std))
    expected = conv((rgb - mean) / std)
    std_rgb = torch.tensor(IMAGENET.std, dtype=torch.float64)
    found = fold_input(conv, std_rgb)(pixels.permute(0, 3, 1, 2).double() - mean_bgr)
    assert same(found, expected)
    assert (conv(normalise(pixels).double()) - expected).abs().max() < 1e-4  # what the training form is fed


@pytest.mark.parametrize(
    "fold",
    [
        lambda linear, norm, conv, batch: fold_norm_into_linear(norm, linear),
        lambda linear, norm, conv, batch: fold_norm_into_conv(norm, conv),
        lambda linear, norm, conv, batch: fold_batch_norm(conv, batch),
        lambda linear, norm, conv, batch: scale_linear(linear, 2.0),
        lambda linear, norm, conv, batch: split_linear(linear, 1)[0],
        lambda linear, norm, conv, batch: fold_input(conv, torch.ones(3)),
        lambda linear, norm, conv, batch: centre_conv(conv),
        lambda linear, norm, conv, batch: as_conv(linear),
    ],
    ids=["norm into linear", "norm into conv", "batch norm", "scale", "split", "input", "centre", "as conv"],
)
def test_the_old_layers_are_left_alone_and_share_nothing(fold):
    layers = [made(layer) for layer in (nn.Linear(3, 3), nn.LayerNorm(3), nn.Conv2d(3, 3, 2), nn.BatchNorm2d(3))]
    before = copy.deepcopy([layer.state_dict() for layer in layers])
    new = fold(*layers)
    with torch.no_grad():
        for tensor in new.state_dict().values():
            tensor.fill_(7)
    for layer, old in zip(layers, before, strict=True):
        assert all(torch.equal(tensor, old[name]) for name, tensor in layer.state_dict().items())
