"""How TensorRT is to build."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pvt_edge.errors import ExportError, UnknownNameError
from pvt_edge.options.flag import Flag, parse_list

if TYPE_CHECKING:
    from pvt_edge.runtimes.tensorrt_library import TensorRtLibrary

HARDWARE_COMPAT = {"none": "NONE", "ampere+": "AMPERE_PLUS", "same-cc": "SAME_COMPUTE_CAPABILITY"}


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """Options of a build; None leaves the choice to TensorRT."""

    target: Annotated[
        tuple[str, ...],
        Flag(
            "TensorRT-RTX: the GPUs to build for, such as sm86,sm89,sm120.",
            metavar="LIST",
            kind=str,
            default=None,
            read=parse_list,
        ),
    ] = ()
    workspace_mib: Annotated[
        int | None, Flag("Scratch memory of the builder, MiB.", name="workspace", metavar="MIB", min=1)
    ] = None
    timing_cache: Annotated[  # read where it is there, and written
        Path | None, Flag("The builder's timing cache. Default: kept in the bundle.", metavar="FILE")
    ] = None
    opt_level: Annotated[int | None, Flag("How long the builder looks for kernels, 0 to 5.", min=0, max=5)] = None
    hardware_compat: Annotated[str, Flag("GPUs the engine runs on: none (this one), ampere+ or same-cc.")] = "none"
    version_compatible: Annotated[bool, Flag("An engine that later minor versions of TensorRT run too.")] = False
    batches: tuple[int, int, int] | None = None  # lowest, best and highest of a dynamic batch

    def words(self) -> str:
        """What an engine depends on, for its passport: "opt-level 3, workspace 1024 MiB"; "defaults" for none."""
        parts = [
            f"opt-level {self.opt_level}" if self.opt_level is not None else "",
            f"workspace {self.workspace_mib} MiB" if self.workspace_mib is not None else "",
            f"hardware-compat {self.hardware_compat}" if self.hardware_compat != "none" else "",
            "version-compatible" if self.version_compatible else "",
            f"target {','.join(self.target)}" if self.target else "",
            f"batch {'/'.join(map(str, self.batches))}" if self.batches else "",
        ]
        return ", ".join(part for part in parts if part) or "defaults"

    def check(self) -> None:
        """Raise a `PvtEdgeError` that says the mend for what no library can do."""
        if self.opt_level is not None and not 0 <= self.opt_level <= 5:
            raise ExportError(f"the optimisation level is 0 to 5, got {self.opt_level}")
        if self.workspace_mib is not None and self.workspace_mib < 1:
            raise ExportError(f"the workspace is at least 1 MiB, got {self.workspace_mib}")
        if self.hardware_compat not in HARDWARE_COMPAT:
            raise UnknownNameError("hardware compatibility", self.hardware_compat, HARDWARE_COMPAT)
        if self.batches and not 1 <= self.batches[0] <= self.batches[1] <= self.batches[2]:
            raise ExportError(
                f"a profile of batches is lowest,best,highest, each no less than the one before; got "
                f"{','.join(map(str, self.batches))}"
            )

    def check_for(self, library: "TensorRtLibrary") -> None:
        """As `check`, and for what `library` cannot do."""
        self.check()
        if not library.has(f"HardwareCompatibilityLevel.{HARDWARE_COMPAT[self.hardware_compat]}"):
            raise ExportError(f"{library.name} {library.version} has no {self.hardware_compat}: take none or ampere+")
        if self.target:
            self._check_target(library)

    def _check_target(self, library: "TensorRtLibrary") -> None:
        if library.name != "tensorrt-rtx":
            raise ExportError("only TensorRT-RTX builds for other GPUs: leave --target out, or --format tensorrt-rtx")
        known = library.targets()
        for name in self.target:
            if name not in known:
                raise ExportError(
                    f"TensorRT-RTX {library.version} cannot build for {name!r}: it knows {', '.join(known)}; for any "
                    "other GPU (sm87 Orin, sm90 Hopper, sm110 Thor) build with TensorRT on the device: pvt-edge build"
                )
