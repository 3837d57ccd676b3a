"""A pickle module for `torch.load` that resolves no name but those of tensors and of plain containers.

torch's own `weights_only=True` refuses a whole file for one object beside its weights, such as the loss history that
mmengine saves. Here such an object becomes a `StandIn`. Nothing a file names is imported or called: a name either
is in the table below, or stands for a class of our own that does nothing, or is one that only an attack needs, and
then the file is refused.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable
from functools import cache
from pickle import Unpickler as _PlainUnpickler
from pickle import UnpicklingError
from typing import IO, Any

import torch

from pvt_edge.checkpoints.stand_ins import StandIn, stand_in

__all__ = ["Unpickler", "UnpicklingError", "load"]

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
