"""`pvt-edge predict`: a bundle on images, video and cameras."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from pvt_edge.cli.options import BUNDLE_HELP, parse_classes, read_config
from pvt_edge.cli.progress import events_shown
from pvt_edge.cli.spread import spread
from pvt_edge.errors import RuntimeInputError
from pvt_edge.label_names import other_reading
from pvt_edge.options.run import LoadOptions, PredictOptions
from pvt_edge.options.stream import FollowOptions, OutputOptions, SourceOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from pvt_edge.sinks import Sink
    from pvt_edge.streams import StreamRunner

SOURCES_HELP = (
    "Cameras (0, /dev/video0, csi://0), streams (rtsp://, http://), synthetic://cells, images, folders, patterns "
    "such as 'shots/*.jpg', videos. Several share the model."
)
FILES, CAMERAS, COUNTING, MODEL = "Outputs", "Cameras and streams", "Tracking and counting", "Model"  # of --help


@spread(panels={"outputs": FILES, "camera": CAMERAS, "following": COUNTING, "options": MODEL, "loading": MODEL})
def predict(
    *,
    bundle: Annotated[Path | None, typer.Argument(help=BUNDLE_HELP)] = None,
    sources: Annotated[list[str] | None, typer.Argument(help=SOURCES_HELP, metavar="SOURCE...")] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="Take options from a TOML file: bundle, sources, max-age ...", callback=read_config, is_eager=True
        ),
    ] = None,
    outputs: OutputOptions,
    opacity: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="How much masks cover their pictures. Default: 0.5.", rich_help_panel=FILES),
    ] = None,
    polygons: Annotated[
        bool,
        typer.Option("--polygons", help="Masks in JSON as polygons in place of run lengths.", rich_help_panel=FILES),
    ] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Show a window; q or escape ends it.", rich_help_panel=FILES)
    ] = False,
    serve: Annotated[
        str | None,
        typer.Option(help="Serve a live page, such as 127.0.0.1:8080.", metavar="HOST:PORT", rich_help_panel=FILES),
    ] = None,
    serve_token: Annotated[
        str | None,
        typer.Option(
            envvar="PVT_EDGE_TOKEN",
            help="What viewers must know; needed beyond this machine.",
            rich_help_panel=FILES,
            show_envvar=True,
        ),
    ] = None,
    max_age: Annotated[
        float | None, typer.Option(help="Drop live frames older than so many ms.", rich_help_panel=CAMERAS)
    ] = None,
    camera: SourceOptions,
    duration: Annotated[
        float | None, typer.Option(min=0, help="End after so many seconds.", rich_help_panel=CAMERAS)
    ] = None,
    following: FollowOptions,
    options: PredictOptions,
    loading: LoadOptions,
) -> None:
    """Run a bundle on images, videos, cameras and streams; write annotated pictures, JSON, CSV, or serve a page."""
    if bundle is None or not sources:
        missing = "BUNDLE" if bundle is None else "SOURCE"
        raise typer.BadParameter(
            f"give a bundle and a source, such as: pvt-edge predict out/b0 0 ({missing} is missing)"
        )
    from rich.console import Console

    from pvt_edge.cli.stream_run import run_to_end
    from pvt_edge.predictor import load
    from pvt_edge.results.masks import MaskStyle
    from pvt_edge.sinks import Window, open_sinks
    from pvt_edge.streams import StreamRunner
    from pvt_edge.streams.following import follower
    from pvt_edge.streams.runner import open_sources

    follow = follower(**(FollowOptions(track=False) | following)) if following else None
    console = Console(stderr=True, soft_wrap=True)
    with ExitStack() as stack:
        stack.enter_context(events_shown(console))
        predictor = stack.enter_context(load(bundle, pixel_max=camera.pixel_max, **loading))
        style = MaskStyle(MaskStyle.opacity if opacity is None else opacity, polygons)
        of_masks = {"save-masks": "masks" in outputs, "opacity": opacity is not None, "polygons": polygons}
        wrong = None if "mask" in predictor.task.outputs else next((name for name in of_masks if of_masks[name]), None)
        if wrong is not None:
            raise RuntimeInputError(f"--{wrong} is for segmenters, this bundle's task is {predictor.task.name}")
        if "classes" in options:
            options["classes"] = _wanted(cast("list[str]", options["classes"]), predictor.names, console)
        thresholds, slicing = predictor.choose(**options)
        # after the model: no camera waits for it to be loaded
        opened = stack.enter_context(open_sources(sources, replace(camera, pixel_max=predictor.pixel_max)))
        runner = stack.enter_context(
            StreamRunner(predictor, opened, thresholds, slicing=slicing, max_age_ms=max_age, follow=follow, style=style)
        )
        viewers: list[Callable[[], Sink]] = [lambda: Window(runner.stop)] if show else []
        if serve is not None:
            viewers.append(lambda: _open_page(serve, serve_token, runner, camera.stall_s, console))
        rates = {number: source.fps for number, source in enumerate(opened)}
        fps = rates if len(rates) > 1 else rates[0]
        sinks = open_sinks(**outputs, fps=fps, live=runner.live, viewers=viewers)
        run_to_end(runner, sinks.sinks, console, duration_s=duration, stall_s=camera.stall_s)


def _wanted(texts: list[str], labels: "Sequence[str]", console: "Console") -> list[str]:
    """The classes asked for; tells of a name that is also the id of another class."""
    wanted = parse_classes(texts, labels)
    for name in wanted:
        other = other_reading(name, labels)
        if other is not None:
            line = f"note: --classes {name} is the class of that name, not {labels[other]!r}, whose id is {other}"
            console.print(line, style="yellow", markup=False, highlight=False)
    return wanted


def _open_page(address: str, token: str | None, runner: "StreamRunner", stall: float, console: "Console") -> "Sink":
    from pvt_edge.live import LivePage

    page = LivePage(address, token=token, statuses=runner.statuses, stall_s=stall)
    console.print(f"live page: {page.url}", markup=False, highlight=False)
    return page
