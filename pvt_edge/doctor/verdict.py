"""For each runtime: whether it runs here, on what, or why not."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pvt_edge.doctor.child import Answer
from pvt_edge.doctor.packages import Package
from pvt_edge.runtimes import RUNTIMES, missing


@dataclass(frozen=True)
class Device:
    """What a runtime runs on, and the precisions it takes there."""

    name: str
    description: str
    precisions: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """One runtime. `reason` says why it is not `ready`, with the mend; None where it is."""

    name: str
    ready: bool
    version: str | None
    devices: tuple[Device, ...] = ()
    reason: str | None = None


def askable() -> list[str]:
    """The runtimes whose packages are there to be asked."""
    return [name for name in RUNTIMES if missing(name) is None]


def judge(answers: Mapping[str, Answer], packages: Mapping[str, Package]) -> tuple[Verdict, ...]:
    """A verdict for each runtime of the table, by what its probe answered."""
    return tuple(_verdict(name, answers.get(name), packages) for name in RUNTIMES)


def _verdict(name: str, answer: Answer | None, packages: Mapping[str, Package]) -> Verdict:
    version = _version(name, packages)
    if answer is None:
        return Verdict(name, False, version, reason=missing(name))
    version = answer.facts.get("version", version)
    if answer.failure is not None:
        mend = "" if answer.with_mend else f': pip install --force-reinstall "pvt-edge[{RUNTIMES[name].extra}]"'
        return Verdict(name, False, version, reason=answer.failure + mend)
    return Verdict(name, True, version, tuple(_devices(answer.facts.get("devices", ()))))


def _version(name: str, packages: Mapping[str, Package]) -> str | None:
    return next((packages[brought].version for brought in RUNTIMES[name].distributions if brought in packages), None)


def _devices(rows: Iterable[dict[str, Any]]) -> list[Device]:
    return [Device(row["name"], row["description"], tuple(row["precisions"])) for row in rows]
