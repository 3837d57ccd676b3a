"""Which of a bundle's artifacts are evaluated."""

from typing import TYPE_CHECKING

from pvt_edge.choice import AUTO_RUNTIMES, PRECISIONS
from pvt_edge.errors import BundleError, UnknownNameError

if TYPE_CHECKING:
    from pvt_edge.bundle import Bundle

ALL = "all"


def contestants(bundle: "Bundle", runtime: str, precision: str) -> list[tuple[str, str]]:
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
    held: list[tuple[str, str]] = [(artifact.runtime, artifact.precision) for artifact in bundle.manifest.artifacts]
    if precision in (ALL, "auto"):
        found = [pair for pair in held if runtime in (ALL, "auto", pair[0])]
    else:
        found = [
            (name, precision) for name in dict.fromkeys(name for name, _ in held) if _holds(bundle, name, precision)
        ]
    if not found:
        there = ", ".join(f"{name} {kind}" for name, kind in held) or "no artifact"
        raise BundleError(f"{bundle.folder} has nothing for runtime {runtime}, precision {precision}: it has {there}")
    return found


def _holds(bundle: "Bundle", runtime: str, precision: str) -> bool:
    try:
        bundle.artifact(runtime, precision)
    except BundleError:
        return False
    return True
