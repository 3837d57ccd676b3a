"""What the user wrote for a file, folder or pattern -> what is there of that name."""

import os
from difflib import get_close_matches
from glob import escape, glob, has_magic
from pathlib import Path
from unicodedata import normalize

NEAR = 0.75  # how alike a name must be to be suggested


def find_path(spec: str | Path) -> Path | None:
    """The file or folder `spec`; ~ is the home folder, and letters with accents may be written in either way.

    None where nothing is there.
    """
    for text in (str(spec), os.path.expanduser(spec)):
        for form in (text, normalize("NFC", text), normalize("NFD", text)):
            if os.path.lexists(form):  # unlike Path's own, no error for a name too long for any file
                return Path(form)
    return None


def match_pattern(spec: str | Path) -> list[Path] | None:
    """All that matches the pattern, in order; None for what is no pattern.

    Folders at its beginning that are there under the very name are taken so: 'a [1]/*.jpg' looks into 'a [1]'.
    """
    text = os.path.expanduser(spec)
    if not has_magic(text):
        return None
    parts, base = Path(text).parts, Path()
    for used, part in enumerate(parts):
        inside = find_path(base / part)
        if inside is None:
            rest = os.path.join(*parts[used:])
            forms = {rest, normalize("NFC", rest), normalize("NFD", rest)}
            patterns = [os.path.join(escape(str(base)), form) for form in forms]
            return sorted({Path(name) for pattern in patterns for name in glob(pattern, recursive=True)})
        base = inside
    return [base]


def nearest(path: Path) -> Path | None:
    """What is there of a name like `path`, of the same suffix; or of its first folder that is missing."""
    while not os.path.isdir(path.absolute().parent):
        path = path.parent
    try:
        beside = [name for name in os.listdir(path.absolute().parent) if not name.startswith(".")]
    except OSError:
        return None
    alike = [name for name in beside if _same_suffix(path.suffix, Path(name).suffix)]
    near = get_close_matches(path.name, alike, n=1, cutoff=NEAR)
    return path.with_name(near[0]) if near else None


def _same_suffix(given: str, there: str) -> bool:
    """Whether one may be a slip of the other: .jgp of .jpg, .jpeg of .jpg, but not .png."""
    given, there = given.lower(), there.lower()
    return given == there or sorted(given) == sorted(there) or {given, there} in ({".jpg", ".jpeg"}, {".tif", ".tiff"})
