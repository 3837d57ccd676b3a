"""A folder of results that is written whole, or not at all."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from pvt_edge.bundle.swap import alone, put, sibling
from pvt_edge.errors import DataError


def write_whole(folder: Path, write: Callable[[Path], None]) -> None:
    """Call `write` with a temporary folder and put that in the place of `folder`; an error leaves all as it was.

    Raises `DataError` for a place that cannot be written.
    """
    place = Path(os.path.realpath(folder))  # a link goes on pointing where it points
    temporary = sibling(place, "tmp")
    try:
        temporary.mkdir(parents=True)
        write(temporary)
        with alone(place):
            put(temporary, place)
    except OSError as error:
        raise DataError(f"cannot write {folder}: {error.strerror or error}: choose another place with --out") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
