"""`python -m pvt_edge.scenes FOLDER`: write generated scenes, and a clip of a moving stage."""

from pathlib import Path
from typing import Annotated

import typer

from pvt_edge.errors import DataError
from pvt_edge.scenes import write_clip, write_scenes


def main(
    folder: Annotated[Path, typer.Argument(help="Gets images/, masks/, classes.txt and instances.json.")],
    count: Annotated[int, typer.Option(min=1, help="How many scenes.")] = 12,
    seed: Annotated[int, typer.Option(min=0, help="Other seeds give other scenes.")] = 0,
    clip: Annotated[Path | None, typer.Option(help="A video to write as well, such as clip.mp4.")] = None,
    frames: Annotated[int, typer.Option(min=1, help="Frames of the video.")] = 100,
) -> None:
    """Write blood-smear scenes with their boxes in COCO format and their class maps."""
    try:
        path = write_scenes(folder, count, seed=seed)
        typer.echo(f"wrote {count} scenes and {path.resolve()}")
        if clip is not None:
            write_clip(clip, frames, seed=seed)
            typer.echo(f"wrote {clip.resolve()}")
    except (DataError, OSError) as error:
        typer.echo(f"pvt_edge.scenes: error: {error}", err=True)
        raise typer.Exit(1) from None


if __name__ == "__main__":
    typer.run(main)
