"""A file of any dialect into one of our models, whole or not at all."""

import math
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pvt_edge.arguments import check_path, known_keywords
from pvt_edge.checkpoints.fitting import fit
from pvt_edge.checkpoints.opening import OpenCheckpoint, open_checkpoint
from pvt_edge.checkpoints.weight_files import first_few, refuse
from pvt_edge.checkpoints.weights_report import WeightsReport
from pvt_edge.errors import ArgumentError, WeightsError
from pvt_edge.models import Backbone, Model, check_model

_HEAD = "head.weight"


def get_epsilons(backbone: Backbone) -> tuple[set[float], set[float]]:
    """The values in use, (embed, block); one each unless someone has set single modules by hand."""
    return {norm.eps for norm in backbone.embed_norms()}, {norm.eps for norm in backbone.block_norms()}


def set_epsilons(backbone: Backbone, embed_eps: float | None, block_eps: float | None) -> None:
    """Set both values; None leaves one as it is."""
    for norms, eps in ((backbone.embed_norms(), embed_eps), (backbone.block_norms(), block_eps)):
        for norm in norms:
            norm.eps = norm.eps if eps is None else eps


def check_kind(model: object) -> None:
    """Raise `WeightsError` for a module that is no model of ours."""
    if not isinstance(model, Model):
        raise WeightsError(f"weights belong to a model made by create_model, not to a {type(model).__name__}")


def check_order(call: str, model: object, path: object) -> Path:
    """The path; `ArgumentError` where model and path are swapped or are none."""
    if isinstance(model, (str, PathLike)) and isinstance(path, torch.nn.Module):
        raise ArgumentError(f"{call}() takes the model first: {call}(model, {str(model)!r})")
    if not isinstance(model, torch.nn.Module):
        check_model(f"{call}()", model)
    return check_path(f"{call}()", "path", path, "pvt_v2_b0.pth")


@known_keywords
def load_weights(
    model: Model,
    path: str | PathLike[str],
    *,
    reinit_head: bool = False,
    ema: bool | None = None,
) -> WeightsReport:
    """What was loaded, kept and left out of the file at `path`, or in the folder `path`, which `model` now holds.

    Sets the model's tensors in place, in their own dtype and device, and its LayerNorms' epsilon to the one
    that the file's dialect was trained with. A classifier's head or a detector's neck and head that the model
    has no place for are left out; a file of a backbone alone leaves the model's own neck and head. Tensors beside the
    model (losses, metrics, counters) are left out.

    Args:
        model: From `create_model`.
        path: A checkpoint of any dialect, or a folder with one.
        reinit_head: The model keeps its own class layer, whatever the file has for it.
        ema: Of averaged weights and others in one file take the averaged (True) or the others (False); None takes
            those that the training script itself evaluates, and the report says which.

    Returns:
        What became of every tensor of the file and of the model.

    Raises:
        WeightsError: With the model untouched, for a file that cannot be read, holds other tensors than the model's or
            holds values that are not finite.
        ArgumentError: For arguments of the wrong kind.
    """
    path = check_order("load_weights", model, path)
    check_kind(model)  # before the file is read
    return load_opened(model, open_checkpoint(path, ema=ema), reinit_head=reinit_head)


def load_opened(model: Model, opened: OpenCheckpoint, *, reinit_head: bool = False) -> WeightsReport:
    """As `load_weights`, of a file that is open."""
    backbone = model.backbone
    checkpoint, dialect = opened.checkpoint, opened.dialect
    path = checkpoint.path
    head = opened.trained_head
    config = _head_config(model, opened)
    fitted = fit(model, backbone.variant, opened.translation, path, reinit_head)
    values = _converted(fitted.tensors, model.state_dict(), path)
    embed_eps, block_eps = dialect.embed_eps, dialect.block_eps
    if dialect.native:
        embed_eps, block_eps = (_epsilon(checkpoint.metadata, key, path) for key in ("embed_eps", "block_eps"))

    if not dialect.native and opened.sidecar.epsilon is not None:
        embed_eps = block_eps = opened.sidecar.epsilon

    model.load_state_dict(values, strict=False)  # what is missing was judged above
    set_epsilons(backbone, embed_eps, block_eps)
    if config is not None and not fitted.kept:
        model.config = config
    fresh = fitted.kept or fitted.reinitialised  # those of a class layer that is another
    if not fresh and any(model.owns(name) for name in opened.translation.tensors):
        model.thresholds = head.thresholds or None
    model.sidecar = opened.sidecar_of(type(model))
    name = path.name if path.suffix else f"./{path.name}"  # or it would read as the name of bundled or published ones
    model.weights_name = f"{name}, {checkpoint.which}" if checkpoint.which else name
    return WeightsReport(
        path=path,
        dialect=dialect.name,
        variant=backbone.variant.name,
        loaded=tuple(values),
        left_out=(*fitted.left_out, *opened.beside),
        kept=fitted.kept,
        reinitialised=fitted.reinitialised,
        reshaped=fitted.reshaped,
        entry=checkpoint.entry,
        averaged=checkpoint.averaged,
        which=checkpoint.which,
        others=checkpoint.others,
        notes=head.describe(config) if config is not None else (),
        class_layer=opened.class_layer if _HEAD in fitted.tensors else None,
    )


def _head_config(model: Model, opened: OpenCheckpoint) -> Any:
    """The head's configuration with the anchors that the file was trained with; None for other models and files."""
    config = model.trained_config(opened.trained_head)
    if config is None or not any(model.owns(name) for name in opened.translation.tensors):
        return None
    if config.anchors_per_cell != model.config.anchors_per_cell:
        given = f"scales={config.anchor_scales}, ratios={config.ratios}"
        raise refuse(
            opened.checkpoint.path,
            f"has {config.anchors_per_cell} anchors a cell ({given}), the model {model.config.anchors_per_cell}: "
            "create the model with head=HeadConfig(...) of these in Python; pvt-edge export does so by itself",
        )
    return config


def _converted(tensors: Mapping[str, Tensor], own: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """`tensors` in the dtype of the model's `own`; `WeightsError` where that is no number to compute with."""
    values: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        target = own[name].dtype
        if tensor.is_floating_point() != target.is_floating_point or tensor.dtype == torch.bool:
            kind = "floating point" if target.is_floating_point else "integer"
            raise refuse(path, f"{name} is {tensor.dtype} where {kind} weights are needed: quantised files do not load")
        values[name] = tensor.to(target)
    # after the conversion, which can overflow: float32 to a half-precision model
    bad = [name for name, value in values.items() if not value.isfinite().all()]
    if bad:
        dtypes = sorted({f"{tensors[name].dtype} to {own[name].dtype}" for name in bad})
        reason = f"NaN or infinite values in {first_few(bad)} ({', '.join(dtypes)}): the file is damaged"
        raise refuse(path, f"{reason} or its training diverged, or its values exceed the model's dtype")
    return values


def _epsilon(metadata: Mapping[str, str], key: str, path: Path) -> float | None:
    """The epsilon that save_weights has noted in the file, if any."""
    text = metadata.get(key)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 1:
        raise refuse(path, f"its metadata say {key}={text!r}, which is no epsilon: a small positive number is needed")
    return value
