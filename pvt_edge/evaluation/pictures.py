"""The pictures of a data set: which are there, and reading them in batches."""

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pvt_edge.errors import DataError

if TYPE_CHECKING:
    from pvt_edge.predictor import Predictor, Prepared

SHOWN = 3
T = TypeVar("T")


def present(samples: Sequence[T], path_of: Callable[[T], Path], *, skip: bool) -> tuple[list[T], list[str]]:
    """(samples whose pictures are files, notes on those left out).

    Raises `DataError` with the count and the first few where pictures are missing, unless they are to be skipped; and
    where none is there.
    """
    there, absent = [], []
    for sample in samples:
        if os.path.isfile(path_of(sample)):  # Path.is_file fails for names that no file can have
            there.append(sample)
        else:
            absent.append(path_of(sample))
    if not absent:
        return there, []
    more = f" and {len(absent) - SHOWN} more" if len(absent) > SHOWN else ""
    told = f"{len(absent)} of {len(samples)} pictures are missing: {', '.join(map(str, absent[:SHOWN]))}{more}"
    if not there:
        raise DataError(f"{told}: give their folder with --images")
    if not skip:
        raise DataError(f"{told}: give their folder with --images, or leave them out with --skip-missing")
    return there, [f"left out: {told}"]


def prepared(
    predictor: "Predictor", samples: Sequence[T], path_of: Callable[[T], Path]
) -> "Iterator[list[tuple[T, Prepared]]]":
    """The samples with their pictures as the model takes them, in batches of the artifact's size; 1 where it is free.

    Raises `DataError` for a picture that cannot be read.
    """
    from pvt_edge.sources import Frame, read_image

    waiting = iter(enumerate(samples))
    while group := list(islice(waiting, predictor.batch or 1)):
        yield [
            (sample, predictor.prepare(Frame(read_image(path, pixel_max=predictor.pixel_max), number, path=str(path))))
            for number, sample in group
            for path in [path_of(sample)]
        ]
