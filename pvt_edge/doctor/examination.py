"""What this machine can run, and what is wrong with it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pvt_edge.doctor.advice import Advice, advise
from pvt_edge.doctor.child import PATIENCE_S
from pvt_edge.doctor.facts import Facts, gather
from pvt_edge.doctor.verdict import Verdict
from pvt_edge.runtimes import bundled_runtimes

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Examination:
    """The facts with what they mean: each runtime's verdict, and advice, the worst first."""

    facts: Facts
    advice: tuple[Advice, ...]

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        return self.facts.verdicts

    @property
    def can_run(self) -> bool:
        """Whether at least one runtime that bundles have files for is ready."""
        return any(verdict.ready for verdict in self.verdicts if verdict.name in bundled_runtimes())

    def to_json(self) -> dict[str, Any]:
        """As docs/doctor.md describes it."""
        f = self.facts
        cpu = asdict(f.cpu) | {"fast_int8": f.cpu.fast_int8, "fast_bf16": f.cpu.fast_bf16}
        return {
            "schema_version": SCHEMA_VERSION,
            "can_run": self.can_run,
            "runtimes": [asdict(verdict) for verdict in self.verdicts],
            "advice": [asdict(advice) for advice in self.advice],
            "system": asdict(f.system),
            "cpu": cpu,
            "gpus": [asdict(gpu) for gpu in f.gpus],
            "nvidia_driver": f.driver,
            "jetson": asdict(f.jetson) if f.jetson else None,
            "opencv": asdict(f.opencv) if f.opencv else None,
            "extras": {extra: {"complete": not lacks, "missing": list(lacks)} for extra, lacks in f.extras.items()},
            "packages": _of_interest(f),
        }


def examine(patience_s: float = PATIENCE_S) -> Examination:
    """This machine examined; each library has so many seconds to answer. Never raises for what is broken."""
    facts = gather(patience_s)
    return Examination(facts, advise(facts))


def _of_interest(facts: Facts) -> Mapping[str, str]:
    """Versions of what pvt-edge or a runtime is made of."""
    heads = ("pvt-edge", "torch", "onnx", "openvino", "nncf", "opencv", "tensorrt", "cuda", "nvidia", "numpy", "pycoco")
    return {name: package.version for name, package in sorted(facts.packages.items()) if name.startswith(heads)}
