"""A bundle: the folder an export writes, plain model files plus `model.json`.

>>> from pvt_edge.bundle import read_bundle
>>> bundle = read_bundle("out/b0")
>>> bundle.path(bundle.artifact("openvino", "int8"))
PosixPath('/home/me/out/b0/openvino/int8.xml')
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pvt_edge.bundle.reader import Bundle, find, read_bundle
    from pvt_edge.bundle.schema import Artifact, Manifest
    from pvt_edge.bundle.writer import BundleWriter

__all__ = ["Artifact", "Bundle", "BundleWriter", "Manifest", "find", "read_bundle"]

_HOMES = {
    "Artifact": "schema",
    "Bundle": "reader",
    "BundleWriter": "writer",
    "Manifest": "schema",
    "find": "reader",
    "read_bundle": "reader",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
