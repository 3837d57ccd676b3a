"""An engine's passport: what it was built on and for, and whether it may run here.

A mapping of texts, as it stands in `model.json`: library, version (TensorRT's), compute_capability, gpu, driver, cuda,
platform, hardware_compat, version_compatible, target, precision, options, profile, source, source_sha256, built.
"""

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pvt_edge.errors import BundleError
from pvt_edge.runtimes.boundary import one_line

if TYPE_CHECKING:
    from pvt_edge.runtimes.cuda import CudaDevice
    from pvt_edge.runtimes.tensorrt_library import TensorRtLibrary

MANIFEST = "model.json"
STATIC = "static"  # the profile of an engine that takes one batch alone
_LEVELS = 2  # how far above an engine its bundle's folder may be
_OLDEST_AMPERE = 8.0


def here(device: "CudaDevice | None", library: "TensorRtLibrary") -> dict[str, str]:
    """The part of a passport that this machine fills; without a `device` nothing is said of one."""
    return {
        "library": library.name,
        "version": library.version,
        "compute_capability": device.compute_capability if device else "",
        "gpu": device.name if device else "",
        "driver": device.driver if device else "",
        "cuda": device.cuda if device else "",
        "integrated": ("yes" if device.integrated else "no") if device else "",
        "platform": f"{platform.system().lower()} {platform.machine()}",
    }


def differences(passport: Mapping[str, str], machine: Mapping[str, str]) -> list[str]:
    """Why an engine may not run on `machine` (as `here` tells it), each with both values; empty where it may."""
    found = [
        f"{words}: built for {passport[key]}, here {machine[key]}"
        for key, words in (("library", "library"), ("platform", "platform"))
        if passport.get(key, machine[key]) != machine[key]
    ]
    built, now = passport.get("version", ""), machine["version"]
    if built != now and not (passport.get("version_compatible") == "yes" and _runs_newer(built, now)):
        found.append(f"TensorRT: built with {built or 'an unknown version'}, here {now}")
    return found + (_other_target if passport.get("target") else _other_gpu)(passport, machine)


def _runs_newer(built: str, now: str) -> bool:
    """Whether a version-compatible engine of `built` runs in `now`: the same major, and not an older one."""
    (old, *_), (new, *_) = older, newer = _numbers(built), _numbers(now)
    return old == new and older <= newer


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdecimal()] or [-1]


def _other_target(passport: Mapping[str, str], machine: Mapping[str, str]) -> list[str]:
    """TensorRT-RTX finishes an engine on whatever GPU it was told of."""
    name = f"sm{machine['compute_capability'].replace('.', '')}"
    return [] if name in passport["target"].split(",") else [f"GPU: built for {passport['target']}, here {name}"]


def _other_gpu(passport: Mapping[str, str], machine: Mapping[str, str]) -> list[str]:
    compat = passport.get("hardware_compat", "none")
    found = []
    built, now = passport.get("compute_capability", ""), machine["compute_capability"]
    # https://docs.nvidia.com/deeplearning/tensorrt: hardware compatibility is not for Jetsons
    wide = compat == "ampere+" and float(now or 0) >= _OLDEST_AMPERE and machine.get("integrated") != "yes"
    if built != now and not wide:
        found.append(f"compute capability: built for {built}{' and up' if compat == 'ampere+' else ''}, here {now}")
    elif compat == "none" and passport.get("gpu") != machine["gpu"]:
        found.append(f"GPU: built on {passport.get('gpu')}, here {machine['gpu']}")
    if _numbers(passport.get("cuda", ""))[0] != _numbers(machine["cuda"])[0]:
        found.append(f"CUDA: built with {passport.get('cuda')}, here {machine['cuda']}")
    return found


def batches_of(passport: Mapping[str, str]) -> tuple[int, int, int] | None:
    """The lowest, best and highest batch that an engine was built for; None for one that takes one batch alone.

    >>> batches_of({"profile": "1/4/8"})
    (1, 4, 8)
    """
    profile = passport.get("profile", STATIC)
    if profile == STATIC:
        return None
    lowest, best, highest = map(int, profile.split("/"))
    return lowest, best, highest


def sidecar(engine: Path) -> tuple[str, dict[str, str]] | None:
    """SHA-256 and passport of an engine, by the `model.json` of the bundle it lies in; None for one in no bundle.

    Raises `BundleError` for a `model.json` that does not tell: the engine would run unchecked.
    """
    for folder in list(engine.resolve().parents)[: _LEVELS + 1]:
        manifest = folder / MANIFEST
        if not manifest.is_file():
            continue
        try:
            artifacts: Any = json.loads(manifest.read_bytes())["artifacts"]
            for artifact in artifacts:
                if (folder / artifact["file"]).resolve() == engine.resolve():
                    return str(artifact["sha256"]), dict(artifact.get("passport") or {})
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise BundleError(
                f"{manifest} cannot be read, so that nothing says what {engine.name} is ({one_line(error)}): export "
                "the bundle again, or move the engine out of it"
            ) from error
    return None
