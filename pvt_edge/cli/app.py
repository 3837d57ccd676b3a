"""The `pvt-edge` command: its sub-commands, and the one place where errors become a line and an exit code."""

import os
import sys
import warnings
from io import TextIOWrapper
from typing import Annotated, TextIO

import typer

from pvt_edge import __version__
from pvt_edge.cli.benchmark import benchmark
from pvt_edge.cli.build import build
from pvt_edge.cli.demo import demo
from pvt_edge.cli.doctor import doctor
from pvt_edge.cli.export import export
from pvt_edge.cli.inspect import inspect
from pvt_edge.cli.predict import predict
from pvt_edge.cli.progress import STOPPED
from pvt_edge.cli.train import train
from pvt_edge.cli.val import val
from pvt_edge.cli.verify import verify
from pvt_edge.errors import PictureWarning, PvtEdgeError, escaped, missing_package

app = typer.Typer(
    name="pvt-edge",
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (demo, train, export, build, predict, verify, val, benchmark, inspect, doctor):  # as --help lists them
    app.command()(command)

FIRST_STEPS = """\
pvt-edge demo                                    try it on generated pictures, offline
pvt-edge doctor                                  what this machine can run
pvt-edge export --weights FILE --int8            make a bundle of your checkpoint
pvt-edge predict BUNDLE picture.jpg              find what is in a picture, a video or a camera
pvt-edge train PICTURES/ --task detect           train on your own labelled pictures

All commands: pvt-edge --help"""
DEBUG = False  # whether errors show their traceback


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"pvt-edge {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and stop.")
    ] = False,
    debug: Annotated[bool, typer.Option(help="Show tracebacks of errors.")] = False,
) -> None:
    """Pyramid Vision Transformers v1 and v2 at the edge: export, quantise, check and run."""
    global DEBUG
    DEBUG = DEBUG or debug  # a command that runs others, as demo does, passes none on
    if context.invoked_subcommand is None:
        typer.echo(FIRST_STEPS)


def main() -> None:
    """Run the command; exit with 0, 1 after an error, 2 after wrong usage, 130 after Ctrl-C."""
    global DEBUG
    DEBUG = False
    if isinstance(sys.stdout, TextIOWrapper):  # what a terminal that is not UTF-8 cannot show must end nothing
        sys.stdout.reconfigure(errors="replace")
    warnings.showwarning = _show_warning
    try:
        app()
    except PvtEdgeError as error:
        _fail(error, str(error))
    except ModuleNotFoundError as error:
        _fail(error, str(missing_package(error)))
    except KeyboardInterrupt:
        typer.echo(STOPPED, err=True)
        raise SystemExit(130) from None
    except BrokenPipeError:  # the reader of our output went away: `pvt-edge ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except Exception as error:
        _fail(error, f"unexpected {type(error).__name__}: {error} (pvt-edge --debug ... shows where)")


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A line for what is odd with a picture; other warnings as Python shows them."""
    text = f"warning: {escaped(str(message))}\n" if issubclass(category, PictureWarning) else None
    (file or sys.stderr).write(text or warnings.formatwarning(message, category, filename, lineno, line))


def _fail(error: Exception, message: str) -> None:
    if DEBUG:
        raise error
    typer.echo(f"pvt-edge: error: {' '.join(message.split())}", err=True)
    raise SystemExit(1)
