"""The options of TensorRT's builder, which `export` and `build` share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pvt_edge.cli.options import parse_list

if TYPE_CHECKING:
    from pvt_edge.engines.options import BuildOptions

Target = Annotated[
    str | None, typer.Option(help="TensorRT-RTX: the GPUs to build for, such as sm86,sm89,sm120.", metavar="LIST")
]
Workspace = Annotated[int | None, typer.Option(min=1, help="Scratch memory of the builder, MiB.", metavar="MIB")]
TimingCache = Annotated[
    Path | None, typer.Option(help="The builder's timing cache. Default: kept in the bundle.", metavar="FILE")
]
OptLevel = Annotated[int | None, typer.Option(min=0, max=5, help="How long the builder looks for kernels, 0 to 5.")]
HardwareCompat = Annotated[str, typer.Option(help="GPUs the engine runs on: none (this one), ampere+ or same-cc.")]
VersionCompatible = Annotated[
    bool, typer.Option("--version-compatible", help="An engine that later minor versions of TensorRT run too.")
]


def engine_options(
    *,
    target: str | None,
    workspace: int | None,
    timing_cache: Path | None,
    opt_level: int | None,
    hardware_compat: str,
    version_compatible: bool,
    batches: tuple[int, int, int] | None,
) -> "BuildOptions":
    """The options as the builder takes them."""
    from pvt_edge.engines.options import BuildOptions

    return BuildOptions(
        workspace_mib=workspace,
        opt_level=opt_level,
        hardware_compat=hardware_compat,
        version_compatible=version_compatible,
        target=parse_list(target) if target else (),
        batches=batches,
        timing_cache=timing_cache,
    )


def parse_batch(text: str, dynamic: bool) -> tuple[int, tuple[int, int, int] | None]:
    """(batch, profile) of "8", or of "1,4,16" with a dynamic batch: the profile's best is the batch."""
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 3) or min(numbers, default=0) < 1:
        told = f"{text!r} is no batch: write 8, or with --dynamic-batch lowest,best,highest: 1,4,16"
        raise typer.BadParameter(told, param_hint="--batch")
    if len(numbers) == 1:
        return numbers[0], None
    if not dynamic:
        told = f"a profile of batches ({text}) is for --dynamic-batch; a static batch is one number"
        raise typer.BadParameter(told, param_hint="--batch")
    return numbers[1], (numbers[0], numbers[1], numbers[2])
