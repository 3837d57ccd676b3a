"""Everything that was found out about this machine, and for each runtime whether it runs here, on what, or why not."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pvt_edge.doctor.probes import Answer, asking
from pvt_edge.machine.cpu import Cpu, read_cpu
from pvt_edge.machine.installed import OpenCvBuild, Package, parse_build, read_extras, read_packages
from pvt_edge.machine.nvidia import Gpu, Jetson, read_driver, read_gpus, read_jetson
from pvt_edge.machine.system import System, read_system
from pvt_edge.runtimes import RUNTIMES, missing
from pvt_edge.runtimes.table import installed


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


@dataclass(frozen=True)
class Facts:
    """`driver` is NVIDIA's; `opencv` None where there is none or it does not import, which `opencv_failure` then tells;
    `extras` are pvt-edge's, each with the packages that it lacks."""

    system: System
    cpu: Cpu
    verdicts: tuple[Verdict, ...] = ()
    gpus: tuple[Gpu, ...] = ()
    driver: str | None = None
    jetson: Jetson | None = None
    opencv: OpenCvBuild | None = None
    opencv_failure: str | None = None
    packages: Mapping[str, Package] = field(default_factory=dict)
    extras: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def verdict(self, name: str) -> Verdict:
        """The runtime's; one that is not ready where the table has no such."""
        return next((verdict for verdict in self.verdicts if verdict.name == name), Verdict(name, False, None))

    def pip(self, *names: str) -> list[str]:
        """Those of the distributions that pip installed."""
        return [name for name in names if name in self.packages and not self.packages[name].system]


def gather(patience_s: float) -> Facts:
    """This machine's, asking each library in a process of its own for at most so many seconds."""
    names = [*askable(), *(["cuda"] if installed("cuda.bindings") else []), *(["video"] if installed("cv2") else [])]
    with asking(names, patience_s) as answers_in_time:
        system, packages = read_system(), read_packages()
        cpu, jetson, driver = read_cpu(), read_jetson(), read_driver()
        answers = answers_in_time()
    video = answers.get("video")
    return Facts(
        system=system,
        cpu=cpu,
        verdicts=judge(answers, packages),
        gpus=read_gpus(answers["cuda"].facts if "cuda" in answers else {}),
        driver=driver,
        jetson=jetson,
        opencv=_build(video),
        opencv_failure=video.failure if video else None,
        packages=packages,
        extras=read_extras(packages, system.machine),
    )


def _build(video: Answer | None) -> OpenCvBuild | None:
    if video is None or video.failure is not None:
        return None
    return parse_build(video.facts["version"], video.facts["file"], video.facts["build"])
