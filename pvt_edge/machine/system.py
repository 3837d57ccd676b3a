"""The operating system, Python, and what they run in, by what the system says of itself."""

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pvt_edge

PATIENCE_S = 5.0


def read_text(path: Path) -> str:
    """Its text, "" where it is not there or may not be read."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def run_tool(name: str, *arguments: str) -> str | None:
    """What the program prints; None where it is absent, fails or does not end."""
    path = shutil.which(name)
    if path is None:
        return None
    try:
        done = subprocess.run(
            [path, *arguments], capture_output=True, text=True, errors="replace", timeout=PATIENCE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else done.stdout


@dataclass(frozen=True)
class System:
    """`container` is "docker", "podman" ..., None outside; `cameras` are Video4Linux devices, `locked` those of them
    that this user may not open."""

    os: str
    machine: str
    python: str
    pvt_edge: str
    virtual_environment: bool
    container: str | None = None
    wsl: bool = False
    cameras: tuple[str, ...] = ()
    locked: tuple[str, ...] = ()


def read_system(root: Path = Path("/")) -> System:
    """This machine's, or that of another file system's `root`."""
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError, AttributeError):
        name = ""
    cameras = sorted(root.glob("dev/video*"))
    return System(
        os=", ".join(part for part in (name, f"{platform.system()} {platform.release()}") if part),
        machine=platform.machine(),
        python=platform.python_version(),
        pvt_edge=pvt_edge.__version__,
        virtual_environment=sys.prefix != sys.base_prefix,
        container=_container(root),
        wsl=_wsl(root),
        cameras=tuple(map(str, cameras)),
        locked=tuple(str(path) for path in cameras if not os.access(path, os.R_OK | os.W_OK)),
    )


def _container(root: Path) -> str | None:
    if (root / "run/.containerenv").exists():
        return "podman"
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        return "kubernetes"
    if (root / ".dockerenv").exists():
        return "docker"
    groups = read_text(root / "proc/1/cgroup")
    known = {"kubepods": "kubernetes", "docker": "docker", "lxc": "lxc", "containerd": "containerd"}
    return next((kind for mark, kind in known.items() if mark in groups), None)


def _wsl(root: Path) -> bool:
    return "microsoft" in read_text(root / "proc/version").lower()
