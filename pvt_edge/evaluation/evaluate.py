"""A bundle and labelled pictures -> figures of its artifacts."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from pvt_edge.bundle import read_bundle
from pvt_edge.errors import DataError, PvtEdgeError, RuntimeInputError, RuntimeMissingError
from pvt_edge.evaluation.artifacts import choose_artifacts
from pvt_edge.evaluation.detections_file import prepare_files, write_detections
from pvt_edge.evaluation.labelled import Labelled, default_images, read_labelled
from pvt_edge.evaluation.record import Evaluation, Failure, Judged, Row
from pvt_edge.evaluation.thresholds import ap_settings

Bar: TypeAlias = Callable[[str, int], AbstractContextManager[Callable[[], None]]]


@contextmanager
def no_bar(name: str, total: int) -> Iterator[Callable[[], None]]:
    """Shows nothing."""
    yield lambda: None


def evaluate(
    bundle: str | Path,
    data: str | Path,
    images: str | Path | None = None,
    *,
    runtime: str = "auto",
    precision: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    conf: float | None = None,
    iou: float | None = None,
    max_det: int | None = None,
    limit: int | None = None,
    skip_missing: bool = False,
    pixel_max: "str | float | None" = None,
    save_detections: str | Path | None = None,
    bar: Bar = no_bar,
) -> Evaluation:
    """The figures of a bundle's artifacts on labelled pictures, each run as `pvt_edge.load` runs it.

    `data` is a COCO file for a detector; for a classifier a folder with one sub-folder a class, or a text file with a
    path and a label a line. `images` is the folder that the file's paths are seen from: by default `images` beside it
    where there is one, else its own. `runtime` and `precision` may be "all": then what cannot run here becomes a
    failure with its reason, and the others go on. For AP, which sweeps the threshold itself, `conf` is 0.01 unless
    given; `iou` and `max_det` are the bundle's. `limit` takes the first so many pictures; `skip_missing` leaves out
    those that are no files. `pixel_max` is as for `pvt_edge.load`. `save_detections` is a file for them in COCO's
    results format, of several artifacts one each, "dets.json" becoming "dets.openvino-int8.json".

    Raises `DataError` for data that is broken, does not fit the bundle or would be overwritten, the errors of
    `pvt_edge.load`, and `RuntimeMissingError` where none of several could run.
    """
    found = read_bundle(bundle)
    pairs = choose_artifacts(found, runtime, precision)
    place = Path(images) if images is not None else default_images(Path(data))
    manifest = found.manifest
    settings = ap_settings(manifest, conf, iou, max_det) if manifest.task == "detect" else None
    if settings is None and (conf, iou, max_det, save_detections) != (None, None, None, None):
        raise RuntimeInputError(f"thresholds and detections are a detector's, this bundle's task is {manifest.task}")
    files: Sequence[Path | None] = [None] * len(pairs)
    if save_detections is not None:
        files = prepare_files(Path(save_detections), pairs, Path(data))
    labelled = read_labelled(manifest, Path(data), place, settings, limit=limit, skip=skip_missing)
    rows: list[Row] = []
    failures: list[Failure] = []
    notes = list(labelled.notes)
    for pair, file in zip(pairs, files, strict=True):
        try:
            judged = _run(found.folder, pair, device, threads, pixel_max, labelled, bar)
        except Exception as error:
            if len(pairs) == 1 or isinstance(error, DataError):  # broken data is broken for all
                raise
            told = str(error) if isinstance(error, PvtEdgeError) else f"{type(error).__name__}: {error}"
            failures.append(Failure(*pair, " ".join(told.split())))
            continue
        row = judged.row
        if file is not None:
            row = replace(row, detections_file=write_detections(judged.detections, file))
        rows.append(row)
        notes += judged.notes
    if not rows:
        reasons = "; ".join(f"{failure.runtime} {failure.precision}: {failure.reason}" for failure in failures)
        raise RuntimeMissingError(f"nothing of {found.folder} runs here: {reasons}")
    return Evaluation(
        found.folder,
        manifest.task,
        Path(data).resolve(),
        place.resolve(),
        labelled.pictures,
        labelled.in_data,
        settings,
        tuple(rows),
        tuple(failures),
        tuple(dict.fromkeys(notes)),
        labelled.image_ids,
    )


def _run(
    folder: Path,
    pair: tuple[str, str],
    device: str,
    threads: int | None,
    pixel_max: "str | float | None",
    data: Labelled,
    bar: Bar,
) -> Judged:
    from pvt_edge.predictor import load

    opened = load(folder, pair[0], precision=pair[1], device=device, threads=threads, pixel_max=pixel_max)
    with opened as predictor:
        name = f"{predictor.runtime.name} {predictor.runtime.precision}"
        with bar(name, data.pictures) as advance:
            return data.judge(predictor, advance)
