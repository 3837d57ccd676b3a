"""`pvt-edge train`: labelled pictures -> weights."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pvt_edge.cli.bar import passing_bar
from pvt_edge.cli.options import JsonReport, check_json, console_beside, parse_imgsz, write_json

if TYPE_CHECKING:
    from rich.console import Console

    from pvt_edge.training.loop import Update
    from pvt_edge.training.run import TrainRun

RECIPE, DATA, OUTPUT = "Recipe", "Data", "Run"


def train(
    data: Annotated[
        str | None,
        typer.Argument(
            help="Labelled pictures: class folders, a data.yaml, a COCO file or a folder with some, a Pascal VOC "
            "folder, a CSV file of paths and classes; scenes:200 draws some.",
            metavar="DATA",
        ),
    ] = None,
    task: Annotated[str | None, typer.Option(help="classify or detect.")] = None,
    variant: Annotated[str | None, typer.Option(help="b0, b1, b2, b2-li, b3, b4 or b5. Default: b0.")] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="What to start from: imagenet (published, downloaded once), a checkpoint of any kind, a former run's "
            "best.safetensors, cells (bundled), or none (random). Default: imagenet.",
            metavar="FILE|NAME",
        ),
    ] = None,
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
    val_share: Annotated[
        float | None, typer.Option(help="Held back of data without a val part. Default: 0.2.", rich_help_panel=DATA)
    ] = None,
    extra: Annotated[
        str | None,
        typer.Option(help="More data of the same classes, to learn from alone; scenes:600.", rich_help_panel=DATA),
    ] = None,
    extra_share: Annotated[
        float | None, typer.Option(help="Of a batch, drawn from --extra. Default: 0.25.", rich_help_panel=DATA)
    ] = None,
    cache: Annotated[
        bool | None,
        typer.Option("--cache/--no-cache", help="Keep pictures in memory. Default: if they fit.", rich_help_panel=DATA),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that prepare pictures. Default: by the machine.", rich_help_panel=DATA)
    ] = None,
    head: Annotated[
        str | None, typer.Option(help="A detector's: lite or retinanet. Default: lite.", rich_help_panel=RECIPE)
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Default: by task and size of the data.", rich_help_panel=RECIPE)
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(help="Be done within 30m, 1.5h or 90s, pictures included.", rich_help_panel=RECIPE),
    ] = None,
    patience: Annotated[
        int | None, typer.Option(help="Stop after so many validations that are no better.", rich_help_panel=RECIPE)
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Pictures a step.", rich_help_panel=RECIPE)] = None,
    imgsz: Annotated[
        str | None,
        typer.Option(help="Input size: 640, or height,width. Default: by the pictures.", rich_help_panel=RECIPE),
    ] = None,
    lr: Annotated[float | None, typer.Option(help="AdamW's rate at its highest.", rich_help_panel=RECIPE)] = None,
    layer_decay: Annotated[
        float | None,
        typer.Option(help="Rate of a stage, of the next one. Default: 0.8, 1 from scratch.", rich_help_panel=RECIPE),
    ] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Default: 0.05.", rich_help_panel=RECIPE)] = None,
    freeze: Annotated[
        str | None,
        typer.Option(help="none, head-only (trains neck and head), or stages.0-2.", rich_help_panel=RECIPE),
    ] = None,
    drop_path: Annotated[float | None, typer.Option(help="Stochastic depth; 0.1.", rich_help_panel=RECIPE)] = None,
    drop: Annotated[
        float | None, typer.Option(help="Dropout before a classifier's head. Default: 0.", rich_help_panel=RECIPE)
    ] = None,
    ema: Annotated[
        bool | None,
        typer.Option("--ema/--no-ema", help="Average the weights over steps. Default: yes.", rich_help_panel=RECIPE),
    ] = None,
    symmetry: Annotated[
        str | None,
        typer.Option(help="How pictures are turned: mirror, all or none. Default: mirror.", rich_help_panel=RECIPE),
    ] = None,
    amp: Annotated[
        str | None,
        typer.Option(help="auto, off, bf16 or fp16: how matrices are multiplied.", rich_help_panel=RECIPE),
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda:0 ...", rich_help_panel=RECIPE)] = None,
    seed: Annotated[int | None, typer.Option(help="Default: 0.", rich_help_panel=RECIPE)] = None,
    distil: Annotated[
        str | None,
        typer.Option(
            help="Heal instead: these weights, with --plan, learn their own exact answers on DATA, any pictures.",
            metavar="FILE|NAME",
        ),
    ] = None,
    plan: Annotated[
        str | None,
        typer.Option(help="With --distil: moves, as --approximate of export takes them.", metavar="FILE"),
    ] = None,
    tensorboard: Annotated[bool | None, typer.Option("--tensorboard", help="Write its files too.")] = None,
    export: Annotated[bool, typer.Option("--export", help="Export the best weights to DIR/bundle afterwards.")] = False,
    int8: Annotated[bool, typer.Option("--int8", help="With --export, in INT8 too.")] = False,
    json: JsonReport = None,
) -> None:
    """Train a model on your own labelled pictures; the weights know all that an export needs."""
    from pvt_edge.cli.steps import interruption_told
    from pvt_edge.training.run import train as run_training

    check_json(json)
    if resume is None and (data is None or (task is None and distil is None)):
        raise typer.BadParameter("give DATA and --task classify or detect, or --resume DIR")
    if int8 and not export:
        raise typer.BadParameter("--int8 goes with --export")
    options: dict[str, Any] = {
        "task": task,
        "variant": variant,
        "weights": weights,
        "head": head,
        "epochs": epochs,
        "time": time,
        "patience": patience,
        "batch": batch,
        "lr": lr,
        "layer_decay": layer_decay,
        "weight_decay": weight_decay,
        "freeze": freeze,
        "drop_path": drop_path,
        "drop": drop,
        "ema": ema,
        "amp": amp,
        "device": device,
        "workers": workers,
        "seed": seed,
        "symmetry": symmetry,
        "extra": extra,
        "extra_share": extra_share,
        "val_share": val_share,
        "cache": cache,
        "tensorboard": tensorboard,
        "distil": distil,
        "plan": plan,
        "imgsz": None if imgsz is None else parse_imgsz(imgsz),
    }
    console = console_beside(json)
    with interruption_told(), _Shown(console) as watcher:
        run = run_training(
            data, out=out, val=val, images=images, resume=resume, watcher=watcher.as_watcher(), **options
        )
    _print(console, run, plan)
    if export:
        _export(run, int8)
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
            line = f"epoch {update.epoch}: {detail}; {shown}{best}"
            self.console.print(line, markup=False, highlight=False)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def _print(console: "Console", run: "TrainRun", plan: str | None) -> None:
    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False)

    if run.stopped:
        say(f"stopped after epoch {run.epochs}: {run.stopped}")
    if not run.figures:
        say(f"no epoch was finished; go on with: pvt-edge train --resume {run.folder}")
        return
    say("best on val: " + ", ".join(f"{name} {value:.3f}" for name, value in run.figures.items()))
    say(f"wrote {run.best.resolve()}")
    say(f"look at {run.folder / 'samples.jpg'}, confusion.png, curves.png and data.md beside it")
    approximate = f" --approximate {plan}" if plan else ""
    say(f"next: pvt-edge export --weights {run.best} --int8{approximate} --out {run.folder / 'bundle'}")


def _export(run: "TrainRun", int8: bool) -> None:
    """`pvt-edge export` of the best weights."""
    from pvt_edge.cli.app import app

    arguments = ["export", "--weights", str(run.best), "--out", str(run.folder / "bundle")]
    app([*arguments, *(["--int8"] if int8 else [])], standalone_mode=False)
