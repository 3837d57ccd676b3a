"""`pvt-edge predict`: a bundle on images or video."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pvt_edge.cli.options import parse_list

if TYPE_CHECKING:
    from pvt_edge.results import Result


def predict(
    bundle: Annotated[Path, typer.Argument(help="The folder an export wrote.")],
    source: Annotated[str, typer.Argument(help="An image, a folder, a pattern such as 'shots/*.jpg', or a video.")],
    save: Annotated[
        Path | None, typer.Option(help="Annotated output: a folder, or a video such as out.mp4.", metavar="PATH")
    ] = None,
    json: Annotated[
        str | None, typer.Option("--json", help="One JSON line a frame; - is stdout.", metavar="PATH")
    ] = None,
    conf: Annotated[float | None, typer.Option(min=0, max=1, help="Lowest score. Default: the bundle's.")] = None,
    iou: Annotated[float | None, typer.Option(min=0, max=1, help="NMS overlap. Default: the bundle's.")] = None,
    max_det: Annotated[int | None, typer.Option(min=1, help="Most detections. Default: the bundle's.")] = None,
    classes: Annotated[str | None, typer.Option(help="Only these: names or ids, comma-separated.")] = None,
    runtime: Annotated[str, typer.Option(help="auto, openvino, onnxruntime, tensorrt or tensorrt-rtx.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16, fp16 or int8.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda:0 ...")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="Threads. Default: the runtime's choice.")] = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Build TensorRT engines again that were built for another machine.")
    ] = False,
) -> None:
    """Run a bundle on images or a video; write annotated pictures and JSON lines."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from pvt_edge.predictor import load
    from pvt_edge.sinks import open_sinks
    from pvt_edge.sources import open_source

    console = Console(stderr=True, soft_wrap=True)
    counts: Counter[str] = Counter()
    speeds: list[Mapping[str, float]] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with load(bundle, runtime, precision=precision, device=device, threads=threads, rebuild=rebuild) as predictor:
        wanted = [_class(name) for name in parse_list(classes)] if classes else None
        with (
            open_source(source) as opened,
            open_sinks(save, json, fps=opened.fps) as sinks,
            Progress(*columns, console=console, transient=True) as bar,
        ):
            step = bar.add_task(opened.name, total=opened.frame_count)
            results = predictor.stream(opened, conf=conf, iou=iou, max_det=max_det, classes=wanted)
            for result in results:
                sinks.write(result)
                counts.update(_names(result))
                speeds.append(result.speed)
                bar.advance(step)
        skipped = opened.skipped
        ran = f"{predictor.runtime.name} {predictor.runtime.precision}"
    for line in skipped:
        console.print(f"skipped: {line}", style="yellow", markup=False, highlight=False)
    found = ", ".join(f"{count} {name}" for name, count in counts.most_common(8)) or "nothing found"
    mean = {key: sum(speed[key] for speed in speeds) / len(speeds) for key in speeds[0]} if speeds else {}
    times = ", ".join(f"{key} {value:.1f}" for key, value in mean.items())
    skips = f", {len(skipped)} skipped" if skipped else ""
    console.print(f"{len(speeds)} frames{skips} with {ran}: {found}", highlight=False)
    console.print(f"mean ms a frame: {times}", highlight=False)
    for target in (save, json if json != "-" else None):
        if target is not None:
            console.print(f"wrote {Path(target).resolve()}", highlight=False)


def _class(name: str) -> int | str:
    return int(name) if name.isdigit() else name


def _names(result: "Result") -> list[str]:
    """What the result found, by name: each box's class, or the best class of a picture."""
    if result.boxes is not None:
        return [result.names[int(i)] for i in result.boxes.cls]
    return [result.names[result.probs.top1]] if result.probs is not None else []
