"""`pvt-edge predict`: a bundle on images, video and cameras."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pvt_edge.cli.config import read_config
from pvt_edge.cli.options import (
    BUNDLE_HELP,
    CLASSES_HELP,
    DEVICE_HELP,
    IOU_HELP,
    MAX_DET_HELP,
    PIXEL_MAX_HELP,
    THREADS_HELP,
    parse_classes,
    parse_points,
)
from pvt_edge.label_names import other_reading

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from pvt_edge.sinks import Sink
    from pvt_edge.streams import StreamRunner

SOURCES_HELP = (
    "Cameras (0, /dev/video0, csi://0), streams (rtsp://, http://), synthetic://cells, images, folders, patterns "
    "such as 'shots/*.jpg', videos. Several share the model."
)
FILES, CAMERAS, COUNTING, MODEL = "Outputs", "Cameras and streams", "Tracking and counting", "Model"


def predict(
    bundle: Annotated[Path | None, typer.Argument(help=BUNDLE_HELP)] = None,
    sources: Annotated[list[str] | None, typer.Argument(help=SOURCES_HELP, metavar="SOURCE...")] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="Take options from a TOML file: bundle, sources, max-age ...", callback=read_config, is_eager=True
        ),
    ] = None,
    save: Annotated[
        str | None,
        typer.Option(
            help="Annotated output: a folder, or a video such as out.mp4.", metavar="PATH", rich_help_panel=FILES
        ),
    ] = None,
    segment: Annotated[
        float | None, typer.Option(min=1, help="Begin a new video every so many seconds.", rich_help_panel=FILES)
    ] = None,
    json: Annotated[
        str | None,
        typer.Option("--json", help="One JSON line a frame; - is stdout.", metavar="PATH", rich_help_panel=FILES),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(help="One CSV row a detection.", metavar="PATH", rich_help_panel=FILES)
    ] = None,
    webhook: Annotated[
        str | None, typer.Option(help="Post each result's JSON there.", metavar="URL", rich_help_panel=FILES)
    ] = None,
    webhook_every: Annotated[
        float, typer.Option(min=0, help="Post at most every so many seconds.", rich_help_panel=FILES)
    ] = 0.0,
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
    stall: Annotated[
        float, typer.Option(help="Reopen a source that is silent for so many seconds.", rich_help_panel=CAMERAS)
    ] = 5.0,
    source_width: Annotated[
        int | None, typer.Option(help="Pixels to ask of a camera.", rich_help_panel=CAMERAS)
    ] = None,
    source_height: Annotated[
        int | None, typer.Option(help="Pixels to ask of a camera.", rich_help_panel=CAMERAS)
    ] = None,
    source_fps: Annotated[
        float | None, typer.Option(help="Frames a second to ask of a camera.", rich_help_panel=CAMERAS)
    ] = None,
    source_codec: Annotated[
        str | None, typer.Option(help="mjpg, yuyv, y16, h264 or h265.", rich_help_panel=CAMERAS)
    ] = None,
    rtsp_transport: Annotated[str, typer.Option(help="tcp or udp.", rich_help_panel=CAMERAS)] = "tcp",
    pixel_max: Annotated[
        str | None, typer.Option(help=PIXEL_MAX_HELP, metavar="N|auto", rich_help_panel=CAMERAS)
    ] = None,
    duration: Annotated[
        float | None, typer.Option(min=0, help="End after so many seconds.", rich_help_panel=CAMERAS)
    ] = None,
    track: Annotated[
        bool, typer.Option("--track", help="Follow objects: each keeps its id.", rich_help_panel=COUNTING)
    ] = False,
    count_line: Annotated[
        list[str] | None,
        typer.Option(
            help="Count who crosses, in pixels; may be repeated.", metavar="X1,Y1,X2,Y2", rich_help_panel=COUNTING
        ),
    ] = None,
    count_zone: Annotated[
        list[str] | None,
        typer.Option(
            help="Count who is inside; may be repeated.", metavar="X1,Y1,X2,Y2,X3,Y3...", rich_help_panel=COUNTING
        ),
    ] = None,
    conf: Annotated[
        float | None, typer.Option(min=0, max=1, help="Lowest score. Default: the bundle's.", rich_help_panel=MODEL)
    ] = None,
    iou: Annotated[float | None, typer.Option(min=0, max=1, help=IOU_HELP, rich_help_panel=MODEL)] = None,
    max_det: Annotated[int | None, typer.Option(min=1, help=MAX_DET_HELP, rich_help_panel=MODEL)] = None,
    classes: Annotated[
        list[str] | None, typer.Option(help=CLASSES_HELP, metavar="NAME,ID...", rich_help_panel=MODEL)
    ] = None,
    runtime: Annotated[
        str, typer.Option(help="auto, openvino, onnxruntime, tensorrt, tensorrt-rtx or opencv.", rich_help_panel=MODEL)
    ] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16, fp16 or int8.", rich_help_panel=MODEL)] = "auto",
    device: Annotated[str, typer.Option(help=DEVICE_HELP, rich_help_panel=MODEL)] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help=THREADS_HELP, rich_help_panel=MODEL)] = None,
    rebuild: Annotated[
        bool,
        typer.Option(
            "--rebuild", help="Build TensorRT engines again that were built for another machine.", rich_help_panel=MODEL
        ),
    ] = False,
) -> None:
    """Run a bundle on images, videos, cameras and streams; write annotated pictures, JSON, CSV, or serve a page."""
    if bundle is None or not sources:
        missing = "BUNDLE" if bundle is None else "SOURCE"
        raise typer.BadParameter(
            f"give a bundle and a source, such as: pvt-edge predict out/b0 0 ({missing} is missing)"
        )
    from rich.console import Console

    from pvt_edge.cli.progress import events_shown
    from pvt_edge.cli.stream_run import run_to_end
    from pvt_edge.pixel_depth import check_pixel_max
    from pvt_edge.predictor import load
    from pvt_edge.sinks import Window, open_sinks
    from pvt_edge.sources import SourceOptions
    from pvt_edge.streams import StreamRunner
    from pvt_edge.streams.following import follower
    from pvt_edge.streams.joining import open_sources

    given = check_pixel_max(pixel_max)
    options = SourceOptions(source_width, source_height, source_fps, source_codec, stall, rtsp_transport, given)
    lines = [parse_points(text, "--count-line") for text in count_line or ()]
    zones = [parse_points(text, "--count-zone") for text in count_zone or ()]
    follow = follower(lines=lines, zones=zones) if track or lines or zones else None
    console = Console(stderr=True, soft_wrap=True)
    with ExitStack() as stack:
        stack.enter_context(events_shown(console))
        predictor = stack.enter_context(
            load(
                bundle,
                runtime,
                precision=precision,
                device=device,
                threads=threads,
                rebuild=rebuild,
                pixel_max=given,
            )
        )
        wanted = _wanted(classes, predictor.names, console) if classes else None
        thresholds = predictor.choose_thresholds(conf=conf, iou=iou, max_det=max_det, classes=wanted)
        # after the model: no camera waits for it to be loaded
        opened = stack.enter_context(open_sources(sources, replace(options, pixel_max=predictor.pixel_max)))
        runner = stack.enter_context(StreamRunner(predictor, opened, thresholds, max_age_ms=max_age, follow=follow))
        viewers: list[Callable[[], Sink]] = [lambda: Window(runner.stop)] if show else []
        if serve is not None:
            viewers.append(lambda: _open_page(serve, serve_token, runner, stall, console))
        rates = {number: source.fps for number, source in enumerate(opened)}
        sinks = open_sinks(
            save,
            json,
            csv=csv,
            webhook=webhook,
            webhook_every_s=webhook_every,
            fps=rates if len(rates) > 1 else rates[0],
            live=runner.live,
            segment_s=segment,
            viewers=viewers,
        )
        run_to_end(runner, sinks.sinks, console, duration_s=duration, stall_s=stall)


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
