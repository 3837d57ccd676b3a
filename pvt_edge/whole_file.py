"""A file that is written whole, or not at all."""

import os
from contextlib import suppress
from pathlib import Path
from uuid import uuid4


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` to a file beside `path`, have it on the disk, and rename it; an error leaves all as it was.

    A link goes on pointing where it points; into a device or a pipe, which nothing may take the place of, the content
    is just written. Raises `OSError`.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file() and not path.is_dir():
        path.write_bytes(content)
        return
    aside = path.with_name(f".{uuid4().hex}.partial")  # a longer name than the file's own might be too long
    try:
        with aside.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        with suppress(OSError):
            aside.unlink()
