"""Exact foldings of one layer into its neighbour; each returns a new layer and leaves its inputs alone."""

from torch import Tensor, nn


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], dtype=weight.dtype, device=weight.device)
    layer.weight, layer.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
    return layer


def _conv(like: nn.Conv2d, weight: Tensor, bias: Tensor) -> nn.Conv2d:
    assert not isinstance(like.padding, str)
    layer = nn.Conv2d(
        weight.shape[1] * like.groups,
        weight.shape[0],
        (like.kernel_size[0], like.kernel_size[1]),
        (like.stride[0], like.stride[1]),
        padding=(like.padding[0], like.padding[1]),
        groups=like.groups,
        dtype=weight.dtype,
        device=weight.device,
    )
    layer.weight, layer.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
    return layer


def _bias(layer: nn.Linear | nn.Conv2d) -> Tensor:
    return layer.weight.new_zeros(layer.weight.shape[0]) if layer.bias is None else layer.bias


def fold_norm_into_linear(norm: nn.LayerNorm, linear: nn.Linear) -> nn.Linear:
    """A linear L' with L'(n) = linear(n * gamma + beta), n the normalised input without affine."""
    return _linear(linear.weight * norm.weight, _bias(linear) + linear.weight @ norm.bias)


def fold_norm_into_conv(norm: nn.LayerNorm, conv: nn.Conv2d) -> nn.Conv2d:
    """A convolution of the normalised map without affine that gives what `conv` gives with it.

    Only for convolutions without padding: beta would have to be added to the padded zeros too.
    """
    if any(conv.padding):
        raise ValueError("LayerNorm's shift cannot be folded into a convolution that pads with zeros")
    weight = conv.weight * norm.weight.view(1, -1, 1, 1)
    return _conv(conv, weight, _bias(conv) + conv.weight.sum(dim=(2, 3)) @ norm.bias)


def fold_batch_norm(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """A convolution that gives what `conv` followed by `norm` in eval mode gives."""
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    bias = norm.bias + (_bias(conv) - norm.running_mean) * scale
    return _conv(conv, conv.weight * scale.view(-1, 1, 1, 1), bias)


def centre_conv(conv: nn.Conv2d) -> nn.Conv2d:
    """A convolution that gives what `conv` gives, less its mean over the channels."""
    weight, bias = conv.weight, _bias(conv)
    return _conv(conv, weight - weight.mean(dim=0, keepdim=True), bias - bias.mean())


def scale_linear(linear: nn.Linear, factor: float) -> nn.Linear:
    """A linear that gives `factor` times what `linear` gives."""
    return _linear(linear.weight * factor, _bias(linear) * factor)


def as_conv(linear: nn.Linear) -> nn.Conv2d:
    """The 1x1 convolution of maps (B, C, H, W) that gives what `linear` gives on tokens (B, N, C)."""
    like = nn.Conv2d(linear.in_features, linear.out_features, 1, device="meta")
    return _conv(like, linear.weight[:, :, None, None], _bias(linear))


def split_linear(linear: nn.Linear, parts: int) -> list[nn.Linear]:
    """`parts` linears, each giving an equal slice of what `linear` gives."""
    weights, biases = linear.weight.chunk(parts), _bias(linear).chunk(parts)
    return [_linear(w, b) for w, b in zip(weights, biases, strict=True)]


def fold_input(conv: nn.Conv2d, std: Tensor, channel_order: str = "RGB") -> nn.Conv2d:
    """A convolution of BGR pixels minus their mean that gives what `conv` gives on normalised pixels.

    `std` (3,) is in the order of the channels that `conv` takes.

    The mean itself stays outside: zero padding means "the mean colour" to the trained model.
    """
    weight = conv.weight / std.to(conv.weight).view(1, 3, 1, 1)
    return _conv(conv, weight if channel_order == "BGR" else weight.flip(1), _bias(conv))
