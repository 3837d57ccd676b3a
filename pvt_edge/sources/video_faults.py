"""What is wrong with a video file, and how it is said."""

from typing import Protocol

# An index may name pictures that are never shown, such as those packed two and two in AVI.
TOLERANCE, LEAST = 0.02, 2


def are_missing(promised: int | None, found: int) -> bool:
    """Whether a video whose index promises so many pictures (None: has no index) holds too few.

    >>> are_missing(50, 29), are_missing(50, 49), are_missing(None, 3)
    (True, False, False)
    """
    return promised is not None and promised - found > max(LEAST, TOLERANCE * promised)


def damage_line(name: str, count: int, first_s: float | None = None) -> str:
    """That so many pictures were left out, the first at `first_s` in the video.

    >>> damage_line("a.mp4", 1, 0.48)
    'a.mp4: 1 damaged picture was left out, at 0.48 s'
    """
    first = "" if first_s is None else f", {'the first ' if count > 1 else ''}at {first_s:.2f} s"
    return f"{name}: {count} damaged {'pictures were' if count > 1 else 'picture was'} left out{first}"


class Faulty(Protocol):
    """What a reader of a video knows of it; see `VideoReader`."""

    frame_count: int | None
    indexed: bool
    states_count: bool
    length_s: float | None
    damaged: int
    damaged_s: float
    interrupted_s: float | None
    broken: str | None

    @property
    def stopped_early(self) -> bool: ...


def fault_lines(name: str, reader: Faulty, count: int, last_s: float, *, cut: bool) -> list[str]:
    """What is to be told of a video that was read to its end: `count` pictures, the last at `last_s`.

    `cut`: whether the file is known to be cut short.
    """
    lines = [damage_line(name, reader.damaged, reader.damaged_s)] if reader.damaged else []
    if reader.interrupted_s is not None and not reader.damaged:
        at = f"first at {reader.interrupted_s:.2f} s"
        lines.append(f"{name}: the stream is interrupted, {at}; pictures may be missing")
    missing = are_missing(reader.frame_count if reader.indexed else None, count + reader.damaged)
    if cut or missing or reader.broken or reader.stopped_early:
        of_all = f" of {reader.frame_count}" if reader.states_count and (reader.frame_count or 0) > count else ""
        of_length = f" of {reader.length_s:.2f}" if not of_all and (reader.length_s or 0) > last_s else ""
        why = "the file is cut short" if cut else "the rest is damaged"
        why += f" ({reader.broken})" if reader.broken else ""
        lines.append(f"{name}: ends after {count}{of_all} frames, at {last_s:.2f}{of_length} s; {why}")
    return lines
