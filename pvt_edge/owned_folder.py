"""An output folder that one command writes, and may replace where nothing in it is the user's."""

import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pvt_edge.atomic import alone, put, sibling, vacant
from pvt_edge.errors import DataError, PvtEdgeError


@dataclass(frozen=True)
class OwnedFolder:
    """What a command may put its output in the place of: nothing, an empty folder, or an earlier output and no more.

    Attributes:
        writer: Who writes it, as messages say it: "verify", "an export".
        kind: What it is then: "a benchmark", "a bundle".
        markers: The files without which it is none.
        strays: What lies in such a folder and is the user's; raises a `PvtEdgeError` where a marker is of another kind.
        option: Names another place on the command line.
    """

    writer: str
    kind: str
    markers: tuple[str, ...]
    strays: Callable[[Path], Iterable[str]]
    option: str = "--out"

    @property
    def _elsewhere(self) -> str:
        return f"choose another place with {self.option}"

    def refusal(self, place: Path) -> str | None:
        """Why what is there may not be replaced; None where it may."""
        if os.path.ismount(place):
            return f"{place} is a mount point, which cannot be replaced; take a folder inside it"
        if vacant(place):
            return None
        if not place.is_dir():
            return f"{place} is a file, which {self.writer} will not replace"
        if not all((place / marker).is_file() for marker in self.markers):
            return f"{place} is neither empty nor {self.kind}, so {self.writer} will not replace it"
        try:
            strays = sorted(self.strays(place))
        except PvtEdgeError as error:
            return f"{self.writer} will not replace {self.kind} that it cannot read ({error})"
        if strays:
            shown = ", ".join(strays[:3]) + (", ..." if len(strays) > 3 else "")
            return f"{place} holds files that {self.writer} did not write ({shown}); move them out"
        return None

    def check(self, folder: Path) -> Path:
        """The folder, absolute, before there is anything to write.

        Raises `DataError` where something there would be lost, or where nothing can be written.
        """
        place = Path(os.path.realpath(folder))  # a link goes on pointing where it points
        if place == Path.cwd():
            raise DataError(f"{folder} is the folder you stand in, and would be replaced: {self._elsewhere}")
        trial = sibling(place, "tmp")
        try:
            if (reason := self.refusal(place)) is not None:
                raise DataError(f"{reason}: {self._elsewhere}")
            made = [trial, *(parent for parent in trial.parents if not parent.exists())]
            trial.mkdir(parents=True)
            with suppress(OSError):  # what comes to nothing leaves nothing, but what others have put there meanwhile
                for each in made:
                    each.rmdir()
        except OSError as error:
            raise DataError(f"cannot write {folder}: {error.strerror or error}: {self._elsewhere}") from error
        return place

    def replace(self, folder: Path, write: Callable[[Path], None]) -> None:
        """Call `write` with a temporary folder and put that in the place of `folder`; an error leaves all as it was.

        Raises `DataError` for a place that cannot be written.
        """
        place = Path(os.path.realpath(folder))
        temporary = sibling(place, "tmp")
        try:
            temporary.mkdir(parents=True)
            write(temporary)
            with alone(place):
                put(temporary, place)
        except OSError as error:
            raise DataError(f"cannot write {folder}: {error.strerror or error}: {self._elsewhere}") from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
