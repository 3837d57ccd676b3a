"""What lies beside the model among a file's tensors: losses, metrics, counters, and a class layer of another name."""

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

_COUNTERS = frozenset(("total_ops", "total_params", "n_averaged"))  # of thop and of torch's AveragedModel
_BESIDE = frozenset(("criterion", "criteria", "loss", "losses", "metric", "metrics", "acc", "accuracy", "auroc"))
_AUXILIARY = "auxiliary_head"  # of a segmenter, for training alone
_PHASES = frozenset(("train", "training", "val", "valid", "validation", "test"))  # val_acc.tp, train_f1.total
_CLASS_LAYER = frozenset(("fc", "head", "heads", "classifier", "cls", "linear", "logits", "output", "out"))


def is_beside(name: str, root: str) -> bool:
    """Whether `name` belongs to no part of the model whose names begin with `root`.

    All outside the root does; inside it, what calls itself a loss, a metric or a counter.
    """
    if not name.startswith(root) or name.rpartition(".")[2] in _COUNTERS:
        return True
    first = name[len(root) :].partition(".")[0]
    return first == _AUXILIARY or bool(_BESIDE & _words(first)) or first.lower().partition("_")[0] in _PHASES


def find_class_layer(names: Iterable[str], tensors: Mapping[str, Tensor], channels: int) -> str | None:
    """The one module among `names` that is called as class layers are; None unless it is a linear of `channels`.

    Its weight is (K, channels), its bias (K,); another such module beside it, a hidden layer say, makes it None.
    """
    layers = {name.rpartition(".")[0] for name in names}
    layers = {layer for layer in layers if layer and _CLASS_LAYER & _words(layer) and not _BESIDE & _words(layer)}
    if len(layers) != 1:
        return None
    layer = layers.pop()
    weight, bias = tensors.get(f"{layer}.weight"), tensors.get(f"{layer}.bias")
    if weight is None or bias is None or weight.ndim != 2 or weight.shape != (*bias.shape, channels):
        return None
    return layer


def _words(name: str) -> frozenset[str]:
    """The lower-case words of a name: val_acc -> val, acc; fc1 -> fc.

    >>> sorted(_words("valAcc.fc_1"))
    ['acc', 'fc', 'val']
    """
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    return frozenset(word for word in re.split(r"[^a-z]+", parted) if word)
