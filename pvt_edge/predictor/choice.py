"""What runs: which of a bundle's artifacts, in which precision, with which thresholds and slices."""

from typing import TYPE_CHECKING, cast

from pvt_edge.arguments import check_keywords
from pvt_edge.bundle.schema import PostprocessSpec
from pvt_edge.errors import BundleError, RuntimeInputError, RuntimeMissingError, UnknownNameError
from pvt_edge.options.run import PredictOptions, SliceOptions, ThresholdOptions
from pvt_edge.postprocessing import Thresholds, choose_thresholds
from pvt_edge.predictor.slicing import Slicing, choose_slicing, sliced_max_det
from pvt_edge.runtimes.table import PRECISIONS, RUNTIMES, bundled_runtimes, check_precision, missing, runtime_entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pvt_edge.bundle.reader import Bundle
    from pvt_edge.bundle.schema import Artifact, Manifest
    from pvt_edge.tasks.task import Task

OPTIONS = tuple(PredictOptions.__annotations__)


def choose_options(
    manifest: "Manifest", task: "Task", options: PredictOptions, call: str = "predictor"
) -> tuple[Thresholds, Slicing | None]:
    """The thresholds, those of the bundle where none are given, and how pictures are sliced.

    Raises:
        ArgumentError, RuntimeInputError, UnknownNameError: For keywords, thresholds and classes that do not exist, and
            for those that the task does not have.
    """
    check_keywords(call, options, OPTIONS)
    sliced = {name: value for name, value in options.items() if name in SliceOptions.__annotations__}
    slicing = choose_slicing(task, **cast(SliceOptions, sliced))
    rest = {name: value for name, value in options.items() if name not in sliced}
    given = [name for name, value in rest.items() if value is not None]
    if task.picks_classes:
        given = [name for name in given if name != "classes"]
    if given and not task.has_thresholds:
        raise RuntimeInputError(f"{given[0]} is a detector's, this bundle's task is {manifest.task}")
    spec = manifest.postprocess or PostprocessSpec()
    if slicing is not None:
        spec = spec.model_copy(update={"max_det": sliced_max_det(spec.max_det)})
    return choose_thresholds(spec, manifest.labels, **cast(ThresholdOptions, rest)), slicing


def choose_runtime(bundle: "Bundle", runtime: str = "auto") -> str:
    """The runtime to open; "auto" is the first that is both in the bundle and installed here, OpenCV the last.

    Raises `UnknownNameError`, `BundleError` for one not in the bundle, `RuntimeMissingError` where none runs.
    """
    known, able = bundled_runtimes(), bundle.runtimes()
    if runtime not in ("auto", *known):
        raise UnknownNameError("runtime", runtime, ("auto", *known))
    if runtime != "auto":
        if runtime not in able:
            raise BundleError(f"{bundle.folder} has nothing for {runtime}: it has {bundle.listed()}")
        return runtime
    reasons = []
    for name in able:
        reason = missing(name) or _unfit(name) or _excluded(bundle, name)
        if reason is None:
            return name
        reasons.append(reason)
    if (extras := _lacking(able)) is not None:
        raise RuntimeMissingError(f'no runtime for {bundle.folder} is installed: pip install "pvt-edge[{extras}]"')
    raise RuntimeMissingError(f"nothing here can run {bundle.folder} ({bundle.listed()}): {'; '.join(reasons)}")


def _lacking(precisions: "Sequence[str]") -> str | None:
    """The extras that bring the bundle's first runtime, where any machine can have it; None for engines."""
    if any(RUNTIMES[name].needs_gpu for name in precisions):  # whose reasons depend on the machine
        return None
    extra = next((RUNTIMES[name].extra for name in precisions if RUNTIMES[name].reads is None), None)
    return f"{extra},opencv" if extra and missing("opencv") else extra


def _unfit(runtime: str) -> str | None:
    """Why an installed runtime cannot run here: engines need a GPU, our graphs an OpenCV that is new enough."""
    try:
        runtime_entry(runtime).opener.check_machine()
    except RuntimeMissingError as error:
        return str(error)
    return None


def choose_artifact(bundle: "Bundle", runtime: str, precision: str = "auto") -> tuple["Artifact", str]:
    """The artifact to open and the precision to run it in, of which "auto" is left to the runtime.

    "auto" takes what the bundle found to pay, never what it found to lose too much; OpenVINO then runs an fp32
    artifact in bf16 where the CPU can. Raises `UnknownNameError`, `BundleError` that lists what the bundle has or says
    why "auto" takes none of it, or `RuntimeInputError` for a precision that OpenCV does not run.
    """
    if precision not in PRECISIONS:
        raise UnknownNameError("precision", precision, PRECISIONS)
    entry = runtime_entry(runtime)
    if entry.reads is not None:  # the bundle lists no files of it that could tell
        check_precision(runtime, precision)
    if precision != "auto":
        return bundle.artifact(runtime, precision), precision
    if (reason := _excluded(bundle, runtime)) is not None:
        raise BundleError(f"{reason}: name the precision to run it all the same")
    excluded = bundle.manifest.auto_excluded
    precisions = [precision for precision in _stored(bundle, runtime) if f"{runtime}-{precision}" not in excluded]
    stated = bundle.manifest.auto_precision.get(runtime)
    first: str = next((p for p in entry.auto_precisions if p in precisions), "fp32")
    chosen: str = stated or first
    rounds = entry.rounds_to is not None and (
        stated == entry.rounds_to or (stated is None and chosen == entry.rounds[entry.rounds_to])
    )
    rounds = rounds and f"{runtime}-{entry.rounds_to}" not in excluded
    return bundle.artifact(runtime, chosen), "auto" if rounds else chosen


def _stored(bundle: "Bundle", runtime: str) -> list[str]:
    """The precisions of the files that the runtime runs as they are."""
    return [way.precision for way in bundle.ways() if way.runtime == runtime and way.artifact and not way.rounded]


def _excluded(bundle: "Bundle", runtime: str) -> str | None:
    """Why "auto" takes nothing of the runtime, where the bundle says so of all that it has for it."""
    excluded = bundle.manifest.auto_excluded
    names = [f"{runtime}-{precision}" for precision in _stored(bundle, runtime)]
    if not names or any(name not in excluded for name in names):
        return None
    return f"auto takes none of {runtime}: {'; '.join(f'{name} is excluded, {excluded[name]}' for name in names)}"
