"""What the public calls are given, checked before anything is computed: keywords, kinds and paths."""

import os
from collections.abc import Callable, Iterable
from functools import wraps
from inspect import Signature, signature
from math import isfinite
from numbers import Integral, Real
from pathlib import Path
from typing import Annotated, Any, Concatenate, ForwardRef, ParamSpec, TypeVar, get_origin

from pvt_edge.errors import ArgumentError, described, nearest

Keywords = ParamSpec("Keywords")
First = TypeVar("First")
Second = TypeVar("Second")
Options = TypeVar("Options")
Returned = TypeVar("Returned")
CHECKPOINT_SUFFIXES = (".pth", ".pt", ".bin", ".safetensors", ".ckpt")


def check_keywords(call: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise `ArgumentError` for the first of the `given` names that is not among those `known` to the call."""
    known = [*known]
    for name in given:
        if name not in known:
            near = nearest(name, known)
            hint = f"did you mean {near!r}? " if near is not None else ""
            raise ArgumentError(f"{call} has no argument {name!r}: {hint}it has {', '.join(known)}")


def known_keywords(function: Callable[Keywords, Returned]) -> Callable[Keywords, Returned]:
    """A decorator: a call with a keyword that the function does not have raises `ArgumentError`, not `TypeError`."""
    known = [*signature(function).parameters]

    @wraps(function)
    def call(*given: Keywords.args, **keywords: Keywords.kwargs) -> Returned:
        check_keywords(f"{function.__name__}()", keywords, known)
        return function(*given, **keywords)

    return call


def by_keywords(
    kind: Callable[Keywords, Options],
) -> Callable[[Callable[[First, Second, Options], Returned]], Callable[Concatenate[First, Second, Keywords], Returned]]:
    """A decorator: of a function's options object, its last parameter, the fields are keywords of the call.

    The call raises `ArgumentError` for a keyword that does not exist.
    """

    def decorate(
        function: Callable[[First, Second, Options], Returned],
    ) -> Callable[Concatenate[First, Second, Keywords], Returned]:
        fields = [one.replace(annotation=_bare(one.annotation)) for one in signature(kind).parameters.values()]
        make: Any = kind
        *own, last = signature(function).parameters.values()
        known = [one.name for one in (*own, *fields)]

        @wraps(function)
        def call(*given: Any, **keywords: Any) -> Returned:
            check_keywords(f"{function.__name__}()", keywords, known)
            options = {one.name: keywords.pop(one.name) for one in fields if one.name in keywords}
            return function(*given, **keywords, **{last.name: make(**options)})

        call.__signature__ = Signature([*own, *fields])  # type: ignore[attr-defined]
        return call

    return decorate


def _bare(annotation: Any) -> Any:
    """The type without what the command line knows of it."""
    kind = annotation.__origin__ if get_origin(annotation) is Annotated else annotation
    return kind.__forward_arg__ if isinstance(kind, ForwardRef) else kind


def check_path(call: str, name: str, given: object, example: str) -> Path:
    """The path; `ArgumentError` for what is none."""
    if isinstance(given, (str, os.PathLike)) and str(given):
        path = os.fspath(given)
        if isinstance(path, str) and "\0" not in path:
            return Path(path)
    raise ArgumentError(f"{call}: {name} must be a path such as {example!r}, not {described(given)}")


def whole_number(given: object) -> int | None:
    """The whole number, numpy's too; None for anything else."""
    return None if isinstance(given, bool) or not isinstance(given, Integral) else int(given)


def check_whole(call: str, *, optional: bool = False, **numbers: object) -> None:
    """Raise `ArgumentError` for what is not a whole number; `optional` ones may be None."""
    for name, given in numbers.items():
        if whole_number(given) is None and not (optional and given is None):
            raise ArgumentError(f"{call}: {name} must be a whole number, not {described(given)}")


def check_number(call: str, *, optional: bool = False, **numbers: object) -> None:
    """Raise `ArgumentError` for what is not a finite number; `optional` ones may be None."""
    for name, given in numbers.items():
        bad = isinstance(given, bool) or not isinstance(given, Real) or not isfinite(given)
        if bad and not (optional and given is None):
            raise ArgumentError(f"{call}: {name} must be a number, not {described(given)}")


def check_text(call: str, **texts: object) -> None:
    """Raise `ArgumentError` for what is no text."""
    for name, given in texts.items():
        if not isinstance(given, str):
            raise ArgumentError(f"{call}: {name} must be a name, not {described(given)}")


def check_kind(call: str, name: str, given: object, kinds: type | tuple[type, ...], wanted: str) -> None:
    """Raise `ArgumentError` for what is neither of these kinds nor None; `wanted` are the kinds in words."""
    if given is not None and not isinstance(given, kinds):
        raise ArgumentError(f"{call}: {name} must be {wanted}, not {described(given)}")


def check_size(call: str, imgsz: object, name: str = "imgsz") -> tuple[int, int]:
    """(height, width) of one side or of both; `ArgumentError` for what is no size, by the argument's `name`."""
    sides: Any = (imgsz, imgsz) if isinstance(imgsz, Integral) else imgsz
    if not isinstance(sides, (tuple, list)) or len(sides) != 2:
        raise ArgumentError(f"{call}: {name} must be (height, width) in pixels, or one side, not {described(imgsz)}")
    check_whole(call, height=sides[0], width=sides[1])
    return int(sides[0]), int(sides[1])


def check_names(call: str, name: str, given: object) -> tuple[str, ...]:
    """The names; one alone may be given as it is. `ArgumentError` for what are no names."""
    names: Any = (given,) if isinstance(given, str) else given
    if not isinstance(names, (tuple, list, set, frozenset)) or not all(isinstance(one, str) for one in names):
        raise ArgumentError(f"{call}: {name} must be names such as ['a', 'b'], not {described(given)}")
    return tuple(names)
