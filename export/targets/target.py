"""What every target of an export says of itself."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from pvt_edge.bundle.schema import Artifact
    from pvt_edge.export.job import ExportJob
    from pvt_edge.export.request import ExportRequest


class ExportTarget(ABC):
    """One kind of files, written and checked.

    What an instance needs of this machine it looks for as it is made, before any work.

    Attributes:
        formats: Those of `--format` that it writes, whose runtimes' results it explains.
    """

    formats: ClassVar[tuple[str, ...]]

    def __init__(self, job: "ExportJob") -> None:
        self.job, self.request = job, job.request

    @classmethod
    @abstractmethod
    def steps(cls, request: "ExportRequest") -> int:
        """How many steps `write` tells of; 0 where `request` asks nothing of it."""

    @abstractmethod
    def write(self) -> "list[Artifact]":
        """Write the files that are asked for and worth it. Why others are not goes to `ExportJob.reasons`.

        Raises:
            ExportError: For a file that does not give the model's answers.
        """
