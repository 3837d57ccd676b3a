"""Whether a file's tensors are a model's: of which variant, which load, which stay out, what is said where none fit."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from pvt_edge.checkpoints.naming import BACKBONE
from pvt_edge.checkpoints.trained_head import TrainedHead
from pvt_edge.checkpoints.translation import Translation
from pvt_edge.checkpoints.weight_files import first_few, refuse
from pvt_edge.models import FAMILIES, MODELS, Model, get_family
from pvt_edge.variants import VARIANTS, Variant

_BLOCK = re.compile(re.escape(BACKBONE) + r"stages\.(\d+)\.blocks\.(\d+)\.")

Traits = tuple[str, tuple[int, ...], tuple[int, ...], tuple[int, ...], bool]


def traits_of_variant(variant: Variant) -> Traits:
    """What tells variants apart: (family, dims, depths, MLP ratios, linear)."""
    return variant.family, variant.dims, variant.depths, variant.mlp_ratios, variant.linear


def traits_of_tensors(tensors: Mapping[str, Tensor]) -> Traits | None:
    """The same of `tensors` in our names; None where those that tell it are missing or make no sense."""
    dims, ratios = [], []
    for stage in range(4):
        embed = tensors.get(f"{BACKBONE}stages.{stage}.patch_embed.proj.bias")
        hidden = tensors.get(f"{BACKBONE}stages.{stage}.blocks.0.mlp.fc1.bias")
        if embed is None or hidden is None or not embed.numel() or hidden.numel() % embed.numel():
            return None
        dims.append(embed.numel())
        ratios.append(hidden.numel() // embed.numel())
    depths = [0, 0, 0, 0]
    for match in filter(None, map(_BLOCK.match, tensors)):
        stage, block = int(match[1]), int(match[2])
        if stage < 4:
            depths[stage] = max(depths[stage], block + 1)
    # stage 4 reduces its keys in the linear variant alone
    linear = f"{BACKBONE}stages.3.blocks.0.attn.sr.weight" in tensors
    return family_of(tensors), tuple(dims), tuple(depths), tuple(ratios), linear


def family_of(tensors: Mapping[str, Tensor]) -> str:
    """The family whose marker is among `tensors`; that without one where none is."""
    marked = [family.name for family in FAMILIES.values() if family.marker and BACKBONE + family.marker in tensors]
    return next(iter(marked), next(family.name for family in FAMILIES.values() if not family.marker))


def name_of(traits: Traits) -> str | None:
    """The known variant with these traits."""
    return next((name for name, variant in VARIANTS.items() if traits_of_variant(variant) == traits), None)


@dataclass(frozen=True)
class Fit:
    """The tensors to load under the model's names, and the names of all others, as in WeightsReport."""

    tensors: dict[str, Tensor]
    left_out: tuple[str, ...]
    kept: tuple[str, ...]
    reinitialised: tuple[str, ...]
    reshaped: tuple[str, ...]


def fit(model: Model, variant: Variant, file: Translation, path: Path, reinit_head: bool) -> Fit:
    """How `file` goes into `model`, a `variant`; `WeightsError` if it does not."""
    bare = model.backbone is model
    own = {BACKBONE + name if bare else name: tensor for name, tensor in model.state_dict().items()}
    _refuse_other_variant(file.tensors, variant, path)

    tensors, left_out = _without_foreign_heads(model, file)
    pooling = {BACKBONE + name for name in model.backbone.pooling}
    own_heads = [name for name in own if not name.startswith(BACKBONE) or (name in pooling and name not in tensors)]
    kept = [] if any(not name.startswith(BACKBONE) for name in tensors) else own_heads

    layer = [] if kept else _class_layer(model)
    if reinit_head:
        tensors = {name: tensor for name, tensor in tensors.items() if name not in layer}
    else:
        _refuse_other_classes(model, tensors, path)

    missing = own.keys() - tensors.keys() - {*kept, *(layer if reinit_head else ())}
    surplus = [source for name in tensors if name not in own for source in file.sources[name]] + file.unexpected
    if misfit := _misfit([name for name in own if name in missing], surplus, tensors, own):
        raise refuse(
            path, f"does not fit the model: {misfit}{_other_task(model, tensors)}{_other_head(model, tensors)}"
        )

    def named(names: list[str]) -> tuple[str, ...]:
        return tuple(name.removeprefix(BACKBONE) if bare else name for name in names)

    return Fit(
        tensors=dict(zip(named(list(tensors)), tensors.values(), strict=True)),
        left_out=tuple(left_out),
        kept=named(kept),
        reinitialised=tuple(layer) if reinit_head else (),
        reshaped=named([name for name in file.reshaped if name in tensors]),
    )


def _without_foreign_heads(model: Model, file: Translation) -> tuple[dict[str, Tensor], list[str]]:
    """The file's tensors but for heads that `model` has no place for, and the file's names of those."""
    others = [other for other in MODELS.values() if other.is_pretraining and not isinstance(model, other)]
    bare = model.backbone is model
    own = model.backbone.state_dict()
    no_pool = {BACKBONE + name for name in model.backbone.pooling if name not in own}
    tensors: dict[str, Tensor] = {}
    left_out: list[str] = []
    for name, tensor in file.tensors.items():
        other_head = (bare and not name.startswith(BACKBONE)) or any(other.owns(name) for other in others)
        if other_head or name in no_pool:
            left_out += file.sources[name]
        else:
            tensors[name] = tensor
    taken = {source for name in tensors for source in file.sources[name]}  # a table may be taken but for a row
    return tensors, [name for name in left_out if name not in taken]


def _other_task(model: Model, tensors: Mapping[str, Tensor]) -> str:
    """What to do about `tensors` of a model for another task; empty for others."""
    for task, other in MODELS.items():
        if not isinstance(model, other) and other.count_classes(tensors) is not None:
            return f"; it is a {other.__name__.lower()}'s: give --task {task} (task={task!r} in Python)"
    return ""


def _other_head(model: Model, tensors: Mapping[str, Tensor]) -> str:
    """What to do about `tensors` with another head of the same task; empty for others."""
    if model.config is None or model.count_classes(tensors) is None:
        return ""
    own = model.head_in(tensors, None, TrainedHead())
    if str(own) == str(model.config):
        return ""
    return f"; its head is {own}, the model's {model.config}: leave --head (head in Python) out"


def _misfit(missing: list[str], surplus: list[str], tensors: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> str:
    """What is wrong, with the first few names and the counts; empty if all is well."""
    shapes = [
        f"{name} {tuple(tensor.shape)}, the model's {tuple(own[name].shape)}"
        for name, tensor in tensors.items()
        if name in own and tensor.shape != own[name].shape
    ]
    found = (("missing", missing), ("unexpected", surplus), ("of another shape", shapes))
    return "; ".join(f"{label} {first_few(names)}" for label, names in found if names)


def _class_layer(model: Model) -> list[str]:
    """The names of the layer with one output a class."""
    return [f"{model.class_layer}.{leaf}" for leaf in ("weight", "bias")] if model.class_layer else []


def _refuse_other_variant(tensors: Mapping[str, Tensor], variant: Variant, path: Path) -> None:
    """Refuse a file whose backbone is that of another variant."""
    traits = traits_of_tensors(tensors)
    if traits == traits_of_variant(variant):
        return
    if traits is not None and (other := name_of(traits)):
        raise refuse(
            path, f"holds {other}, the model is {variant.name}: give --variant {other} (variant={other!r} in Python)"
        )
    family, own = (get_family(name).title for name in (family_of(tensors), variant.family))
    if family != own and get_family(family_of(tensors)).marker:
        raise refuse(path, f"holds a {family}, the model {variant.name} is a {own}")


def _refuse_other_classes(model: Model, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Refuse a class layer of another number of classes, where nothing but that number differs."""
    if not model.class_layer or not model.only_classes_differ(tensors):
        return
    layer, per_class = _class_layer(model)[0], model.rows_per_class
    given, own = tensors.get(layer), model.state_dict()[layer]
    if given is None or given.shape[1:] != own.shape[1:] or given.shape == own.shape or given.shape[0] % per_class:
        return
    classes = given.shape[0] // per_class
    mend = (
        f"give --num-classes {classes} (num_classes={classes} in Python); "
        "load_weights(..., reinit_head=True) keeps the model's own class layer"
    )
    raise refuse(path, f"has {classes} classes, the model {model.num_classes}: {mend}")
