"""What is evaluated: which of a bundle's artifacts, and the pictures of a data set, read in batches."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from pvt_edge.data.labelled_set import HasPath
from pvt_edge.errors import BundleError, UnknownNameError
from pvt_edge.runtimes.table import PRECISIONS, bundled_runtimes

if TYPE_CHECKING:
    from pvt_edge.bundle import Bundle
    from pvt_edge.predictor import Predictor
    from pvt_edge.predictor.frames import Prepared
    from pvt_edge.predictor.slicing import Slicing

ALL = "all"
S = TypeVar("S", bound=HasPath)


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


def prepared(
    predictor: "Predictor", samples: Sequence[S], slicing: "Slicing | None" = None
) -> "Iterator[list[tuple[S, Prepared]]]":
    """The samples with their pictures as the model takes them, in batches of the artifact's size; 1 where it is free.

    Raises `DataError` for a picture that cannot be read.
    """
    from pvt_edge.sources import Frame, read_image

    waiting = iter(enumerate(samples))
    while group := list(islice(waiting, predictor.batch or 1)):
        yield [
            (
                sample,
                predictor.prepare(
                    Frame(read_image(sample.path, pixel_max=predictor.pixel_max), number, path=str(sample.path)),
                    slicing,
                ),
            )
            for number, sample in group
        ]
