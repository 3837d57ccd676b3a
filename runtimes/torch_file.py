"""A torch.export program in a .pt2 file that says what its inputs and outputs are."""

import json
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from pvt_edge.runtimes.boundary import boundary, model_file
from pvt_edge.runtimes.runtime import TensorSpec

if TYPE_CHECKING:
    from torch.export import ExportedProgram

_SPECS = "pvt_edge_specs.json"
_REMAKE = "save it again with pvt_edge.runtimes.torch_file.save_torch"


def save_torch(
    program: "ExportedProgram",
    path: str | Path,
    inputs: tuple[TensorSpec, ...],
    outputs: tuple[TensorSpec, ...],
) -> Path:
    """The path written: the program with its specs beside it, for `TorchRuntime(path)` to read.

    The program takes the inputs in this order and returns a dict of tensors by output name.
    """
    import torch

    specs = {"inputs": [asdict(spec) for spec in inputs], "outputs": [asdict(spec) for spec in outputs]}
    with boundary(f"torch cannot write {path}", "give a name in .pt2, in a folder with room"):
        torch.export.save(program, path, extra_files={_SPECS: json.dumps(specs)})
    return Path(path)


def load_torch(path: str | Path) -> "tuple[ExportedProgram, tuple[TensorSpec, ...], tuple[TensorSpec, ...]]":
    """(program, inputs, outputs) of a file by `save_torch`. Raises `BundleError` for anything else.

    Open only files you trust: torch.export unpickles parts of them.
    """
    import torch

    file = model_file(path)
    with boundary(f"torch {torch.__version__} cannot load {file}", _REMAKE):
        with zipfile.ZipFile(file) as archive:  # before torch, which logs a traceback for a broken file
            broken = archive.testzip()
        if broken is not None:
            raise ValueError(f"{broken} in it is damaged")
        extra = {_SPECS: ""}
        program = torch.export.load(file, extra_files=extra)
        if not extra[_SPECS]:
            raise ValueError("it does not say what its inputs and outputs are")
        specs = json.loads(extra[_SPECS])
        inputs, outputs = (_specs(specs[side]) for side in ("inputs", "outputs"))
    return program, inputs, outputs


def _specs(rows: list[dict[str, object]]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(str(row["name"]), str(row["dtype"]), _shape(row["shape"])) for row in rows)


def _shape(sizes: object) -> tuple[int, ...]:
    if not isinstance(sizes, list):
        raise ValueError(f"a shape reads {sizes!r}")
    return tuple(int(size) for size in sizes)
