"""A pickle module for `torch.load` that resolves no name but those of tensors and of plain containers.

torch's own `weights_only=True` refuses a whole file for one object beside its weights, such as the loss history that
mmengine saves. Here such an object becomes a `StandIn`. Nothing a file names is imported or called: a name either
is in the table below, or stands for a class of our own that does nothing, or is one that only an attack needs, and
then the file is refused.
"""

import argparse
import struct
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from functools import cache
from pickle import Unpickler as _PlainUnpickler
from pickle import UnpicklingError
from typing import IO, Any

import torch

__all__ = ["StandIn", "Unpickler", "UnpicklingError", "load", "plain_values"]

_DROPPED: Any = object()  # in place of what is no plain value
# struct's, by numpy's
_NUMBER_FORMATS = {"f2": "e", "f4": "f", "f8": "d", "b1": "?", "i1": "b", "i2": "h", "i4": "i", "i8": "q",
                   "u1": "B", "u2": "H", "u4": "I", "u8": "Q"}  # fmt: skip
# Nothing that describes a training is of these modules, or is one of these functions.
_REFUSED_MODULES = frozenset(
    (
        *("os", "posix", "nt", "posixpath", "ntpath", "sys", "shutil", "subprocess", "_posixsubprocess", "pty"),
        *("importlib", "_frozen_importlib", "runpy", "code", "codeop", "marshal", "pickle", "_pickle", "dill"),
        *("ctypes", "_ctypes", "socket", "webbrowser", "multiprocessing", "asyncio", "threading", "_thread"),
        *("cloudpickle", "timeit", "pdb", "bdb", "cProfile", "profile", "trace", "pip"),
    )
)
_REFUSED = frozenset(
    (
        *("builtins.eval", "builtins.exec", "builtins.compile", "builtins.open", "builtins.__import__"),
        *("builtins.input", "builtins.breakpoint", "builtins.globals", "builtins.exit", "builtins.quit"),
        *("torch.load", "torch.serialization.load", "torch.storage._load_from_bytes", "torch.hub.load"),
        *("torch.jit.load", "numpy.load"),
    )
)
_REBUILD = (
    *("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_sparse_tensor", "_rebuild_qtensor"),
    *("_rebuild_meta_tensor_no_storage", "_rebuild_device_tensor_from_cpu_tensor"),
)


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


def load(file: IO[bytes], **options: Any) -> Any:
    """As `pickle.load`."""
    return Unpickler(file, **options).load()


class Unpickler(_PlainUnpickler):
    """As `pickle.Unpickler`, but nothing is imported or run; `UnpicklingError` for a name that is refused."""

    def find_class(self, module: str, name: str) -> Any:
        """What a file means by `module` and `name`."""
        path = f"{'builtins' if module == '__builtin__' else module}.{name}"
        if found := _allowed().get(path):
            return found
        if path.partition(".")[0] in _REFUSED_MODULES or path in _REFUSED:
            raise UnpicklingError(f"GLOBAL {path}")
        return stand_in(path)


@cache
def _allowed() -> dict[str, Any]:
    """The names that mean what they say: tensors' and plain containers', as torch's `weights_only` allows them."""
    kinds = (torch.dtype, torch.layout, torch.qscheme, torch.memory_format)
    table: dict[str, Any] = {f"torch.{name}": value for name, value in vars(torch).items() if isinstance(value, kinds)}
    table |= {f"torch._utils.{name}": function for name, function in _rebuilders().items()}
    return table | {
        "torch._utils._rebuild_parameter": _first,
        "torch._utils._rebuild_parameter_with_state": _first,
        "torch._tensor._rebuild_from_type_v2": _rebuild_plain,
        "torch.serialization._get_layout": torch.serialization._get_layout,
        "torch.storage.UntypedStorage": torch.UntypedStorage,
        "torch.Size": torch.Size,
        "torch.device": torch.device,
        "collections.OrderedDict": OrderedDict,
        "collections.Counter": Counter,
        "collections.defaultdict": _plain_dict,
        "builtins.set": set,
        "builtins.frozenset": frozenset,
        "builtins.complex": complex,
        "_codecs.encode": _latin1,
    }


@cache
def _rebuilders() -> dict[str, Callable[..., Any]]:
    return {name: getattr(torch._utils, name) for name in _REBUILD if hasattr(torch._utils, name)}


def _first(data: Any, *_: Any) -> Any:
    """A parameter's tensor, without its hooks and attributes."""
    return data


def _rebuild_plain(function: Any, kind: Any, args: tuple[Any, ...], state: Any) -> Any:
    """The plain tensor in one of a class of its own or with attributes of its own."""
    return function(*args) if function in _rebuilders().values() else StandIn()


def _plain_dict(*_: Any) -> dict[Any, Any]:
    return {}


def _latin1(text: str, _: str = "latin1") -> bytes:
    """How protocol 2 writes bytes."""
    return text.encode("latin1")
