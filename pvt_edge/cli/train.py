"""`pvt-edge train`: labelled pictures -> weights."""

import shlex
import sys
from contextlib import redirect_stdout
from json import loads
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pvt_edge.cli.options import JsonReport, check_json, console_beside, write_json
from pvt_edge.cli.progress import interruptible, passing_bar
from pvt_edge.cli.spread import spread
from pvt_edge.options.train import DATA, TrainOptions

if TYPE_CHECKING:
    from rich.console import Console

    from pvt_edge.training.loop import Update
    from pvt_edge.training.run import TrainRun


@spread(after={"weights": ["out", "resume", "val", "images"]})
def train(
    *,
    data: Annotated[
        str | None,
        typer.Argument(
            help="Labelled pictures: class folders, a data.yaml, a COCO file or a folder with some, a Pascal VOC "
            "folder, a folder of pictures and index masks, a CSV file of paths and classes; scenes:200 draws some.",
            metavar="DATA",
        ),
    ] = None,
    options: TrainOptions,
    out: Annotated[
        Path | None, typer.Option(help="The run's folder. Default: runs/<task>-<variant>.", metavar="DIR")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with the run in this folder, as if it had not stopped.", metavar="DIR")
    ] = None,
    val: Annotated[
        str | None,
        typer.Option(
            help="Other data to judge by. Default: the data's own val part, else a fifth.", rich_help_panel=DATA
        ),
    ] = None,
    images: Annotated[
        str | None, typer.Option(help="Where a file's pictures are.", metavar="DIR", rich_help_panel=DATA)
    ] = None,
    export: Annotated[bool, typer.Option("--export", help="Export the best weights to DIR/bundle afterwards.")] = False,
    int8: Annotated[bool, typer.Option("--int8", help="With --export, in INT8 too.")] = False,
    json: JsonReport = None,
) -> None:
    """Train a model on your own labelled pictures; the weights know all that an export needs."""
    from pvt_edge.training.run import train as run_training

    check_json(json)
    if resume is None and (data is None or (options.task is None and options.distil is None)):
        raise typer.BadParameter("give DATA and --task classify, detect or segment, or --resume DIR")
    if int8 and not export:
        raise typer.BadParameter("--int8 goes with --export")
    console = console_beside(json)
    with interruptible(), _Shown(console) as watcher:
        run = run_training(
            data, out=out, val=val, images=images, resume=resume, watcher=watcher.as_watcher(), **vars(options)
        )
    _print(console, run)
    if json:
        write_json(
            {
                "folder": str(run.folder.resolve()),
                "best": str(run.best.resolve()),
                "last": str(run.last.resolve()),
                "figures": {name: value if value == value else None for name, value in run.figures.items()},
                "epochs": run.epochs,
                "stopped": run.stopped,
            },
            json,
        )
    if run.stopped == "Ctrl-C":
        raise typer.Exit(130)
    if export and run.figures:
        with redirect_stdout(sys.stderr if json == "-" else sys.stdout):  # where nothing but the report may go
            _export(run, int8)


class _Shown:
    """A bar with loss, rate and the time that is left, and a line an epoch above it."""

    def __init__(self, console: "Console") -> None:
        from rich.progress import BarColumn, TextColumn

        self.console = console
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[detail]}"))
        self.bar = passing_bar(console, *columns)
        self.step = self.bar.add_task("checking the data", total=None, detail="")

    def __enter__(self) -> "_Shown":
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def as_watcher(self) -> Any:
        """What `pvt_edge.train` tells."""
        from pvt_edge.training.run import Watcher

        shown = self

        class Told(Watcher):
            def say(self, line: str) -> None:
                shown.console.print(line, markup=False, highlight=False)

            def looked(self, done: int, total: int) -> None:
                shown.bar.update(shown.step, completed=done, total=total)

            def updated(self, update: "Update") -> None:
                shown.update(update)

        return Told()

    def update(self, update: "Update") -> None:
        """Move the bar; at the end of an epoch print its line."""
        left = "" if update.share < 0.01 else f", {_clock(update.seconds_left)} left"
        detail = f"loss {update.loss:.3f}, rate {update.rate:.1e}, {update.images_per_s:.0f} pictures/s{left}"
        self.bar.update(
            self.step, description=f"epoch {update.epoch}", completed=update.share, total=1.0, detail=detail
        )
        if update.figures is not None:
            shown = ", ".join(f"{name} {value:.3f}" for name, value in update.figures.items())
            best = "  (best so far)" if update.is_best else ""
            line = f"epoch {update.epoch}: {detail}, {update.waiting:.0%} of the time waiting for them; {shown}{best}"
            self.console.print(line, markup=False, highlight=False)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def _print(console: "Console", run: "TrainRun") -> None:
    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False)

    if run.stopped:
        say(f"stopped after epoch {run.epochs}: {run.stopped}")
    if not run.figures:
        say(f"no epoch was finished; go on with: pvt-edge train --resume {shlex.quote(str(run.folder))}")
        return
    say("best on val: " + ", ".join(f"{name} {value:.3f}" for name, value in run.figures.items()))
    say(f"wrote {run.best.resolve()}")
    shown = [
        name for name in ("samples.jpg", "confusion.png", "curves.png", "data.md") if (run.folder / name).is_file()
    ]
    say(f"look at {', '.join(shown)} in {run.folder}")
    say(f"next: pvt-edge {shlex.join(_export_words(run, int8=True))}")


def _export_words(run: "TrainRun", *, int8: bool) -> list[str]:
    """The command that exports the best weights; with `int8`, what the run was healed for is approximated."""
    words = ["export", "--weights", str(run.best), *(["--int8"] if int8 else [])]
    healed = run.folder / "plan.json"
    if int8 and healed.is_file():
        words += ["--plan" if "blocks" in loads(healed.read_text("utf-8")) else "--approximate", str(healed)]
    return [*words, "--out", str(run.folder / "bundle")]


def _export(run: "TrainRun", int8: bool) -> None:
    """`pvt-edge export` of the best weights."""
    from pvt_edge.cli.app import app

    if code := app(_export_words(run, int8=int8), standalone_mode=False):
        raise typer.Exit(code)
