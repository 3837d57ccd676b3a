"""Everything that was found out about this machine, before anything is made of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pvt_edge.doctor.child import Answer, asking
from pvt_edge.doctor.packages import Package, read_extras, read_packages
from pvt_edge.doctor.verdict import Verdict, askable, judge
from pvt_edge.machine.cpu import Cpu, read_cpu
from pvt_edge.machine.gpu import Gpu, read_driver, read_gpus
from pvt_edge.machine.jetson import Jetson, read_jetson
from pvt_edge.machine.opencv_build import OpenCvBuild, parse_build
from pvt_edge.machine.system import System, read_system
from pvt_edge.runtimes.table import installed


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
