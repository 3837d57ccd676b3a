"""`pvt-edge build`: on the device, a bundle's graphs -> TensorRT engines."""

import shlex
from dataclasses import replace
from time import perf_counter
from typing import Annotated, Any

import typer

from pvt_edge.cli.options import BundleFolder, JsonReport, check_json, console_beside, parse_batch, write_json
from pvt_edge.cli.progress import interruptible, step_log
from pvt_edge.cli.spread import spread
from pvt_edge.options.build import BuildOptions


@spread()
def build(
    *,
    bundle: BundleFolder,
    library: Annotated[str, typer.Option("--format", help="tensorrt or tensorrt-rtx.")] = "tensorrt",
    options: BuildOptions,
    batch: Annotated[
        str | None, typer.Option(help="Of a dynamic batch: lowest,best,highest. Default: 1,1,16.", metavar="LIST")
    ] = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Build engines again that fit this machine.")] = False,
    json: JsonReport = None,
) -> None:
    """Build a bundle's TensorRT engines on this machine; needs TensorRT and cuda-python, no torch."""
    from rich.table import Table
    from rich.text import Text

    from pvt_edge.cli.inspect import artifact_rows
    from pvt_edge.engines.bundle_build import build_bundle

    console = console_beside(json)
    check_json(json)
    started = perf_counter()
    batches = parse_batch(batch, dynamic=True)[1] if batch else None
    if batch and batches is None:
        raise typer.BadParameter(
            "the batches of an engine are lowest,best,highest, such as 1,4,16", param_hint="--batch"
        )
    log = step_log(console)
    with interruptible(), console.status("starting") as status:

        def show(text: str) -> None:
            status.update(Text(text))
            log(text)

        found = build_bundle(
            bundle, library=library, options=replace(options, batches=batches), rebuild=rebuild, on_step=show
        )
    if json:
        content: dict[str, Any] = {"bundle": str(found.folder), "seconds": round(perf_counter() - started, 1)}
        write_json(content | {"manifest": found.manifest.model_dump(mode="json")}, json)
    columns, rows = artifact_rows(found)
    table = Table(*columns, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    console.print(table)
    console.print(f"wrote {found.folder} in {perf_counter() - started:.0f} s", markup=False, highlight=False)
    shown = shlex.quote(str(bundle))
    console.print(f"next: pvt-edge predict {shown} your-images/ --runtime {library}", markup=False, highlight=False)
