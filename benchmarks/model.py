"""What was run: the record's lines on the model itself."""

from pvt_edge.benchmarks.graph_costs import read_costs
from pvt_edge.benchmarks.opening import TorchModel
from pvt_edge.benchmarks.record import Model
from pvt_edge.bundle import Bundle
from pvt_edge.errors import BundleError
from pvt_edge.runtimes import missing


def describe_model(
    bundle: Bundle, torch_model: TorchModel | str, judged_on: str | None, *, made_for_this: bool
) -> Model:
    """The bundle's model; `judged_on` is what its rows were judged on in this run, if they were."""
    manifest = bundle.manifest
    at_export = f"{manifest.accuracy.data}, measured at export" if manifest.accuracy else None
    return Model(
        variant=manifest.variant,
        task=manifest.task,
        height=manifest.input.height,
        width=manifest.input.width,
        weights=manifest.provenance.weights,
        bundle=None if made_for_this else bundle.folder.name,
        parameters=_parameters(torch_model),
        macs=_macs(bundle),
        accuracy_data=judged_on or at_export,
    )


def _parameters(torch_model: TorchModel | str) -> int | None:
    if isinstance(torch_model, str) or missing("torch") is not None:
        return None
    return sum(parameter.numel() for parameter in torch_model.load().parameters())


def _macs(bundle: Bundle) -> int | None:
    """Multiply-adds of one image, whichever rows were run; None where OpenVINO is not here to read the graph.

    Of the ONNX file where there is one: in the IR norms stand as products, which would be counted too.
    """
    if missing("openvino") is not None:
        return None
    batch = bundle.manifest.input.batch
    held = {artifact.runtime: artifact for artifact in bundle.manifest.artifacts if artifact.precision == "fp32"}
    for runtime in ("onnxruntime", "openvino"):
        if runtime in held:
            try:
                return read_costs(bundle.path(held[runtime]), batch).macs // batch
            except (BundleError, RuntimeError):  # its own row says so
                continue
    return None
