"""A file's model in our names: what `load_weights` loads, and what a checkpoint is without building a model."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

from torch import Tensor

from pvt_edge.checkpoints import naming
from pvt_edge.checkpoints.dialects import DIALECTS, Dialect
from pvt_edge.checkpoints.fitting import name_of, traits_of_tensors
from pvt_edge.checkpoints.naming import BACKBONE
from pvt_edge.checkpoints.reading import Checkpoint, read_checkpoint
from pvt_edge.checkpoints.sidecar import Sidecar, read_sidecar
from pvt_edge.checkpoints.trained_head import TrainedHead, read_own_head, read_trained_head, read_trained_segmenter
from pvt_edge.checkpoints.translation import Translation, to_native
from pvt_edge.checkpoints.weight_files import first_few, refuse
from pvt_edge.models import MODELS, Backbone, Model, get_family
from pvt_edge.variants import VARIANTS

_COUNTERS = frozenset(("total_ops", "total_params", "n_averaged"))  # of thop and of torch's AveragedModel
_BESIDE = frozenset(("criterion", "criteria", "loss", "losses", "metric", "metrics", "acc", "accuracy", "auroc"))
_AUXILIARY = "auxiliary_head"  # of a segmenter, for training alone
_PHASES = frozenset(("train", "training", "val", "valid", "validation", "test"))  # val_acc.tp, train_f1.total
_CLASS_LAYER_WORDS = frozenset(("fc", "head", "heads", "classifier", "cls", "linear", "logits", "output", "out"))
_CLASS_LAYER = ("head.weight", "head.bias")
_CLASS_MAP = "head.classes.weight"
_BOXES = "head.reg_out.weight"
_LAST_CHANNELS = f"{BACKBONE}stages.3.patch_embed.proj.bias"
_FOREIGN_HEAD = "segmentation_head"  # of segmentation_models.pytorch, beside its encoder and decoder
_FOREIGN_DECODER = (
    "is of segmentation_models.pytorch, whose decoders are other networks than the heads here (linear, lite, and "
    "mmseg's Semantic FPN and UPerNet): its encoder loads alone, torch.save(model.encoder.model.state_dict(), FILE), "
    "and pvt-edge train --task segment --weights FILE trains a head on it"
)


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
    layers = {layer for layer in layers if layer and _CLASS_LAYER_WORDS & _words(layer) and not _BESIDE & _words(layer)}
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


@dataclass(frozen=True)
class OpenCheckpoint:
    """A file's PVT.

    `beside` are the file's names of tensors that are no part of it, `class_layer` the file's name of a classifier's
    last layer where the dialect would call it otherwise; `trained_head` is how a detector's head is to be read;
    `sidecar` what lies beside on pictures and labels.
    """

    checkpoint: Checkpoint
    dialect: Dialect
    translation: Translation
    beside: tuple[str, ...]
    class_layer: str | None = None
    trained_head: TrainedHead = field(default_factory=TrainedHead)
    sidecar: Sidecar = field(default_factory=Sidecar)

    def sidecar_of(self, model: type[Model]) -> Sidecar:
        """What of the sidecar holds for such a model: of a file without its head, what is not a classifier's own."""
        alike = model.resizes_like_classifier or model.count_classes(self.translation.tensors) is not None
        return self.sidecar if alike else self.sidecar.of_backbone()


def open_checkpoint(path: str | PathLike[str], *, ema: bool | None = None) -> OpenCheckpoint:
    """The PVT in the file or folder `path`; `WeightsError` where there is none or more than one to choose from."""
    if (Path(path) / "model.json").is_file():
        raise refuse(Path(path), f"is a bundle, which holds no checkpoint: run it with pvt_edge.load({str(path)!r})")
    checkpoint = read_checkpoint(path, ema=ema)
    names = list(checkpoint.tensors)
    found = naming.detect_all(names)
    if not found:
        known = ", ".join(dict.fromkeys(row.name for row in DIALECTS))
        raise refuse(checkpoint.path, f"holds no PVT in a known dialect ({known}); its tensors are {first_few(names)}")
    dialect, prefix = found[0]
    root = naming.root_of(prefix)
    if more := [other for _, other in found[1:] if not other.startswith(root)]:
        raise refuse(checkpoint.path, f"holds several PVT ({prefix}, {more[0]}): save the one to load alone")

    if any(name.startswith(f"{root}{_FOREIGN_HEAD}.") for name in names):
        raise refuse(checkpoint.path, _FOREIGN_DECODER)

    inside = {name: tensor for name, tensor in checkpoint.tensors.items() if not is_beside(name, root)}
    beside = [name for name in names if name not in inside]
    translation = to_native(inside, dialect, prefix)
    layer = _class_layer(checkpoint, translation, beside)
    head = _trained_head(checkpoint, dialect, translation)
    return OpenCheckpoint(
        checkpoint=checkpoint,
        dialect=dialect,
        translation=translation,
        beside=(*(name for name in beside if not layer or not name.startswith(f"{layer}.")), *checkpoint.apart),
        class_layer=layer,
        trained_head=head,
        sidecar=read_sidecar(checkpoint),
    )


def _trained_head(checkpoint: Checkpoint, dialect: Dialect, translation: Translation) -> TrainedHead:
    """How the head is to be read; the means and stds of a box coder are put into `translation`."""
    if _BOXES not in translation.tensors and _CLASS_MAP not in translation.tensors:
        return TrainedHead()
    if dialect.native:
        return read_own_head(checkpoint.metadata, checkpoint.path)
    if _BOXES not in translation.tensors:
        return read_trained_segmenter(checkpoint.extras, checkpoint.path)
    head = read_trained_head(checkpoint.extras, checkpoint.path)
    weight, bias = (translation.tensors.get(f"head.reg_out.{leaf}") for leaf in ("weight", "bias"))
    if head.scales_boxes and weight is not None and bias is not None and weight.shape[:1] == bias.shape:
        # deltas x std + mean is what the last convolution gives with scaled weights
        stds, means = (bias.new_tensor(values).repeat(len(bias) // 4) for values in (head.stds, head.means))
        translation.tensors["head.reg_out.weight"] = weight * stds[:, None, None, None]
        translation.tensors["head.reg_out.bias"] = bias * stds + means
    return head


def _class_layer(checkpoint: Checkpoint, translation: Translation, beside: list[str]) -> str | None:
    """The file's name of the class layer that `translation` then has too; None where the dialect's own is there."""
    channels = translation.tensors.get(_LAST_CHANNELS)
    if channels is None or any(not name.startswith(BACKBONE) for name in translation.tensors):
        return None
    layer = find_class_layer([*translation.unexpected, *beside], checkpoint.tensors, channels.numel())
    if layer is None:
        return None
    for ours, leaf in zip(_CLASS_LAYER, ("weight", "bias"), strict=True):
        source = f"{layer}.{leaf}"
        translation.tensors[ours], translation.sources[ours] = checkpoint.tensors[source], (source,)
    translation.unexpected[:] = [name for name in translation.unexpected if not name.startswith(f"{layer}.")]
    return layer


@dataclass(frozen=True)
class CheckpointSummary:
    """Variant, task, size and family of the model in a file; None where the file does not tell.

    `task` is features for a backbone alone. `head` is what a file of our own notes,
    `labels` what a file or its neighbours do; `path`, `entry`, `which`, `others` and `class_layer` as in
    `WeightsReport`; `beside` are tensors of no part of the model.
    """

    path: Path
    dialect: str
    variant: str | None
    task: str
    num_classes: int | None
    head: str | None = None
    labels: tuple[str, ...] | None = None
    entry: str = ""
    which: str = ""
    others: tuple[str, ...] = ()
    class_layer: str | None = None
    beside: tuple[str, ...] = ()
    family: str = ""


def summarise_checkpoint(path: str | PathLike[str], *, ema: bool | None = None) -> CheckpointSummary:
    """The summary of the file (or folder) `path`; raises `WeightsError` for one that is no PVT checkpoint."""
    return summarise(open_checkpoint(path, ema=ema))


def summarise(opened: OpenCheckpoint) -> CheckpointSummary:
    """The summary of an open file."""
    checkpoint, tensors = opened.checkpoint, opened.translation.tensors
    counts = ((model, model.count_classes(tensors)) for model in MODELS.values())
    model, num_classes = next(((model, count) for model, count in counts if count is not None), (Backbone, None))
    traits = traits_of_tensors(tensors)
    return CheckpointSummary(
        path=checkpoint.path,
        entry=checkpoint.entry,
        which=checkpoint.which,
        others=checkpoint.others,
        class_layer=opened.class_layer,
        beside=opened.beside,
        dialect=opened.dialect.name,
        variant=None if traits is None else name_of(traits),
        task=model.task,
        num_classes=num_classes,
        head=checkpoint.metadata.get("head"),
        labels=opened.sidecar_of(model).labels,
        family=opened.dialect.family,
    )


def known_variant(opened: OpenCheckpoint) -> str:
    """The variant that the file holds; `WeightsError` where it is none of ours."""
    traits = traits_of_tensors(opened.translation.tensors)
    name = None if traits is None else name_of(traits)
    if name is None:
        family = get_family(opened.dialect.family)
        known = ", ".join(name for name, row in VARIANTS.items() if row.family == family.name)
        raise refuse(opened.checkpoint.path, f"holds a {family.title} of another size than {known}")
    return name
