"""What is wrong with a video file, and how it is said."""

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
