"""Pyramid Vision Transformers v1 and v2 at the edge: export, quantise, check and run.

Every name is loaded when it is first used, so that importing the package costs nothing and a device that only
runs bundles never needs torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pvt_edge.bundle import read_bundle
    from pvt_edge.checkpoints import WeightsReport, load_weights, save_weights
    from pvt_edge.errors import PvtEdgeError
    from pvt_edge.export.deploy.form import to_deploy_form
    from pvt_edge.export.exporter import export_model
    from pvt_edge.models.retinanet import HeadConfig
    from pvt_edge.predictor import Predictor, load
    from pvt_edge.results import Result
    from pvt_edge.training.run import train
    from pvt_edge.variants import VARIANTS, Variant
    from pvt_edge.verification.verifier import verify
    from pvt_edge.zoo import create_model

__version__ = "0.2.0"

__all__ = [
    "VARIANTS",
    "HeadConfig",
    "Predictor",
    "PvtEdgeError",
    "Result",
    "Variant",
    "WeightsReport",
    "create_model",
    "export_model",
    "load",
    "load_weights",
    "read_bundle",
    "save_weights",
    "to_deploy_form",
    "train",
    "verify",
]

_HOME = {
    "VARIANTS": "variants",
    "HeadConfig": "models.retinanet",
    "Predictor": "predictor",
    "PvtEdgeError": "errors",
    "Result": "results",
    "Variant": "variants",
    "WeightsReport": "checkpoints",
    "create_model": "zoo",
    "export_model": "export.exporter",
    "load": "predictor",
    "load_weights": "checkpoints",
    "read_bundle": "bundle",
    "save_weights": "checkpoints",
    "to_deploy_form": "export.deploy.form",
    "train": "training.run",
    "verify": "verification.verifier",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'pvt_edge' has no attribute {name!r}")
    try:
        return getattr(import_module(f"pvt_edge.{_HOME[name]}"), name)
    except ModuleNotFoundError as error:
        from pvt_edge.errors import missing_package

        raise missing_package(error) from error


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
