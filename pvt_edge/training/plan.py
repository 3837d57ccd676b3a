"""What a run is to do and where: new, or going on with what an earlier start has written down."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import pvt_edge
from pvt_edge.bundle.schema import NormaliseSpec
from pvt_edge.errors import DataError
from pvt_edge.options.train import TrainOptions, seconds_of
from pvt_edge.training.recipe import MAY_CHANGE, Recipe, choose_device, default_workers, dump, read_recipe
from pvt_edge.training.state import BEST, LAST, RUN, STATE, read_run, read_split, write_file
from pvt_edge.weights import NO_WEIGHTS
from pvt_edge.weights.published import is_file_name

FILES = ("extra", "plan")  # options that are paths, where there is something at them
FILES_OR_NAMES = ("weights", "distil")  # the same, unless they are names of ours


@dataclass(frozen=True)
class Plan:
    """A run's folder, the places of its data, its options, and what an earlier start wrote down, if there was one."""

    folder: Path
    places: dict[str, str]
    options: TrainOptions
    stored: dict[str, Any]

    @property
    def goes_on(self) -> bool:
        """Whether there was an earlier start."""
        return bool(self.stored)

    @property
    def has_epochs(self) -> bool:
        """Whether an earlier start came to the end of an epoch; else the run begins anew."""
        return any((self.folder / name).is_file() for name in (STATE, LAST))

    def own_weights(self) -> str | None:
        """The weights that the model is made by: of a run with epochs its own, whose head it has and whose state says
        more; else those asked for."""
        if not self.has_epochs:
            return self.options.weights
        return next((str(self.folder / name) for name in (LAST, BEST) if (self.folder / name).is_file()), NO_WEIGHTS)

    def check_same(self, names: Sequence[str], learnt: Sequence[Path], judged: Sequence[Path]) -> None:
        """Raise `DataError` where the classes or pictures of a run that goes on are not what they were."""
        if not self.goes_on:
            return
        before, now = self.stored["classes"], list(names)
        what = f"the classes {', '.join(now)}, that run has {', '.join(before)}" if before != now else ""
        earlier = self.stored["pictures"]
        counts = [len(learnt), len(judged)]
        if not what and counts != earlier:
            what = f"{counts[0]} and {counts[1]} pictures, that run has {' and '.join(map(str, earlier))}"
        for paths, part in zip(read_split(self.folder), (learnt, judged), strict=True):
            other = sorted({path.name for path in part} - {Path(path).name for path in paths})  # wherever they lie now
            if not what and paths and other:
                what = f"pictures that run does not, such as {other[0]}"
        if what:
            raise DataError(
                f"cannot go on in {self.folder}: the data now has {what}; start another run with --weights "
                f"{self.folder / BEST}"
            )

    def again(self) -> tuple[Recipe, NormaliseSpec, str]:
        """(the recipe, with what may change changed; the normalisation; what it once started from)."""
        options = self.options
        recipe = read_recipe(self.stored["recipe"])
        if options.device:
            device = choose_device(options.device)
            recipe = replace(recipe, device=device, workers=default_workers(device))
        changes: dict[str, Any] = {key: getattr(options, key) for key in ("epochs", "patience", "workers")}
        changes["time"] = None if options.time is None else seconds_of(options.time)
        recipe = replace(recipe, **{key: value for key, value in changes.items() if value is not None})
        return recipe, NormaliseSpec.model_validate(self.stored["normalise"]), self.stored["started_from"]

    def write(
        self,
        recipe: Recipe,
        names: tuple[str, ...],
        counts: tuple[int, int],
        normalise: NormaliseSpec,
        started_from: str,
    ) -> None:
        """Write down what the run does, for those who come after and for going on."""
        places = {
            key: str(Path(place).resolve()) if Path(place).exists() else place for key, place in self.places.items()
        }
        content = {
            "pvt_edge": pvt_edge.__version__,
            "places": places,
            "options": {name: _absolute(name, value) for name, value in self.options.explicit().items()},
            "recipe": recipe.to_json(),
            "classes": names,
            "pictures": counts,
            "normalise": normalise.model_dump(mode="json"),
            "started_from": started_from,
        }
        write_file(self.folder / RUN, dump(content))


def new_plan(out: str | PathLike[str] | None, places: dict[str, str], options: TrainOptions) -> Plan:
    """A run in a new folder. Raises `DataError` for one that holds something."""
    kind = "healed" if options.distil else options.task
    folder = Path(out) if out is not None else _free(Path("runs"), f"{kind}-{options.variant or 'b0'}")
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} is a file, not a folder for a run: choose another place with --out")
    if folder.exists() and any(folder.iterdir()):
        raise DataError(f"{folder} is not empty: go on with --resume {folder}, or choose another place with --out")
    return Plan(folder, places, options, {})


def plan_of(folder: Path, places: dict[str, str], given: TrainOptions) -> Plan:
    """A run that goes on. Raises `DataError` where it is none, or options would make another run of it."""
    stored = read_run(folder)
    before = {name: _absolute(name, _plain(value)) for name, value in stored["options"].items()}
    if unknown := sorted(before.keys() - vars(given).keys()):
        raise DataError(
            f"cannot go on in {folder}: {RUN} has options that this pvt-edge does not know ({', '.join(unknown)}): "
            "upgrade with pip install -U pvt-edge"
        )
    explicit = {name: _absolute(name, value) for name, value in given.explicit().items()}
    for name, value in explicit.items():
        settled = _plain(stored["recipe"].get(name, before.get(name)))
        if name not in MAY_CHANGE and value not in (settled, before.get(name)):  # what was said, or what came of it
            raise DataError(
                f"cannot go on in {folder} with {name} {value!r}: that run has {settled!r}; leave it out, or start "
                f"another run with --weights {folder / BEST}"
            )
    return Plan(folder, {**stored["places"], **places}, TrainOptions(**{**before, **explicit}), stored)


def _absolute(name: str, value: Any) -> Any:
    """An option's value, a relative path in full: a run may go on from another folder."""
    is_path = name in FILES or (name in FILES_OR_NAMES and is_file_name(value))
    return str(Path(value).resolve()) if is_path and Path(value).exists() else value


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _free(parent: Path, name: str) -> Path:
    """The first of runs/name, runs/name-2 ... that is not there."""
    folder, number = parent / name, 1
    while folder.exists():
        number += 1
        folder = parent / f"{name}-{number}"
    return folder
