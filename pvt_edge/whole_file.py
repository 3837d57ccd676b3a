"""A file that is written whole, or not at all."""

import os
from contextlib import suppress
from pathlib import Path
from uuid import uuid4


def write_whole(path: Path, content: bytes, *, sync: bool = True) -> None:
    """Write `content` to a file beside `path`, have it on the disk, and rename it; an error leaves all as it was.

    Without `sync` a power cut may lose it: for what is one of thousands and can be made again.

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
            if sync:
                os.fsync(file.fileno())
        aside.replace(path)
    finally:
        with suppress(OSError):
            aside.unlink()
