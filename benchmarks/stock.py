"""`--compare stock`: rows of what anyone gets without pvt-edge, from the stock graph and every default."""

from pathlib import Path

import numpy as np

from pvt_edge.benchmarks.opening import TorchModel
from pvt_edge.benchmarks.rows import Choice, Plan, absent, file_plan
from pvt_edge.bundle import Bundle
from pvt_edge.errors import ExportError, PvtEdgeError
from pvt_edge.runtimes import RUNTIMES, missing

CALIBRATION = 64


def plan_stock(bundle: Bundle, choice: Choice, torch_model: TorchModel | str, folder: Path, batch: int) -> list[Plan]:
    """The stock rows of `choice`, their files written to `folder`; where there can be none, rows that say why.

    The trained model through torch.onnx.export; ONNX Runtime and OpenVINO with their defaults, which in OpenVINO is
    bf16 where the CPU has it; NNCF's default INT8, calibrated on the bundle's own pictures.
    """
    wanted = stock_rows(choice)
    reason = torch_model if isinstance(torch_model, str) else missing("torch")
    if reason is not None or isinstance(torch_model, str):
        return [absent("stock", runtime, precision, batch, str(reason)) for runtime, precision in wanted]
    try:
        onnx = _export(bundle, torch_model, folder / f"stock-{batch}.onnx", batch)
    except PvtEdgeError as error:
        return [absent("stock", runtime, precision, batch, str(error)) for runtime, precision in wanted]
    plans = []
    for runtime, precision in wanted:
        path = onnx
        if (reason := missing(runtime)) is not None:
            plans.append(absent("stock", runtime, precision, batch, reason))
            continue
        if precision == "int8":
            try:
                path = _quantise(bundle, onnx, folder / f"stock-int8-{batch}.xml", batch)
            except PvtEdgeError as error:
                plans.append(absent("stock", runtime, precision, batch, str(error)))
                continue
        plans.append(
            file_plan(
                bundle, choice, path, route="stock", runtime=runtime, precision=precision, run_as=precision, batch=batch
            )
        )
    return plans


def stock_rows(choice: Choice) -> list[tuple[str, str]]:
    """(runtime, precision) of the stock rows that `choice` asks for."""
    return [(runtime, p) for runtime, p in _rows(choice) if runtime in choice.runtimes and p in choice.precisions]


def _rows(choice: Choice) -> list[tuple[str, str]]:
    floats = RUNTIMES["openvino"].opener.float_precisions(choice.device) if missing("openvino") is None else ()
    bf16 = [("openvino", "bf16")] if "bf16" in floats else []
    return [("onnxruntime", "fp32"), ("openvino", "fp32"), *bf16, ("openvino", "int8")]


def _export(bundle: Bundle, torch_model: TorchModel, path: Path, batch: int) -> Path:
    from pvt_edge.export.stock import StockGraph, export_stock_onnx

    spec = bundle.manifest.input
    imgsz = (spec.height, spec.width)
    return export_stock_onnx(
        StockGraph(torch_model.load(), imgsz, normalisation=bundle.manifest.normalise), path, imgsz=imgsz, batch=batch
    )


def _quantise(bundle: Bundle, onnx: Path, out: Path, batch: int) -> Path:
    try:
        import nncf  # noqa: F401
    except ImportError:
        raise ExportError('NNCF is not installed: pip install "pvt-edge[bench]"') from None
    from pvt_edge.export.stock import quantise_by_default

    pictures = _calibration(bundle)
    return quantise_by_default(onnx, [np.repeat(picture, batch, axis=0) for picture in pictures], out)


def _calibration(bundle: Bundle) -> "list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]":
    """The bundle's own calibration pictures; generated scenes where it was not calibrated."""
    from pvt_edge.export.calibration import SCENES, calibration_from_images, calibration_from_scenes

    spec, record = bundle.manifest.input, bundle.manifest.calibration
    imgsz, resize = (spec.height, spec.width), bundle.manifest.resize
    if record is None or record.source == SCENES:
        seed = record.seed if record else 0
        return list(calibration_from_scenes(imgsz, resize, count=CALIBRATION, seed=seed).inputs)
    found = calibration_from_images(
        record.source,
        imgsz,
        resize,
        count=min(record.count, CALIBRATION),
        seed=record.seed,
        allow_small=True,
        pixel_max=spec.pixel_max,
    )
    return list(found.inputs)
