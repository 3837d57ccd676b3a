"""Which of a bundle's artifacts are evaluated."""

from typing import TYPE_CHECKING

from pvt_edge.choice import AUTO_RUNTIMES
from pvt_edge.errors import BundleError, UnknownNameError
from pvt_edge.runtimes.table import PRECISIONS

if TYPE_CHECKING:
    from pvt_edge.bundle import Bundle

ALL = "all"


def choose_artifacts(bundle: "Bundle", runtime: str, precision: str) -> list[tuple[str, str]]:
    """(runtime, precision) of each, at least one; either may be "all", or "auto" for what the bundle takes itself.

    With every runtime, the precision "auto" is all of them. Raises `UnknownNameError`, or `BundleError` where nothing
    in the bundle is so.
    """
    if runtime not in ("auto", ALL, *AUTO_RUNTIMES):
        raise UnknownNameError("runtime", runtime, ("auto", ALL, *AUTO_RUNTIMES))
    if precision not in (ALL, *PRECISIONS):
        raise UnknownNameError("precision", precision, (ALL, *PRECISIONS))
    if ALL not in (runtime, precision):
        return [(runtime, precision)]
    wanted = PRECISIONS[1:] if precision in (ALL, "auto") else (precision,)
    names = [name for name in AUTO_RUNTIMES if name in bundle.runtimes() and runtime in (ALL, "auto", name)]
    found = [(name, kind) for name in names for kind in wanted if _holds(bundle, name, kind, asked=kind == precision)]
    if not found:
        held = ", ".join(f"{artifact.runtime} {artifact.precision}" for artifact in bundle.manifest.artifacts)
        raise BundleError(
            f"{bundle.folder} has nothing for runtime {runtime}, precision {precision}: it has {held or 'no artifact'}"
        )
    return found


def _holds(bundle: "Bundle", runtime: str, precision: str, *, asked: bool) -> bool:
    """Whether a file is there to run so; one that is rounded to it as it is loaded counts where it was `asked` for."""
    try:
        return bundle.artifact(runtime, precision).precision == precision or asked
    except BundleError:
        return False
