"""Our models -> safetensors in our own names."""

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor

from pvt_edge.arguments import known_keywords
from pvt_edge.atomic import write_file
from pvt_edge.checkpoints.loading import check_kind, check_order, get_epsilons
from pvt_edge.checkpoints.sidecar import PREPROCESSING, noted_preprocessing
from pvt_edge.checkpoints.trained_head import THRESHOLDS
from pvt_edge.checkpoints.weight_files import first_few, refuse
from pvt_edge.errors import ArgumentError, described
from pvt_edge.models import Model

FORMAT = "pvt-edge"


@known_keywords
def save_weights(
    model: Model,
    path: str | PathLike[str],
    *,
    half: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write `model`'s tensors to `path`, a .safetensors file that `load_weights` reads back bit for bit.

    The file is written aside and renamed, so that a failure leaves an older one as it was.

    Args:
        model: From `create_model`.
        path: A name that ends in .safetensors.
        half: Store floating point tensors as float16.
        metadata: Texts by name, stored beside the format, the variant and the LayerNorm epsilons, which are always the
            model's own.

    Raises:
        WeightsError: If it cannot be written or if a value exceeds float16.
        ArgumentError: For arguments of the wrong kind.
    """
    from safetensors.torch import save

    path = check_order("save_weights", model, path)
    if metadata is not None and not isinstance(metadata, Mapping):
        raise ArgumentError(f"save_weights(): metadata must be a dict of texts, not {described(metadata)}")
    if path.suffix != ".safetensors":
        raise refuse(path, "save_weights writes safetensors: give a name that ends in .safetensors")
    check_kind(model)
    backbone = model.backbone
    epsilons = dict(zip(("embed_eps", "block_eps"), get_epsilons(backbone), strict=True))
    if any(len(values) > 1 for values in epsilons.values()):
        raise refuse(
            path,
            "the model's LayerNorms mix epsilons, which the file cannot say: set one each with set_epsilons",
        )
    notes = {
        **(metadata or {}),
        "format": FORMAT,
        "variant": backbone.variant.name,
        **{key: repr(*values) for key, values in epsilons.items() if values},
    }
    notes |= model.notes()
    if model.thresholds:
        notes.setdefault(THRESHOLDS, json.dumps(dict(model.thresholds)))
    if model.sidecar is not None and (preprocessing := noted_preprocessing(model.sidecar.preprocessing)):
        notes.setdefault(PREPROCESSING, preprocessing)
    if odd := [key for key, value in notes.items() if not isinstance(key, str) or not isinstance(value, str)]:
        raise refuse(path, f"metadata must map str to str, not {first_few([repr(key) for key in odd])}")
    content = save(_stored(model, path, half), notes)

    try:
        write_file(path, content)  # safetensors' own writer makes it unreadable to other users
    except OSError as error:
        raise refuse(path, f"cannot be written: {error.strerror or error}") from error


def _stored(model: Model, path: Path, half: bool) -> dict[str, Tensor]:
    """The tensors as they go into the file: on the CPU, contiguous, in half precision if asked."""
    own = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    if not half:
        return own
    halves = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in own.items()}
    bad = [name for name, tensor in halves.items() if not torch.equal(tensor.isfinite(), own[name].isfinite())]
    if bad:
        raise refuse(path, f"values beyond float16 in {first_few(bad)}: save with half=False")
    return halves
