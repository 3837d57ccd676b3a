"""`--compare`: rows of what anyone gets without pvt-edge, of the same model or another one: every default."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pvt_edge.benchmarks.comparison_models import ComparisonModel
from pvt_edge.benchmarks.opening import TorchModel
from pvt_edge.benchmarks.record import ModelFacts
from pvt_edge.benchmarks.roofline import read_costs
from pvt_edge.benchmarks.rows import Choice, Plan, absent, file_plan
from pvt_edge.bundle import Bundle
from pvt_edge.errors import ExportError, PvtEdgeError
from pvt_edge.runtimes import RUNTIMES, missing

if TYPE_CHECKING:
    from torch import nn

CALIBRATION = 64
RANDOM_CALIBRATION = 4  # pictures for random weights: their ranges mean nothing, and observing them takes time


@dataclass(frozen=True)
class Compared:
    """The rows of a comparison model, and what it is; None where it could not be exported."""

    plans: list[Plan]
    model: ModelFacts | None


def plan_stock(bundle: Bundle, choice: Choice, torch_model: TorchModel | str, folder: Path, batch: int) -> list[Plan]:
    """The stock rows of `choice`, their files written to `folder`; where there can be none, rows that say why.

    The trained model through torch.onnx.export; ONNX Runtime and OpenVINO with their defaults, which in OpenVINO is
    bf16 where the CPU has it; NNCF's default INT8, calibrated on the bundle's own pictures.
    """
    route = _DefaultRoute(bundle, choice, folder, batch)
    if isinstance(torch_model, str):
        return route.absent(torch_model)
    return route.plan(torch_model.load, CALIBRATION)


def plan_comparison(bundle: Bundle, choice: Choice, model: ComparisonModel, folder: Path, batch: int) -> Compared:
    """The rows of a comparison model with as many classes as the bundle, on the way of `plan_stock`."""
    route = _DefaultRoute(bundle, choice, folder, batch, model)
    built: list[nn.Module] = []

    def load() -> "nn.Module":
        built.append(model.build(route.imgsz, len(bundle.manifest.labels)))
        return built[0]

    plans = route.plan(load, RANDOM_CALIBRATION)
    if not built or not route.onnx.is_file():
        return Compared(plans, None)
    facts = ModelFacts(
        name=model.name,
        parameters=sum(parameter.numel() for parameter in built[0].parameters()),
        macs=_macs(route.onnx, batch),
        top1=model.top1,
        source=model.source,
        note=model.note,
    )
    return Compared(plans, facts)


def _macs(onnx: Path, batch: int) -> int | None:
    """Multiply-adds of one image; None where OpenVINO is not here to read the graph, or cannot."""
    if missing("openvino") is not None:
        return None
    try:
        return read_costs(onnx, batch).macs // batch
    except RuntimeError:
        return None


class _DefaultRoute:
    """The way of one model, at one batch."""

    def __init__(
        self, bundle: Bundle, choice: Choice, folder: Path, batch: int, model: ComparisonModel | None = None
    ) -> None:
        self.bundle, self.choice, self.batch, self.model = bundle, choice, batch, model
        spec = bundle.manifest.input
        self.imgsz = (spec.height, spec.width)
        self.name = None if model is None else model.name
        self.onnx = folder / f"{self.name or 'stock'}-{batch}.onnx"

    def absent(self, reason: str) -> list[Plan]:
        return [self._absent(runtime, precision, reason) for runtime, precision in stock_rows(self.choice)]

    def plan(self, load: "Callable[[], nn.Module]", pictures: int) -> list[Plan]:
        if (reason := missing("torch")) is not None:
            return self.absent(reason)
        try:
            self._export(load())
        except PvtEdgeError as error:
            return self.absent(str(error))
        return [self._row(runtime, precision, pictures) for runtime, precision in stock_rows(self.choice)]

    def _row(self, runtime: str, precision: str, pictures: int) -> Plan:
        if (reason := missing(runtime)) is not None:
            return self._absent(runtime, precision, reason)
        path = self.onnx
        if precision == "int8":
            try:
                path = self._quantise(pictures)
            except PvtEdgeError as error:
                return self._absent(runtime, precision, str(error))
        return file_plan(
            self.bundle,
            self.choice,
            path,
            runtime=runtime,
            precision=precision,
            batch=self.batch,
            model=self.name,
        )

    def _absent(self, runtime: str, precision: str, reason: str) -> Plan:
        return absent("stock", runtime, precision, self.batch, reason, model=self.name)

    def _export(self, module: "nn.Module") -> None:
        from pvt_edge.export.stock import StockGraph, export_stock_onnx

        manifest = self.bundle.manifest
        graph = StockGraph(module, self.imgsz, task=manifest.task, normalisation=manifest.normalise)
        export_stock_onnx(graph, self.onnx, imgsz=self.imgsz, batch=self.batch)

    def _quantise(self, count: int) -> Path:
        try:
            import nncf  # noqa: F401
        except ImportError:
            raise ExportError('NNCF is not installed: pip install "pvt-edge[bench]"') from None
        from pvt_edge.export.stock import quantise_by_default

        pictures = [np.repeat(picture, self.batch, axis=0) for picture in _calibration(self.bundle, count)]
        transformer = self.model is None or self.model.is_transformer
        out = self.onnx.with_name(f"{self.onnx.stem}-int8.xml")
        return quantise_by_default(self.onnx, pictures, out, transformer=transformer)


def stock_rows(choice: Choice) -> list[tuple[str, str]]:
    """(runtime, precision) of the stock rows that `choice` asks for."""
    return [(runtime, p) for runtime, p in _rows(choice) if runtime in choice.runtimes and p in choice.precisions]


def _rows(choice: Choice) -> list[tuple[str, str]]:
    floats = RUNTIMES["openvino"].opener.float_precisions(choice.device) if missing("openvino") is None else ()
    bf16 = [("openvino", "bf16")] if "bf16" in floats else []
    return [("onnxruntime", "fp32"), ("openvino", "fp32"), *bf16, ("openvino", "int8")]


def _calibration(bundle: Bundle, count: int) -> "list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]":
    """The bundle's own calibration pictures; generated scenes where it was not calibrated."""
    from pvt_edge.export.calibration import SCENES, calibration_from_images, calibration_from_scenes

    spec, record = bundle.manifest.input, bundle.manifest.calibration
    imgsz, resize = (spec.height, spec.width), bundle.manifest.resize
    if record is None or record.source == SCENES:
        seed = record.seed if record else 0
        return list(calibration_from_scenes(imgsz, resize, count=count, seed=seed).inputs)
    found = calibration_from_images(
        record.source,
        imgsz,
        resize,
        count=min(record.count, count),
        seed=record.seed,
        allow_small=True,
        pixel_max=spec.pixel_max,
    )
    return list(found.inputs)
