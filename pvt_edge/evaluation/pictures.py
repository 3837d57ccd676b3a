"""The pictures of a data set, read in batches."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from pvt_edge.data.labelled_set import HasPath

if TYPE_CHECKING:
    from pvt_edge.predictor import Predictor
    from pvt_edge.predictor.prepared import Prepared
    from pvt_edge.predictor.slicing import Slicing

S = TypeVar("S", bound=HasPath)


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
