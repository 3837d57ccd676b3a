"""What takes the place of objects in a pickle, so that none of their code is needed, and the plain values in them."""

import argparse
import struct
from collections.abc import Mapping
from typing import Any

_DROPPED: Any = object()  # in place of what is no plain value
_NUMBER_FORMATS = {"f2": "e", "f4": "f", "f8": "d", "b1": "?", "i1": "b", "i2": "h", "i4": "i", "i8": "q"}
_NUMBER_FORMATS |= {"u1": "B", "u2": "H", "u4": "I", "u8": "Q"}


class StandIn(dict[Any, Any]):
    """An object of a class that is not loaded: it takes all that a pickle does to objects, as data, and runs nothing.

    A dict, for some such classes are (mmengine's ConfigDict). `path` is the class's full name.
    """

    path = ""
    args: tuple[Any, ...] = ()
    state: Any = None
    dump_patches = False  # torch asks it of modules in the form before 1.6, and writes a file where it is true

    def __new__(cls, *args: Any, **_: Any) -> "StandIn":
        made = super().__new__(cls)
        made.args = args
        return made

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def __call__(self, *_: Any, **__: Any) -> "StandIn":
        return StandIn()

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def append(self, _: Any) -> None:
        """As of a list; nothing is kept."""

    extend = add = append
    __hash__ = object.__hash__  # type: ignore[assignment]
    __eq__ = object.__eq__
    __ne__ = object.__ne__

    def content(self) -> Any:
        """What it says in plain data: a path's text, a number, its items or its attributes; None for nothing."""
        if self.path.startswith("pathlib"):
            return "/".join(str(part) for part in self.args).replace("//", "/", 1)
        if self.path.startswith("numpy") and self.path.endswith(".scalar"):
            return _number(self.args)
        if self:
            return self
        state = self.state[0] if isinstance(self.state, tuple) and self.state else self.state
        if isinstance(state, Mapping) and self.path.startswith("omegaconf"):
            return state.get("_content", state.get("_val"))
        return state if isinstance(state, Mapping) else None


def stand_in(path: str) -> type[StandIn]:
    """The class that stands in for the class or function called `path`."""
    return type("StandIn", (StandIn,), {"path": path})


def _number(args: tuple[Any, ...]) -> Any:
    """The number in a pickled numpy scalar's arguments, (dtype, bytes); None for those that are no number."""
    if len(args) != 2 or not isinstance(args[0], StandIn) or not isinstance(args[1], bytes):
        return None
    kind = str(args[0].args[0]) if args[0].args else ""
    code = _NUMBER_FORMATS.get(kind)
    return struct.unpack(f"<{code}", args[1])[0] if code and struct.calcsize(code) == len(args[1]) else None


def plain_values(content: Any) -> dict[str, Any]:
    """The plain values that the mapping `content` holds under texts: those of `plain`, without all else."""
    values = plain(content) if isinstance(content, Mapping) else {}
    return {key: value for key, value in values.items() if isinstance(key, str)} if isinstance(values, dict) else {}


def plain(value: Any, seen: dict[int, Any] | None = None) -> Any:
    """`value` in str, int, float, bool, None, list, tuple and dict, without what is none of these.

    Namespaces, configuration objects and stand-ins become dicts. `seen` holds what was converted, by identity:
    a file can refer to one object many times, and to itself.
    """
    seen = {} if seen is None else seen
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if id(value) in seen:
        return seen[id(value)]
    seen[id(value)] = _DROPPED
    given = value
    if isinstance(value, argparse.Namespace):
        value = vars(value)
    elif isinstance(value, StandIn):
        value = value.content()
        if not isinstance(value, Mapping):
            value = _DROPPED if value is None else plain(value, seen)
    result: Any = _DROPPED
    if isinstance(value, str | bool | int | float):
        result = value
    elif isinstance(value, Mapping):
        items = ((key, plain(item, seen)) for key, item in value.items() if isinstance(key, str | int | float))
        result = {key: item for key, item in items if item is not _DROPPED}
        if value and not result:
            result = _DROPPED
    elif isinstance(value, list | tuple | set | frozenset):
        kept = [item for item in (plain(item, seen) for item in value) if item is not _DROPPED]
        result = _DROPPED if value and not kept else tuple(kept) if isinstance(value, tuple) else kept
    seen[id(given)] = result
    return result
