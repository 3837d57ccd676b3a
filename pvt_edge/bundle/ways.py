"""The ways to run a bundle: which runtime runs which of its files in which precision, and why another is not there."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pvt_edge.bundle.schema import Artifact
from pvt_edge.runtimes.table import RUNTIMES, RuntimeEntry, bundled_runtimes


@dataclass(frozen=True)
class Way:
    """One runtime in one precision.

    Attributes:
        runtime: Its name in the table of runtimes.
        precision: What it runs in.
        artifact: The file that it runs; None where the bundle has none.
        absent: Why there is none, and how to get it; None where there is one.
    """

    runtime: str
    precision: str
    artifact: Artifact | None = None
    absent: str | None = None

    @property
    def rounded(self) -> bool:
        """Whether the file holds another precision and is rounded as it is loaded."""
        return self.artifact is not None and self.artifact.precision != self.precision

    @property
    def borrowed(self) -> bool:
        """Whether the file was written for another runtime, which runs it too."""
        return self.artifact is not None and self.artifact.runtime != self.runtime

    @property
    def by_default(self) -> bool:
        """Whether the runtime runs the file like this without being asked to."""
        return not self.rounded or self.precision == RUNTIMES[self.runtime].rounds_to


def ways_of(artifacts: Iterable[Artifact], build: Path | None = None) -> tuple[Way, ...]:
    """Every runtime that bundles have files for, in the table's order, in each of its precisions.

    Args:
        artifacts: Those of the bundle.
        build: The bundle's folder where it has graphs that engines can be built of.
    """
    stored: dict[tuple[str, str], Artifact] = {}
    for artifact in artifacts:
        stored.setdefault((artifact.runtime, artifact.precision), artifact)
    ways = []
    ranked = bundled_runtimes()
    for name, entry in RUNTIMES.items():
        if name not in ranked:
            continue
        files = entry.reads or name
        for precision in entry.precisions:
            found = stored.get((files, precision)) or stored.get((files, entry.rounds.get(precision, "")))
            absent = None if found else _absence(name, entry, precision, build)
            ways.append(Way(name, precision, found, absent))
    return tuple(ways)


def _absence(name: str, entry: RuntimeEntry, precision: str, build: Path | None) -> str:
    if entry.needs_gpu and build is not None:
        return f"no engine yet: pvt-edge build {build} --format {name}"
    kind = entry.format or RUNTIMES[entry.reads or name].format
    if kind is None:
        return "no export writes files for it"
    flag = {"fp32": "", "approx": " --approximate auto"}.get(precision, f" --{precision}")
    if entry.needs_gpu:
        return f"not in the bundle: export with --format onnx,{kind}{flag or ' --fp16'}"
    return f"not in the bundle: export with --format {kind}{flag}"
