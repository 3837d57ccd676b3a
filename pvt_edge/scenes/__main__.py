"""`python -m pvt_edge.scenes FOLDER`: write generated scenes, and a clip of a moving stage."""

from pathlib import Path
from typing import Annotated

import typer

from pvt_edge.scenes import scene_clip, write_scenes

CLIP_FPS = 25.0


def main(
    folder: Annotated[Path, typer.Argument(help="Gets images/ and instances.json.")],
    count: Annotated[int, typer.Option(min=1, help="How many scenes.")] = 12,
    seed: Annotated[int, typer.Option(help="Other seeds give other scenes.")] = 0,
    clip: Annotated[Path | None, typer.Option(help="A video to write as well, such as clip.mp4.")] = None,
    frames: Annotated[int, typer.Option(min=1, help="Frames of the video.")] = 100,
) -> None:
    """Write blood-smear scenes with their boxes in COCO format."""
    path = write_scenes(folder, count, seed=seed)
    typer.echo(f"wrote {count} scenes and {path.resolve()}")
    if clip is None:
        return
    import cv2

    clip.parent.mkdir(parents=True, exist_ok=True)
    writer = None
    for scene in scene_clip(seed, frames):
        height, width = scene.image.shape[:2]
        if writer is None:
            writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"mp4v"), CLIP_FPS, (width, height))
        writer.write(scene.image)
    if writer is not None:
        writer.release()
    typer.echo(f"wrote {clip.resolve()}")


if __name__ == "__main__":
    typer.run(main)
