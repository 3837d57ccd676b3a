"""What INT8 simulated while healing is worth: plans healed without and with it, placed alike and compared.

    .venv/bin/python benchmarks/studies/healing.py ../shared/data/bccd --json benchmarks/results/healing.json

`cells`, all in INT8, without moves and with pooled keys and queries, learns the exact model's answers on the train
pictures of BCCD, whose labels are not used: with the moves alone, and with INT8 simulated, else alike. The weights are
then placed in INT8 for OpenVINO as an export does it, with ranges from the same pictures, and compared with the exact
model in FP32 on the val pictures: matched-box F1 and drifts. Smaller pictures than those of `cells`, so that it takes
minutes.
"""

import csv
import json
import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from recording import write_record

import pvt_edge
from pvt_edge.bundle.schema import PostprocessSpec, ResizeSpec
from pvt_edge.export.graph import INPUT_NAME, DeployGraph
from pvt_edge.export.onnx import export_onnx
from pvt_edge.export.openvino import own_biases, read_model
from pvt_edge.export.precision.layers import find_blocks, observe
from pvt_edge.export.precision.placement import place
from pvt_edge.models.table import apply_moves
from pvt_edge.moves import NONE, Moves, read_moves
from pvt_edge.pictures.resizing import apply, plan
from pvt_edge.precision_plan import PrecisionPlan
from pvt_edge.runtimes.openvino import openvino_core
from pvt_edge.sources import read_image
from pvt_edge.tasks import get_task

CALIBRATION = 64
MOVES = {
    **{f"stages.{i}": {"pool_keys": 4, "pool_queries": 4 if i == 0 else 2} for i in (0, 1)},
    "stages.2": {"pool_keys": 2},
}
EVERYWHERE = {"stages": "int8", "neck": "int8", "head": "int8", "stages.0.patch_embed": "float"}

Inputs = list[NDArray[np.uint8]]  # (1, H, W, 3)


def main(
    data: Annotated[Path, typer.Argument(help="BCCD: instances_train.json, instances_val.json and images/.")],
    imgsz: Annotated[str, typer.Option(help="Height,width of the pictures.")] = "192,256",
    epochs: Annotated[int, typer.Option(help="Of either healing.")] = 8,
    count: Annotated[int | None, typer.Option(help="Train pictures to take; all by default.")] = None,
    json_path: Annotated[Path | None, typer.Option("--json", help="Where to record the result.")] = None,
) -> None:
    """Heal, place and compare; print and record the figures."""
    height, width = (int(side) for side in imgsz.split(","))
    moves = read_moves(MOVES)
    placement = PrecisionPlan.model_validate({"variant": "b0", "task": "detect", "blocks": EVERYWHERE})
    content = json.loads((data / "instances_train.json").read_text())
    content["images"] = content["images"][:count]
    kept = {image["id"] for image in content["images"]}
    content["annotations"] = [one for one in content["annotations"] if one["image_id"] in kept]
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place_of_runs:
        folder = Path(place_of_runs)
        (folder / "train.json").write_text(json.dumps(content))
        (folder / "moves.json").write_text(json.dumps(MOVES))
        (folder / "int8.json").write_text(placement.model_dump_json())
        (folder / "both.json").write_text(placement.model_copy(update={"moves": moves}).model_dump_json())
        calibration = inputs(folder / "train.json", data, (height, width))[:CALIBRATION]
        judged = inputs(data / "instances_val.json", data, (height, width))
        exact = answers(graph("cells", NONE, (height, width), folder), judged)
        for name, healing, made in (
            ("INT8, not healed", None, NONE),
            ("INT8, healed with it", "int8", NONE),
            ("moves and INT8, not healed", None, moves),
            ("moves and INT8, healed with the moves", "moves", moves),
            ("moves and INT8, healed with both", "both", moves),
        ):
            weights, seconds = "cells", 0.0
            if healing:
                run = pvt_edge.train(
                    folder / "train.json",
                    images=data / "images",
                    out=folder / healing,
                    distil="cells",
                    plan=str(folder / f"{healing}.json"),
                    imgsz=(height, width),
                    epochs=epochs,
                    symmetry="all",
                    workers=1,
                )
                weights, seconds = str(run.best), cpu_seconds(run.folder)
            floats = graph(weights, made, (height, width), folder)
            blocks = placement.int8_blocks(find_blocks(floats))
            placed = place(floats, blocks, observe(floats, calibration, INPUT_NAME))
            figures = {
                "float": agreement(answers(floats, judged), exact),
                "int8": agreement(answers(placed, judged), exact),
            }
            found[name] = {**figures, "cpu_seconds": round(seconds, 1)}
            print(name, found[name], flush=True)
    command = f"python benchmarks/studies/healing.py DATA --imgsz {imgsz} --epochs {epochs}"
    command += f" --count {count}" if count else ""
    write_record(json_path, command, {"pictures": len(kept), "judged": len(judged), "cases": found})


def graph(weights: str, moves: Moves, imgsz: tuple[int, int], folder: Path) -> Any:
    """The float graph of weights for OpenVINO, making `moves`."""
    model = apply_moves(pvt_edge.create_model("b0", "detect", weights=weights), moves)
    export_onnx(DeployGraph(model, imgsz, target="openvino"), folder / "model.onnx")
    floats = read_model(folder / "model.onnx")
    own_biases(floats)
    return floats


def answers(model: Any, pictures: Inputs) -> list[dict[str, NDArray[Any]]]:
    """The outputs by name for each picture, what is float in float32."""
    compiled = openvino_core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = (compiled(picture) for picture in pictures)
    return [{name: np.array(one[name]) for name in get_task("detect").outputs} for one in found]


def agreement(found: list[dict[str, NDArray[Any]]], exact: list[dict[str, NDArray[Any]]]) -> dict[str, float]:
    """Matched-box F1 and the drifts of the pairs."""
    figures = get_task("detect").agreement(found, exact, PostprocessSpec())
    return {key: round(figures[key], 4) for key in ("f1", "score_drift", "box_drift_px")}


def inputs(labels: Path, data: Path, imgsz: tuple[int, int]) -> Inputs:
    """The pictures of a COCO file as the graph gets them."""
    fitted, resize = [], ResizeSpec(mode="letterbox")
    for entry in json.loads(labels.read_text())["images"]:
        image = read_image(data / "images" / entry["file_name"])
        fitted.append(apply(image, plan((image.shape[0], image.shape[1]), imgsz, resize), resize)[None])
    return fitted


def cpu_seconds(folder: Path) -> float:
    """What the epochs of a run cost its process."""
    with (folder / "results.csv").open(newline="") as file:
        return sum(float(row["cpu_seconds"]) for row in csv.DictReader(file))


if __name__ == "__main__":
    typer.run(main)
