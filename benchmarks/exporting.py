"""A bundle made only to be measured: `pvt-edge benchmark --variant b2` in place of a bundle's folder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pvt_edge.benchmarks.opening import TorchModel
from pvt_edge.bundle import Bundle
from pvt_edge.errors import ExportError

SCENES, SCENES_SEED = 4, 5  # few: ranges do not change the time, and observing them takes some


@dataclass(frozen=True)
class Exported:
    """The bundle, the model it was made of, and what to know of it."""

    bundle: Bundle
    torch_model: TorchModel
    notes: tuple[str, ...]


def export_to_measure(
    folder: Path,
    variant: str,
    *,
    task: str | None = None,
    weights: str | None = None,
    head: str | None = None,
    imgsz: tuple[int, int] | None = None,
    batches: Sequence[int] = (1,),
    calib: str | None = None,
    int8: bool = True,
    tell: Callable[[str], None] = lambda text: None,
) -> Exported:
    """ONNX and OpenVINO files in `folder`, in fp32 and by the recorded recipe in int8, nothing searched.

    Ranges are observed on `calib`, or on generated scenes: these do for speed, not for accuracy, and the notes say so.
    Several batches make the batch dynamic. `tell` hears of each step. Raises a `PvtEdgeError` as an export does.
    """
    from pvt_edge.export.exporter import export_model
    from pvt_edge.scenes import write_scenes
    from pvt_edge.weights import get_bundled
    from pvt_edge.zoo import resolve_weights

    chosen = resolve_weights(variant, task, weights, head=head)
    notes = list(chosen.notes)
    name = chosen.model.weights_name
    bundled = get_bundled(name)
    drawn = int8 and calib is None and bundled is None
    if drawn:
        calib = str(write_scenes(folder / "scenes", SCENES, seed=SCENES_SEED).parent / "images")
        notes.append(f"INT8 ranges are of {SCENES} generated scenes: right for speed, not for accuracy")
    bundle = export_model(
        chosen.model,
        folder / "bundle",
        precisions=("fp32", "int8") if int8 else ("fp32",),
        imgsz=imgsz,
        calib=calib,
        calib_n=SCENES if drawn else 256,
        allow_small=drawn,
        max_drop=1.0 if drawn else None,
        metric="auto" if bundled else "agreement",
        tune="off",
        labels=chosen.labels,
        batch=batches[0] if len(batches) == 1 else 1,
        dynamic_batch=len(batches) > 1,
        weights_file=chosen.file,
        dialect=chosen.dialect,
        progress=lambda _done, _steps, text: tell(text),
    )
    if int8 and not any(artifact.precision == "int8" for artifact in bundle.manifest.artifacts):
        notes.append("the exporter wrote no INT8: see pvt-edge export --int8")
    held = bundled.name if bundled else weights
    if held is None:  # resolve_weights takes nothing but the bundled ones unasked
        raise ExportError(f"no weights for {variant}: give them with --weights, or --weights none")
    model = TorchModel(
        chosen.variant,
        chosen.task,
        held,
        head=None if bundled else head,
        normalisation=bundle.manifest.normalise,
    )
    return Exported(bundle, model, tuple(notes))
