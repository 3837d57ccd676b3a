"""The pictures of one export: what ranges are taken from, what files are checked on, what chooses and what judges."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pvt_edge.errors import DataError, ExportError
from pvt_edge.export.calibration import SCENES, CalibrationSet, calibration_from_images, calibration_from_scenes
from pvt_edge.export.precision.judge import ALL, AgreementJudge, Judge, LabelledJudge, labelled_judge
from pvt_edge.tasks import get_task
from pvt_edge.weights import get_bundled

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pvt_edge.export.request import ExportRequest

    Scenes = tuple[Path, str]  # labels of generated scenes, as the task reads them, and what they are

CALIBRATION_SCENES = 32  # drawn for ranges, whose averages hardly move with more
AUDIT_SCENES = 16  # drawn ones, where no pictures were given
ACCURACY_SCENES, ACCURACY_SEED = 48, 3  # seeds of training and calibration lie elsewhere
CHOOSING_SCENES, CHOOSING_SEED = 24, 5
CHOOSING, JUDGING = slice(0, None, 2), slice(1, None, 2)  # of the pictures, where approximations are chosen on some
AGREEMENT_PICTURES = 64


class ExportPictures:
    """What `request` gives and what is drawn in its place; scenes go below `scratch`.

    Attributes:
        calibration: What INT8 takes its ranges from, once it was collected.
    """

    def __init__(self, request: "ExportRequest", task: str, scratch: Path) -> None:
        self.request, self.task, self.scratch = request, task, scratch
        self.calibration: CalibrationSet | None = None
        self._other_half: Judge | None = None  # what judges where some pictures chose

    def collect(self) -> None:
        """Read or draw the calibration pictures."""
        self.calibration = self._read(
            scenes=min(self.request.options.calib_n, CALIBRATION_SCENES), allow_small=self.request.options.allow_small
        )

    def seen(self) -> CalibrationSet:
        """The calibration pictures, or what floats are judged on where INT8 needs none: those given, else scenes."""
        return self.calibration or self._seen

    @cached_property
    def _seen(self) -> CalibrationSet:
        return self._read(scenes=AUDIT_SCENES, allow_small=True)

    @property
    def typical(self) -> CalibrationSet | None:
        """Those that were collected, or that are given for floats alone."""
        return self.calibration or (self.seen() if self.request.options.calib is not None else None)

    def probes(self, count: int) -> "list[NDArray[np.uint8]]":
        """Pictures to check on: typical ones where there are any, else drawn scenes."""
        found = self.typical or calibration_from_scenes(self.request.imgsz, self.request.resize, count=count)
        return list(found.inputs[:count])

    @cached_property
    def scenes(self) -> "Scenes | None":
        """The labelled data of bundled weights."""
        bundled = get_bundled(self.request.bundled)
        if bundled is None or bundled.task != self.task:
            return None
        return self._draw(ACCURACY_SCENES, ACCURACY_SEED, "scenes")

    def choosing_judge(self) -> Judge | None:
        """What chooses approximations: every second picture, or other scenes than those that judge.

        None where one half of the pictures says nothing.
        """
        scenes = self._draw(CHOOSING_SCENES, CHOOSING_SEED, "choosing") if self.scenes else None
        try:
            self._other_half = self._judge(self.scenes, JUDGING)
            return self._judge(scenes, CHOOSING)
        except DataError:
            self._judge(self.scenes, ALL)  # which says so if it is all of them
            return None

    def judge(self, *, some_chose: bool) -> Judge:
        """What judges files: all pictures, or where `some_chose` approximations the others."""
        return self._other_half if some_chose and self._other_half else self._judge(self.scenes, ALL)

    @cached_property
    def scenes_judge(self) -> LabelledJudge | None:
        """What states the accuracy of bundled weights, and judges their files where nothing else is asked for."""
        return self._scenes_judge(self.scenes) if self.scenes else None

    def _judge(self, scenes: "Scenes | None", part: slice) -> Judge:
        """The judge that the request asks for: of all `scenes`, or of a `part` of the pictures that were given."""
        request, task = self.request, self.task
        options = request.options
        metric = get_task(task).metric
        labelled = metric is not None and options.metric in ("auto", metric[0])
        if not labelled and options.metric not in ("auto", "agreement"):
            raise ExportError(f"the metric {options.metric} does not judge {task}: take auto or agreement")
        if labelled and options.data is not None:
            images = Path(options.images) if options.images is not None else None
            common = (request.labels, request.imgsz, request.resize, request.postprocess)
            pixel_max = request.pixel_max
            return labelled_judge(task, Path(options.data), images, *common, pixel_max=pixel_max, part=part)
        if labelled and scenes is not None:
            return self.scenes_judge if scenes is self.scenes and self.scenes_judge else self._scenes_judge(scenes)
        inputs = self.seen().inputs[part][:AGREEMENT_PICTURES]
        if not inputs:
            raise DataError("one picture is too few to choose by some and judge by others")
        what = "calibration pictures, unlabelled" if options.calib is not None else SCENES
        return AgreementJudge(inputs, task, request.postprocess, f"{len(inputs)} {what}")

    def _scenes_judge(self, scenes: "Scenes") -> LabelledJudge:
        (data, words), r = scenes, self.request
        return labelled_judge(self.task, data, None, r.labels, r.imgsz, r.resize, r.postprocess, words=words)

    def _read(self, scenes: int, allow_small: bool) -> CalibrationSet:
        request, options = self.request, self.request.options
        if options.calib is None:
            return calibration_from_scenes(request.imgsz, request.resize, count=scenes, seed=options.seed)
        return calibration_from_images(
            options.calib,
            request.imgsz,
            request.resize,
            count=options.calib_n,
            seed=options.seed,
            allow_small=allow_small,
            pixel_max=request.pixel_max,
        )

    def _draw(self, count: int, seed: int, folder: str) -> "Scenes":
        from pvt_edge.scenes import write_scenes

        return write_scenes(self.scratch / folder, count, seed=seed), f"{count} generated scenes, seed {seed}"
