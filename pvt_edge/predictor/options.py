"""What a caller may set beside the pictures: thresholds and slices."""

from typing import TYPE_CHECKING, cast

from pvt_edge.arguments import check_keywords
from pvt_edge.bundle.schema import PostprocessSpec
from pvt_edge.errors import RuntimeInputError
from pvt_edge.options.predict import PredictOptions, SliceOptions, ThresholdOptions
from pvt_edge.postprocessing import Thresholds, choose_thresholds
from pvt_edge.predictor.slicing import Slicing, choose_slicing, sliced_max_det

if TYPE_CHECKING:
    from pvt_edge.bundle.schema import Manifest
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
