"""Which of a bundle's artifacts are evaluated."""

from typing import TYPE_CHECKING

from pvt_edge.errors import BundleError, UnknownNameError
from pvt_edge.runtimes.table import PRECISIONS, bundled_runtimes

if TYPE_CHECKING:
    from pvt_edge.bundle import Bundle

ALL = "all"


def choose_artifacts(bundle: "Bundle", runtime: str, precision: str) -> list[tuple[str, str]]:
    """(runtime, precision) of each, at least one; either may be "all", or "auto" for what the bundle takes itself.

    With every runtime, the precision "auto" is all of them. Raises `UnknownNameError`, or `BundleError` where nothing
    in the bundle is so.
    """
    known = bundled_runtimes()
    if runtime not in ("auto", ALL, *known):
        raise UnknownNameError("runtime", runtime, ("auto", ALL, *known))
    if precision not in (ALL, *PRECISIONS):
        raise UnknownNameError("precision", precision, (ALL, *PRECISIONS))
    if ALL not in (runtime, precision):
        return [(runtime, precision)]
    every = precision in (ALL, "auto")
    found = [
        (way.runtime, way.precision)
        for way in sorted(bundle.ways(), key=lambda way: known.index(way.runtime))
        if way.artifact is not None
        and runtime in (ALL, "auto", way.runtime)
        # one that is rounded to it as it is loaded counts where that was asked for
        and (not way.rounded if every else way.precision == precision)
    ]
    if not found:
        raise BundleError(
            f"{bundle.folder} has nothing for runtime {runtime}, precision {precision}: it has {bundle.listed()}"
        )
    return found
