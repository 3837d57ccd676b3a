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
from pvt_edge.models.create import create_model
from pvt_edge.models.detector import Detector
from pvt_edge.training.batches import draw_pictures, load_pictures
from pvt_edge.training.evaluation import evaluate
from pvt_edge.training.recipe import Recipe
from pvt_edge.training.trainer import train

SCENE_SEED = 1_000_000


def main(
    data: Annotated[Path, typer.Argument(help="Folder with images/, instances_train.json and instances_val.json.")],
    out: Annotated[Path, typer.Option(help="The weights to write, after every 500 steps.")],
    shorten: Annotated[int, typer.Option(min=1, help="Divide all step counts by this, for a trial.")] = 1,
) -> None:
    """Train a PVT-v2-B0 detector with the lite head from scratch, and print its AP on the val split."""
    recipe = _shortened(Recipe(), shorten)
    torch.manual_seed(recipe.seed)
    train_set = read_coco(data / "instances_train.json", data / "images")
    val_set = read_coco(data / "instances_val.json", data / "images")
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


def _shortened(recipe: Recipe, by: int) -> Recipe:
    phases = tuple(dataclasses.replace(phase, steps=max(1, phase.steps // by)) for phase in recipe.phases)
    scenes = max(1, recipe.scenes // by)
    return dataclasses.replace(recipe, phases=phases, warmup_steps=recipe.warmup_steps // by, scenes=scenes)


if __name__ == "__main__":
    typer.run(main)
