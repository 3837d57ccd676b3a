"""Whether a file's tensors are a model's: which load, which stay out, what to say when they do not fit."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from pvt_edge.checkpoints.architecture import name_of, traits_of_tensors, traits_of_variant
from pvt_edge.checkpoints.naming import BACKBONE
from pvt_edge.checkpoints.refusal import first_few, refuse
from pvt_edge.checkpoints.translation import Translation
from pvt_edge.models.backbone import PVTv2
from pvt_edge.models.classifier import Classifier
from pvt_edge.models.detector import Detector
from pvt_edge.variants import Variant

_CLASSIFIER_HEAD = frozenset(("head.weight", "head.bias"))


@dataclass(frozen=True)
class Fit:
    """The tensors to load under the model's names, and the names of all others, as in WeightsReport."""

    tensors: dict[str, Tensor]
    left_out: tuple[str, ...]
    kept: tuple[str, ...]
    reinitialised: tuple[str, ...]
    reshaped: tuple[str, ...]


def fit(model: nn.Module, variant: Variant, file: Translation, path: Path, reinit_head: bool) -> Fit:
    """How `file` goes into `model`, a `variant`; `WeightsError` if it does not."""
    bare = isinstance(model, PVTv2)
    own = {BACKBONE + name if bare else name: tensor for name, tensor in model.state_dict().items()}
    _refuse_other_variant(file.tensors, variant, path)

    tensors, left_out = _without_foreign_heads(model, file)
    own_heads = [name for name in own if not name.startswith(BACKBONE)]
    kept = [] if any(not name.startswith(BACKBONE) for name in tensors) else own_heads

    layer = [] if kept else _class_layer(model)
    if reinit_head:
        tensors = {name: tensor for name, tensor in tensors.items() if name not in layer}
    else:
        _refuse_other_classes(model, tensors, path)

    missing = own.keys() - tensors.keys() - {*kept, *(layer if reinit_head else ())}
    surplus = [source for name in tensors if name not in own for source in file.sources[name]] + file.unexpected
    if misfit := _misfit([name for name in own if name in missing], surplus, tensors, own):
        hint = ""
        if isinstance(model, Classifier) and any(name.startswith("neck.") for name in tensors):
            hint = "; it is a detector's: give --task detect (task='detect' in Python)"
        raise refuse(path, f"does not fit the model: {misfit}{hint}")

    def named(names: list[str]) -> tuple[str, ...]:
        return tuple(name.removeprefix(BACKBONE) if bare else name for name in names)

    return Fit(
        tensors=dict(zip(named(list(tensors)), tensors.values(), strict=True)),
        left_out=tuple(left_out),
        kept=named(kept),
        reinitialised=tuple(layer) if reinit_head else (),
        reshaped=named([name for name in file.reshaped if name in tensors]),
    )


def _without_foreign_heads(model: nn.Module, file: Translation) -> tuple[dict[str, Tensor], list[str]]:
    """The file's tensors but for heads of tasks that `model` does not do, and the file's names of those."""
    tensors: dict[str, Tensor] = {}
    left_out: list[str] = []
    for name, tensor in file.tensors.items():
        classifier_head = name in _CLASSIFIER_HEAD and not isinstance(model, Classifier)
        detector_head = isinstance(model, PVTv2) and not name.startswith(BACKBONE)
        if classifier_head or detector_head:
            left_out += file.sources[name]
        else:
            tensors[name] = tensor
    return tensors, left_out


def _misfit(missing: list[str], surplus: list[str], tensors: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> str:
    """What is wrong, with the first few names and the counts; empty if all is well."""
    shapes = [
        f"{name} {tuple(tensor.shape)}, the model's {tuple(own[name].shape)}"
        for name, tensor in tensors.items()
        if name in own and tensor.shape != own[name].shape
    ]
    found = (("missing", missing), ("unexpected", surplus), ("of another shape", shapes))
    return "; ".join(f"{label} {first_few(names)}" for label, names in found if names)


def _class_layer(model: nn.Module) -> list[str]:
    """The names of the layer with one output a class."""
    if isinstance(model, Classifier):
        return ["head.weight", "head.bias"]
    return ["head.cls_out.weight", "head.cls_out.bias"] if isinstance(model, Detector) else []


def _refuse_other_variant(tensors: Mapping[str, Tensor], variant: Variant, path: Path) -> None:
    """Refuse a file whose backbone is that of another variant."""
    traits = traits_of_tensors(tensors)
    if traits is None or traits == traits_of_variant(variant):
        return
    if other := name_of(traits):
        raise refuse(
            path, f"holds {other}, the model is {variant.name}: give --variant {other} (variant={other!r} in Python)"
        )


def _refuse_other_classes(model: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Refuse a class layer of another number of classes, where nothing but that number differs."""
    if not isinstance(model, Classifier | Detector):
        return
    layer = _class_layer(model)[0]
    given, own = tensors.get(layer), model.state_dict()[layer]
    per_class = 1
    if isinstance(model, Detector):
        per_class = model.config.anchors_per_cell
        boxes = tensors.get("head.reg_out.weight")
        if boxes is None or boxes.shape != model.head.reg_out.weight.shape:
            return  # other anchors: the rows tell no number of classes
    if given is None or given.shape[1:] != own.shape[1:] or given.shape == own.shape or given.shape[0] % per_class:
        return
    classes = given.shape[0] // per_class
    mend = (
        f"give --num-classes {classes} (num_classes={classes} in Python); "
        "load_weights(..., reinit_head=True) keeps the model's own class layer"
    )
    raise refuse(path, f"has {classes} classes, the model {model.num_classes}: {mend}")
