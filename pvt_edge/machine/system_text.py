"""What the system says of itself: in a file, which another system lacks, or by a program that may be absent or hang."""

import shutil
import subprocess
from pathlib import Path

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
