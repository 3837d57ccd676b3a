"""`pvt-edge demo`: generated pictures, an export and predictions, with the commands a user would type."""

from importlib.util import find_spec
from pathlib import Path
from shlex import join
from typing import Annotated

import typer

from pvt_edge.errors import DataError, RuntimeMissingError

NEEDS = ("torch", "onnx", "openvino", "cv2", "av")
WRITTEN = {
    "scenes",
    "clip.mp4",
    "b0",
    "b0-segment",
    "annotated",
    "annotated.mp4",
    "masks",
    "images.jsonl",
    "clip.jsonl",
}


def demo(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Where it writes.", metavar="DIR")] = Path("pvt-edge-demo"),
    int8: Annotated[bool, typer.Option("--int8/--no-int8", help="Make INT8 too, which takes most of the time.")] = True,
    count: Annotated[int, typer.Option(min=1, help="How many pictures.")] = 12,
    frames: Annotated[int, typer.Option(min=1, help="How many frames of video.")] = 100,
) -> None:
    """Try it: draw pictures of blood cells, find the cells by boxes and by pixels. Offline, in some minutes."""
    from pvt_edge.scenes import write_clip, write_scenes

    if missing := [package for package in NEEDS if find_spec(package) is None]:
        raise RuntimeMissingError(
            f'the demo needs {", ".join(missing)}, not installed here: pip install "pvt-edge[export,opencv]"'
        )
    _check(out)
    clip = out / "clip.mp4"
    typer.echo(f"drawing {count} pictures and {frames} frames of video")
    write_scenes(out / "scenes", count)
    write_clip(clip, frames)

    bundle, pictures = str(out / "b0"), str(out / "scenes" / "images")
    precision = ["--int8", "--tune", "quick"] if int8 else []
    commands = [
        ["export", "--variant", "b0", *precision, "--out", bundle],
        ["predict", bundle, pictures, "--save", str(out / "annotated"), "--json", str(out / "images.jsonl")],
        ["predict", bundle, str(clip), "--save", str(out / "annotated.mp4"), "--json", str(out / "clip.jsonl")],
        ["export", "--variant", "b0", "--task", "segment", "--format", "openvino", "--out", f"{bundle}-segment"],
        ["predict", f"{bundle}-segment", pictures, "--save", str(out / "masks")],
    ]
    root = context.find_root().command
    for words in commands:
        typer.echo(f"\n$ pvt-edge {join(words)}")
        if code := root.main(words, prog_name="pvt-edge", standalone_mode=False):
            raise typer.Exit(code)
    typer.echo(f"\nlook at {out / 'annotated'}, {out / 'annotated.mp4'} and {out / 'masks'}")
    typer.echo(f"next: pvt-edge predict {join([bundle])} your-picture.jpg --save annotated/")


def _check(out: Path) -> None:
    """Raise `DataError` where the demo would write among files of the user's."""
    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file: choose another folder with --out")
    others = sorted({entry.name for entry in out.iterdir()} - WRITTEN) if out.is_dir() else []
    if others:
        raise DataError(
            f"{out} holds files that the demo did not write ({others[0]}): choose another folder with --out"
        )
