"""`python -m pvt_edge.training DATA --out FILE`: train the `cells` weights anew."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import nn

from pvt_edge.checkpoints import save_weights
from pvt_edge.data.coco import read_coco
from pvt_edge.data.labelled_set import BoxSet
from pvt_edge.errors import DataError, PvtEdgeError
from pvt_edge.models.detector import Detector
from pvt_edge.training.batches import draw_pictures, load_pictures
from pvt_edge.training.evaluation import evaluate
from pvt_edge.training.recipe import Recipe
from pvt_edge.training.trainer import train
from pvt_edge.weights import BUNDLED
from pvt_edge.zoo import create_model

SCENE_SEED = 1_000_000


def main(
    data: Annotated[Path, typer.Argument(help="Folder with images/, instances_train.json and instances_val.json.")],
    out: Annotated[Path, typer.Option(help="The weights to write, after every 500 steps.")],
    shorten: Annotated[int, typer.Option(min=1, help="Divide all step counts by this, for a trial.")] = 1,
) -> None:
    """Train a PVT-v2-B0 detector with the lite head from scratch, and print its AP on the val split.

    Generated scenes are mixed in where the classes are those of the `cells` weights, which they show.
    """
    try:
        train_folder(data, out, _shortened(Recipe(), shorten))
    except PvtEdgeError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None


def train_folder(data: Path, out: Path, recipe: Recipe) -> None:
    """Train on the pictures and COCO files in `data`, of any number of classes, and write the weights to `out`.

    Raises `DataError` for data that is broken or has nothing to learn from.
    """
    torch.manual_seed(recipe.seed)
    train_set = read_coco(data / "instances_train.json", data / "images")
    val_set = read_coco(data / "instances_val.json", data / "images")
    _check_learnable(train_set, val_set)
    if train_set.names != BUNDLED["cells"].labels:  # an apple is no red cell
        recipe = dataclasses.replace(recipe, generated=0.0, scenes=0)
        typer.echo(f"no generated scenes, which show blood cells: the classes are {', '.join(train_set.names)}")
    model = create_model("b0", "detect", len(train_set.names), head="lite", drop_path=recipe.drop_path)
    assert isinstance(model, Detector)
    out.parent.mkdir(parents=True, exist_ok=True)

    def checkpoint(step: int, averaged: nn.Module) -> None:
        assert isinstance(averaged, Detector)
        metadata = {"head": "lite", "labels": json.dumps(train_set.names), "step": str(step)}
        save_weights(averaged, out, half=True, metadata=metadata)
        metrics = evaluate(averaged, val_set, recipe.phases[-1].crop_hw)
        typer.echo(f"step {step}: " + ", ".join(f"{key} {value:.3f}" for key, value in metrics.items()))

    train(
        model,
        recipe,
        load_pictures(train_set),
        draw_pictures(recipe.scenes, SCENE_SEED),
        on_checkpoint=checkpoint,
        checkpoint_every=500,
    )
    typer.echo(f"wrote {out.resolve()}")


def _check_learnable(train_set: BoxSet, val_set: BoxSet) -> None:
    for dataset in (train_set, val_set):
        if not any(len(sample.labels) for sample in dataset.samples):
            raise DataError(f"{dataset.source} has no boxes: give pictures with some")
    if train_set.names != val_set.names:
        raise DataError(
            f"{train_set.source} has the classes {', '.join(train_set.names)}, {val_set.source} "
            f"{', '.join(val_set.names)}: both need the same, in the order of their ids"
        )


def _shortened(recipe: Recipe, by: int) -> Recipe:
    phases = tuple(dataclasses.replace(phase, steps=max(1, phase.steps // by)) for phase in recipe.phases)
    scenes = max(1, recipe.scenes // by)
    return dataclasses.replace(recipe, phases=phases, warmup_steps=recipe.warmup_steps // by, scenes=scenes)


if __name__ == "__main__":
    typer.run(main)
