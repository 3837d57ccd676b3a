"""A bundle and labelled pictures -> figures of its artifacts."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from time import perf_counter
from typing import Any, TypeAlias

from pvt_edge.arguments import check_whole
from pvt_edge.bundle import Manifest, read_bundle
from pvt_edge.data.layouts import default_images
from pvt_edge.errors import DataError, PvtEdgeError, RuntimeInputError, RuntimeMissingError
from pvt_edge.evaluation.files import check_plots, prepare_files, write_detections, write_plots
from pvt_edge.evaluation.inputs import choose_artifacts, prepared
from pvt_edge.evaluation.record import Evaluation, Failure, Row
from pvt_edge.metrics.labelled import Labelled, Scores
from pvt_edge.predictor import Predictor, load
from pvt_edge.predictor.slicing import Slicing, choose_slicing, sliced_max_det
from pvt_edge.results.fields import MeanSpeed
from pvt_edge.tasks import get_task

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
    slice: "int | tuple[int, int] | None" = None,
    overlap: float | None = None,
    whole_frame: bool = False,
    save_detections: str | Path | None = None,
    reduce_zero_label: bool = False,
    plots: str | Path | None = None,
    bar: Bar = no_bar,
) -> Evaluation:
    """The figures of a bundle's artifacts on labelled pictures, each run as `pvt_edge.load` runs it.

    `data` is labelled for the bundle's task, in any format that `pvt_edge.data.layouts` knows: of a detector a COCO
    file, data.yaml or Pascal VOC's folder; of a segmenter a folder of pictures and index masks, where
    `reduce_zero_label` says that 0 is no label; of a classifier a folder with one sub-folder a class, or a text or CSV
    file with a path and a label a line; of data with parts the val part counts. `images` is the folder that the file's
    paths are seen from: by default `images` beside it where there is one, else its own. `runtime` and `precision` may
    be "all": then what cannot run here becomes a failure with its reason, and the others go on. For AP, which sweeps
    the threshold itself, `conf` is 0.01 unless given; `iou` and `max_det` are the bundle's. `limit` takes the first so
    many pictures; `skip_missing` leaves out those that are no files. `slice`, `overlap` and `whole_frame` run pictures
    in tiles, as a call of a predictor does. `pixel_max` is as for `pvt_edge.load`.
    `save_detections` is a file for them in COCO's results format, of several artifacts one each, "dets.json" becoming
    "dets.openvino-int8.json". `plots` is a folder for pictures of the confusion matrix, of precision over recall and of
    F1 over the threshold, and for the numbers behind them; an earlier one of `val` is replaced.

    Raises `DataError` for data that is broken, does not fit the bundle or would be overwritten, the errors of
    `pvt_edge.load`, and `RuntimeMissingError` where none of several could run, or where `plots` lack matplotlib.
    """
    check_whole("evaluate()", optional=True, limit=limit)
    if limit is not None and limit < 1:
        raise RuntimeInputError(f"limit must be at least 1 picture, got {limit}")
    if plots is not None:
        check_plots(Path(plots))
    found = read_bundle(bundle)
    pairs = choose_artifacts(found, runtime, precision)
    place = Path(images) if images is not None else default_images(Path(data))
    manifest = found.manifest
    if not get_task(manifest.task).has_thresholds and (conf, iou, max_det, save_detections) != (None,) * 4:
        raise RuntimeInputError(f"thresholds and detections are a detector's, this bundle's task is {manifest.task}")
    slicing = choose_slicing(get_task(manifest.task), slice=slice, overlap=overlap, whole_frame=whole_frame)
    if slicing is not None and max_det is None and manifest.postprocess is not None:
        max_det = sliced_max_det(manifest.postprocess.max_det)
    files: Sequence[Path | None] = [None] * len(pairs)
    if save_detections is not None:
        files = prepare_files(Path(save_detections), pairs, Path(data))
    thresholds: dict[str, Any] = {"conf": conf, "iou": iou, "max_det": max_det}
    labelled = read_labelled(
        manifest, Path(data), place, limit=limit, skip=skip_missing, reduce_zero_label=reduce_zero_label, **thresholds
    )
    if manifest.postprocess is not None:
        labelled = replace(labelled, confusion_conf=manifest.postprocess.conf if conf is None else conf)
    rows: list[Row] = []
    failures: list[Failure] = []
    notes = list(labelled.notes)
    for pair, file in zip(pairs, files, strict=True):
        try:
            row, scores = _run(found.folder, pair, device, threads, pixel_max, labelled, slicing, bar)
        except Exception as error:
            if len(pairs) == 1 or isinstance(error, DataError):  # broken data is broken for all
                raise
            reason = str(error) if isinstance(error, PvtEdgeError) else f"{type(error).__name__}: {error}"
            failures.append(Failure(*pair, " ".join(reason.split())))
            continue
        if file is not None:
            row = replace(row, detections_file=write_detections(scores.detections or [], file))
        rows.append(row)
        notes += scores.notes
    if not rows:
        reasons = "; ".join(f"{failure.runtime} {failure.precision}: {failure.reason}" for failure in failures)
        raise RuntimeMissingError(f"nothing of {found.folder} runs here: {reasons}")
    if plots is not None and any(row.curves is None for row in rows):
        notes.append("no curves of precision and F1: they are of boxes, and of classifiers of up to 100 classes")
    evaluation = Evaluation(
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
        slicing,
    )
    if plots is not None:
        write_plots(Path(plots), evaluation)
    return evaluation


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
    reduce_zero_label: bool = False,
) -> Labelled[Any]:
    """The labelled pictures for a bundle, as its task reads and judges them.

    Raises `DataError` where the data is broken or does not fit, and for a task without labels; `RuntimeInputError` for
    an option of another task.
    """
    task = get_task(manifest.task)
    options: dict[str, Any] = {"reduce_zero_label": True} if reduce_zero_label else {}
    if not options.keys() <= {*task.label_options}:
        raise RuntimeInputError(f"reduce_zero_label is of index masks, this bundle's task is {manifest.task}")
    settings = task.judged_at(manifest.postprocess, manifest.labels, conf=conf, iou=iou, max_det=max_det)
    dataset, _ = task.read_labels(data, images, labels=manifest.labels, **options)
    return task.judge(dataset, manifest.labels, settings, limit=limit, skip=skip)


def judge(
    predictor: Predictor,
    labelled: Labelled[Any],
    advance: Callable[[], None],
    slicing: Slicing | None = None,
) -> tuple[Row, Scores]:
    """What an opened artifact does on labelled pictures, sliced or not; `advance` is called after each picture."""
    options: dict[str, Any] = asdict(labelled.settings) if labelled.settings else {}
    if labelled.settings and labelled.classes is not None:
        options["classes"] = list(labelled.classes)
    thresholds = predictor.choose_thresholds(**options)
    rated, speed = [], MeanSpeed()
    started = perf_counter()
    for group in prepared(predictor, labelled.samples, slicing):
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
        confusion=scores.confusion,
        curves=scores.curves,
    )
    return row, scores


def _run(
    folder: Path,
    pair: tuple[str, str],
    device: str,
    threads: int | None,
    pixel_max: "str | float | None",
    data: Labelled[Any],
    slicing: Slicing | None,
    bar: Bar,
) -> tuple[Row, Scores]:
    opened = load(folder, pair[0], precision=pair[1], device=device, threads=threads, pixel_max=pixel_max)
    with opened as predictor:
        name = f"{predictor.runtime.name} {predictor.runtime.precision}"
        with bar(name, len(data.samples)) as advance:
            return judge(predictor, data, advance, slicing)
