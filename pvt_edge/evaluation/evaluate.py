"""A bundle and labelled pictures -> figures of its artifacts."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias

from pvt_edge.bundle import Manifest, read_bundle
from pvt_edge.data.layouts import default_images
from pvt_edge.errors import DataError, PvtEdgeError, RuntimeInputError, RuntimeMissingError
from pvt_edge.evaluation.artifacts import choose_artifacts
from pvt_edge.evaluation.detections_file import prepare_files, write_detections
from pvt_edge.evaluation.pictures import prepared
from pvt_edge.evaluation.record import Evaluation, Failure, Row
from pvt_edge.mean_speed import MeanSpeed
from pvt_edge.metrics.labelled import Labelled, Scores
from pvt_edge.tasks import get_task

if TYPE_CHECKING:
    from pvt_edge.predictor import Predictor

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

    `data` is labelled for the bundle's task, in any format that `pvt_edge.data.layouts` knows: of a detector a COCO
    file, data.yaml or Pascal VOC's folder; of a classifier a folder with one sub-folder a class, or a text or CSV file
    with a path and a label a line; of data with parts the val part counts. `images` is the folder that the file's paths
    are seen from: by default `images` beside it where there is one, else its own. `runtime` and `precision` may be
    "all": then what cannot run here becomes a failure with its reason, and the others go on. For AP, which sweeps the
    threshold itself, `conf` is 0.01 unless given; `iou` and `max_det` are the bundle's. `limit` takes the first so many
    pictures; `skip_missing` leaves out those that are no files. `pixel_max` is as for `pvt_edge.load`.
    `save_detections` is a file for them in COCO's results format, of several artifacts one each, "dets.json" becoming
    "dets.openvino-int8.json".

    Raises `DataError` for data that is broken, does not fit the bundle or would be overwritten, the errors of
    `pvt_edge.load`, and `RuntimeMissingError` where none of several could run.
    """
    found = read_bundle(bundle)
    pairs = choose_artifacts(found, runtime, precision)
    place = Path(images) if images is not None else default_images(Path(data))
    manifest = found.manifest
    if not get_task(manifest.task).has_thresholds and (conf, iou, max_det, save_detections) != (None,) * 4:
        raise RuntimeInputError(f"thresholds and detections are a detector's, this bundle's task is {manifest.task}")
    files: Sequence[Path | None] = [None] * len(pairs)
    if save_detections is not None:
        files = prepare_files(Path(save_detections), pairs, Path(data))
    labelled = read_labelled(
        manifest, Path(data), place, limit=limit, skip=skip_missing, conf=conf, iou=iou, max_det=max_det
    )
    rows: list[Row] = []
    failures: list[Failure] = []
    notes = list(labelled.notes)
    for pair, file in zip(pairs, files, strict=True):
        try:
            row, scores = _run(found.folder, pair, device, threads, pixel_max, labelled, bar)
        except Exception as error:
            if len(pairs) == 1 or isinstance(error, DataError):  # broken data is broken for all
                raise
            told = str(error) if isinstance(error, PvtEdgeError) else f"{type(error).__name__}: {error}"
            failures.append(Failure(*pair, " ".join(told.split())))
            continue
        if file is not None:
            row = replace(row, detections_file=write_detections(scores.detections or [], file))
        rows.append(row)
        notes += scores.notes
    if not rows:
        reasons = "; ".join(f"{failure.runtime} {failure.precision}: {failure.reason}" for failure in failures)
        raise RuntimeMissingError(f"nothing of {found.folder} runs here: {reasons}")
    return Evaluation(
        found.folder,
        manifest.task,
        Path(data).resolve(),
        place.resolve(),
        len(labelled.samples),
        labelled.in_data,
        labelled.settings,
        tuple(rows),
        tuple(failures),
        tuple(dict.fromkeys(notes)),
        labelled.image_ids,
    )


def read_labelled(
    manifest: Manifest,
    data: Path,
    images: Path | None = None,
    *,
    limit: int | None = None,
    skip: bool = False,
    conf: float | None = None,
    iou: float | None = None,
    max_det: int | None = None,
) -> Labelled[Any]:
    """The labelled pictures for a bundle, as its task reads and judges them.

    Raises `DataError` where the data is broken or does not fit, and for a task without labels.
    """
    task = get_task(manifest.task)
    settings = task.judged_at(manifest.postprocess, manifest.labels, conf=conf, iou=iou, max_det=max_det)
    dataset, _ = task.read_labels(data, images, labels=manifest.labels)
    return task.judge(dataset, manifest.labels, settings, limit=limit, skip=skip)


def judge(predictor: "Predictor", labelled: Labelled[Any], advance: Callable[[], None]) -> tuple[Row, Scores]:
    """What an opened artifact does on labelled pictures; `advance` is called after each picture."""
    options: dict[str, Any] = asdict(labelled.settings) if labelled.settings else {}
    if labelled.settings and labelled.classes is not None:
        options["classes"] = list(labelled.classes)
    thresholds = predictor.choose_thresholds(**options)
    rated, speed = [], MeanSpeed()
    started = perf_counter()
    for group in prepared(predictor, labelled.samples):
        results = predictor.complete([ready for _, ready in group], thresholds)
        for (sample, _), result in zip(group, results, strict=True):
            rated.append(labelled.rate(sample, vars(result), result.orig_hw))
            speed.add(result.speed)
            advance()
    seconds = perf_counter() - started
    scores = labelled.score(rated)
    runtime = predictor.runtime
    found = None if scores.detections is None else len(scores.detections)
    row = Row(
        runtime.name,
        runtime.precision,
        runtime.device,
        scores.figures,
        scores.classes,
        speed.means(),
        seconds,
        found,
    )
    return row, scores


def _run(
    folder: Path,
    pair: tuple[str, str],
    device: str,
    threads: int | None,
    pixel_max: "str | float | None",
    data: Labelled[Any],
    bar: Bar,
) -> tuple[Row, Scores]:
    from pvt_edge.predictor import load

    opened = load(folder, pair[0], precision=pair[1], device=device, threads=threads, pixel_max=pixel_max)
    with opened as predictor:
        name = f"{predictor.runtime.name} {predictor.runtime.precision}"
        with bar(name, len(data.samples)) as advance:
            return judge(predictor, data, advance)
