"""A file by which a system tells of itself, and which another system lacks."""

from pathlib import Path


def read_text(path: Path) -> str:
    """Its text, "" where it is not there or may not be read."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
