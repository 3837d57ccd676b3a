"""The files of a run: the best and the last weights, and all that it takes to go on."""

import io
import json
import pickle
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from pvt_edge import atomic
from pvt_edge.checkpoints import save_weights
from pvt_edge.errors import DataError, RuntimeMissingError, TrainingError, WeightsError
from pvt_edge.models import Model
from pvt_edge.training.recipe import dump

BEST, LAST, STATE, RUN, RESULTS = "best.safetensors", "last.safetensors", "last.state.pt", "run.json", "results.csv"
SPLIT, PLAN = "split.json", "plan.json"
WRITTEN = ("places", "options", "recipe", "classes", "pictures", "normalise", "started_from")  # to run.json


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        epoch: Epochs done.
        step: Steps done.
        seconds: Time spent, over all starts.
        best: The best figure so far; None before the first validation.
        figures: All of them, with the best one.
        best_epoch: The epoch it is of.
        since_best: Validations since then.
        history: A row an epoch, as results.csv has them.
    """

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    best: float | None = None
    figures: dict[str, float] = field(default_factory=dict)
    best_epoch: int = 0
    since_best: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)


def save_state(folder: Path, progress: Progress, parts: dict[str, Any]) -> None:
    """Write the state whole, or leave the former one. `parts` are the state dicts of model, optimiser and so on."""
    content = io.BytesIO()
    torch.save({"progress": vars(progress), **parts}, content)
    write_file(folder / STATE, content.getvalue())


def load_state(folder: Path) -> tuple[Progress, dict[str, Any]]:
    """(how far the run is, the state dicts). Raises `DataError` where there is none, or it is damaged."""
    path = folder / STATE
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        return Progress(**content.pop("progress")), content
    except FileNotFoundError:
        raise DataError(
            f"{folder} has no {STATE}, which it would go on from: start another run with --weights {folder / LAST}"
        ) from None
    except (OSError, RuntimeError, EOFError, KeyError, TypeError, AttributeError, pickle.UnpicklingError) as error:
        raise DataError(f"cannot read {path}: {error}: start again from {folder / BEST} with --weights") from error


def save_model(model: Model, path: Path, metadata: dict[str, str]) -> None:
    """Write weights whole, or leave the former ones. Raises `TrainingError` where the disk is full."""
    try:
        save_weights(model, path, metadata=metadata)
    except WeightsError as error:
        raise TrainingError(f"{error}; what was saved before is whole: make room and go on with --resume") from error


def write_file(path: Path, content: bytes | str) -> None:
    """Write a file of the run whole. Raises `TrainingError` where it cannot be written."""
    try:
        atomic.write_file(path, content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise TrainingError(
            f"cannot write {path}: {error.strerror or error}; what was saved before is whole: make room and go on with "
            "--resume"
        ) from error


def write_results(folder: Path, history: list[dict[str, Any]]) -> None:
    """results.csv: a row an epoch."""
    names = list(dict.fromkeys(name for row in history for name in row))
    lines = [",".join(names), *(",".join(_cell(row.get(name)) for name in names) for row in history)]
    write_file(folder / RESULTS, "\n".join(lines) + "\n")


def read_run(folder: Path) -> dict[str, Any]:
    """What run.json says. Raises `DataError` for a folder that is no run's."""
    try:
        content: dict[str, Any] = json.loads((folder / RUN).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{folder} is no folder of a run that could go on: {RUN}: {error.strerror or error}") from error
    except ValueError as error:
        raise DataError(f"{folder} is no folder of a run that could go on: {RUN} is damaged: {error}") from error
    missing = [key for key in WRITTEN if key not in content] if isinstance(content, dict) else list(WRITTEN)
    if missing:
        raise DataError(f"{folder} is no folder of a run that could go on: {RUN} lacks {', '.join(missing)}")
    return content


def write_split(folder: Path, note: str, names: Sequence[str], train: Iterable[Path], val: Iterable[Path]) -> None:
    """split.json: the pictures that a run learns from and is judged by."""
    parts = {"train": [str(path.resolve()) for path in train], "val": [str(path.resolve()) for path in val]}
    write_file(folder / SPLIT, dump({"note": note, "classes": names, **parts}))


def read_split(folder: Path) -> tuple[list[str], list[str]]:
    """The paths of the pictures (learnt from, judged by); none where there is no run's split.json."""
    try:
        content = json.loads((folder / SPLIT).read_text(encoding="utf-8"))
        return [str(path) for path in content["train"]], [str(path) for path in content["val"]]
    except (OSError, ValueError, KeyError, TypeError):
        return [], []


def learnt_pictures(weights: Path) -> list[str]:
    """The pictures that the run of the file `weights` learnt from, as far as they are there; none of other files."""
    return [path for path in read_split(weights.parent)[0] if Path(path).is_file()]


def _cell(value: object) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def tensorboard_log(folder: Path) -> Callable[[dict[str, Any]], None]:
    """The function that notes an epoch's row for TensorBoard."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise RuntimeMissingError("--tensorboard needs it: pip install tensorboard") from error
    writer = SummaryWriter(str(folder / "tensorboard"))

    def note(row: dict[str, Any]) -> None:
        for name, value in row.items():
            writer.add_scalar(name, value, row["epoch"])
        writer.flush()

    return note
