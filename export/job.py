"""One export under way: what its targets share, and what they leave for each other."""

import warnings
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pvt_edge.bundle import BundleWriter
from pvt_edge.bundle.schema import MOVED, AccuracyRecord, Artifact, OutputSpec, Precision, TensorRtSpec
from pvt_edge.errors import ExportError, PictureWarning
from pvt_edge.export.agreement import (
    answers,
    check_parity,
    check_runs,
    measure_accuracy,
    measure_agreement,
    model_outputs,
)
from pvt_edge.export.approximation import LADDER, Approximation, choose, take
from pvt_edge.export.auto_precision import rank_onnx, time_onnx
from pvt_edge.export.calibration import SCENES
from pvt_edge.export.graph import INPUT_NAME, DeployGraph
from pvt_edge.export.metadata import describe_model
from pvt_edge.export.move_costs import measure_moves
from pvt_edge.export.onnx import export_onnx
from pvt_edge.export.openvino import own_biases, own_names, read_model
from pvt_edge.export.pictures import ExportPictures
from pvt_edge.export.precision.record import ApproximationRecord, TensorRtRecord
from pvt_edge.export.precision.trial import Trial
from pvt_edge.export.quantising import INT8_NOT_FASTER, NOT_FASTER, Quantisation
from pvt_edge.export.request import ENGINE_FORMATS, ExportRequest
from pvt_edge.models import Model
from pvt_edge.moves import Moves
from pvt_edge.options.export import Progress
from pvt_edge.runtimes import open_runtime

if TYPE_CHECKING:
    import openvino

    from pvt_edge.comparison.difference import Arrays
    from pvt_edge.export.approximation import Run
    from pvt_edge.export.deploy.form import Target
    from pvt_edge.export.precision.judge import Judge
    from pvt_edge.export.precision.record import MoveSensitivity
    from pvt_edge.export.targets import ExportTarget

PARITY_IMAGES = 2
AGREEMENT_IMAGES = 4
ARTIFACT_ORDER = ("onnxruntime", "openvino", *ENGINE_FORMATS)  # in the manifest


def own_steps(request: ExportRequest) -> int:
    """How many steps an export tells of beside those of its targets: see `prepare` and what follows the targets."""
    return 3 + request.int8 + request.approximates + (request.bundled is not None)


class ExportJob:
    """A model, what is asked for, and where it goes.

    Attributes:
        pictures: Those that are given or drawn.
        graph: The exact model in the deploy form of ONNX Runtime.
        probes: Pictures (1, H, W, 3) that files are checked on.
        expected: The trained model's outputs on them.
        approximation: The moves that files of approx, int8 and fp16 make; None where they make none.
        approximations: What is known of them, for the report.
        quantisation: The placement of INT8 for the CPU.
        tensorrt: The graphs for TensorRT; `tensorrt_record` is what is known of them, for the report.
        preferred: By runtime the precisions, the fastest first.
        over_budget: What "auto" may not take, and why.
        outputs: The graph's, as the first runtime that was checked has them.
        judged: What files of the bundle gave on the pictures of `judge`, by "runtime-precision".
        reasons: Why what was asked for is not written, by "runtime-precision".
    """

    def __init__(
        self,
        model: Model,
        request: ExportRequest,
        writer: BundleWriter,
        scratch: Path,
        steps: int,
        progress: Progress | None,
    ) -> None:
        """`steps` is how many its targets will tell of."""
        self.model, self.request, self.writer, self.scratch = model, request, writer, scratch
        self.steps, self.done, self.progress = steps + own_steps(request), 0, progress
        self.pictures = ExportPictures(request, model.task, scratch)
        self.approximation: Approximation | None = None
        self.approximations: ApproximationRecord | None = None
        self.quantisation: Quantisation | None = None
        self.tensorrt: TensorRtSpec | None = None
        self.tensorrt_record: TensorRtRecord | None = None
        self.preferred: dict[str, Sequence[Precision]] = {}
        self.over_budget: dict[str, str] = {}
        self.outputs: tuple[OutputSpec, ...] = ()
        self.judged: dict[str, Sequence[Arrays]] = {}
        self.reasons: dict[str, str] = {}
        self._converted: dict[Moves, openvino.Model] = {}
        self._conversions = 0

    def write_artifacts(self, targets: "Sequence[ExportTarget]") -> tuple[Artifact, ...]:
        """Every artifact asked for, written by `targets` and checked, in the order of their runtimes."""
        self.prepare()
        artifacts = [artifact for target in targets for artifact in target.write()]
        reasons = self.find_not_written(artifacts)
        if not artifacts:  # INT8 alone was asked for, and is not worth writing
            raise ExportError("; ".join(dict.fromkeys(reasons.values())))
        artifacts = self._rank_onnx(artifacts)
        if self.approximation:
            artifacts = [a.model_copy(update={"approximated": a.precision in MOVED}) for a in artifacts]
        return tuple(sorted(artifacts, key=lambda artifact: ARTIFACT_ORDER.index(artifact.runtime)))

    def _rank_onnx(self, artifacts: list[Artifact]) -> list[Artifact]:
        """The artifacts that stay, the precisions of ONNX Runtime ordered by the clock."""
        files = {a.precision: self.writer.path(a.file) for a in artifacts if a.runtime == "onnxruntime"}
        if len(files) < 2:
            return artifacts
        self.detail("ranking ONNX Runtime's precisions")
        latency = time_onnx(files, self.probes[0], self.request.tune)
        order = rank_onnx(files, latency)
        if self.quantisation is not None:
            self.quantisation = self.quantisation.time_onnx(latency)
        slow: list[tuple[Precision, str]] = []
        if "approx" in order and order.index("approx") > order.index("fp32") and not self.moves_given:
            slow.append(("approx", NOT_FASTER))
        unkept = self.quantisation is not None and not self.quantisation.record.kept  # what pays in OpenVINO stays
        if "int8" in order and order[0] != "int8" and unkept and not self.request.tensorrt_graphs:
            slow.append(("int8", f"in ONNX Runtime {INT8_NOT_FASTER}"))
        for precision, why in slow:
            self.reasons[f"onnxruntime-{precision}"] = why
            files[precision].unlink()
            order.remove(precision)
        self.preferred["onnxruntime"] = order
        return [a for a in artifacts if a.runtime != "onnxruntime" or a.precision in order]

    def writes_plan(self, artifacts: Sequence[Artifact]) -> bool:
        """Whether one of the `artifacts` has its INT8 where the plan for the CPU says."""
        runtimes = {artifact.runtime for artifact in artifacts if artifact.precision == "int8"}
        return not runtimes.isdisjoint({"openvino"} if self.request.tensorrt_graphs else {"openvino", "onnxruntime"})

    def find_not_written(self, artifacts: Sequence[Artifact]) -> dict[str, str]:
        """Why what was asked for is not among the `artifacts`, by "runtime-precision".

        Raises:
            ExportError: For an INT8 that is required, unless its graph is there for `build_bundle` on the device.
        """
        written = {(artifact.runtime, artifact.precision) for artifact in artifacts}
        graphs = self.tensorrt.graphs if self.tensorrt else {}
        missed = {}
        for runtime, precision in self.request.asked:
            if (runtime, precision) in written:
                continue
            missed[f"{runtime}-{precision}"] = reason = self.reasons.get(f"{runtime}-{precision}", "")
            buildable = runtime in ENGINE_FORMATS and precision in graphs
            if precision == "int8" and self.request.options.require_int8 and not buildable:
                raise ExportError(f"INT8 is required and not there for {runtime}: {reason}; nothing was written")
        return missed | {name: why for name, why in self.reasons.items() if name.endswith("-approx")}

    def prepare(self) -> None:
        """Collect pictures, rewrite the model, and choose approximations where some are asked for."""
        request = self.request
        if request.int8:
            self.begin("collecting calibration pictures")
            self.pictures.collect()
        self.begin("rewriting the model into its deploy form")
        self.graph = self._graph(self.model, "onnxruntime")
        self.metadata = describe_model(request, self.variant, self.model.task)
        self.probes = self.pictures.probes(PARITY_IMAGES)
        self.expected = model_outputs(self.model, self.graph, self.probes)
        if request.approximates:
            self._approximate()

    @property
    def variant(self) -> str:
        """The backbone's."""
        return self.model.backbone.variant.name

    @property
    def deployed(self) -> Model:
        """The trained model as files of approx, fp16 and int8 compute it."""
        return self.approximation.model if self.approximation else self.model

    @property
    def moves_given(self) -> bool:
        """Whether approximations were taken of a plan, at its word."""
        return self.approximations is not None and self.approximations.given

    @property
    def left_out(self) -> tuple[str, ...]:
        """The blocks that the moves leave out of the graph."""
        return self.approximation.moves.left_out(self.model.backbone.variant) if self.approximation else ()

    @cached_property
    def judge(self) -> "Judge":
        """What judges files: on other pictures than those that chose approximations."""
        return self.pictures.judge(some_chose=self.approximations is not None and not self.moves_given)

    def begin(self, step: str) -> None:
        """Say that `step` begins."""
        if self.progress:
            self.progress(self.done, self.steps, step)
        self.done += 1

    def detail(self, step: str) -> None:
        """Say what goes on within a step."""
        if self.progress:
            self.progress(self.done - 1, self.steps, step)

    def trace(self, model: Model, target: "Target", path: Path, batch: int = 1) -> None:
        """Write the graph of `model` that is shaped for `target` to `path`, as ONNX without metadata."""
        graph = self._graph(model, target, batch)
        export_onnx(graph, path, batch=self.request.options.batch, dynamic_batch=self.request.options.dynamic_batch)

    def _graph(self, model: Model, target: "Target", batch: int = 1) -> DeployGraph:
        request = self.request
        return DeployGraph(
            model,
            request.imgsz,
            normalisation=request.normalise,
            target=target,
            batch=batch,
            post=request.postprocess,
            logits=request.options.logits,
        )

    def check(self, runtime: str, path: Path, precision: str, *, moved: bool = False) -> None:
        """Raise `ExportError` unless a file gives the exact model's answers, or if `moved` the approximated one's."""
        expected = self._expected_moved if moved else self.expected
        with open_runtime(runtime, path, precision=precision) as opened:
            check_parity(opened, INPUT_NAME, self.probes, expected, self.model.task)
            gives = {
                spec.name: OutputSpec(name=spec.name, dtype=spec.dtype, shape=spec.shape) for spec in opened.outputs
            }
        self.outputs = self.outputs or tuple(gives[name] for name in self.graph.output_names)

    @cached_property
    def _expected_moved(self) -> "list[Arrays]":
        """What the trained model with the moves gives on `probes`."""
        return model_outputs(self.deployed, self.graph, self.probes)

    def check_runs(self, runtime: str, file: str) -> None:
        """Raise `ExportError` unless an INT8 file of the bundle runs and gives finite answers."""
        with open_runtime(runtime, self.writer.path(file), precision="int8") as opened:
            check_runs(opened, INPUT_NAME, self.probes)

    def run_judged(self, runtime: str, precision: Precision, file: str) -> "list[Arrays]":
        """What a file of the bundle gives on the judge's pictures; it is remembered for its accuracy."""
        with open_runtime(runtime, self.writer.path(file), precision=precision) as opened:
            found = answers(opened, INPUT_NAME, self.judge.inputs)
        self.judged[f"{runtime}-{precision}"] = found
        return found

    def openvino_model(self, moves: Moves | None = None) -> "openvino.Model":
        """The model that makes `moves`, by default the exact one, in OpenVINO's form. What is kept is made once."""
        moves = moves or Moves()
        if moves not in self._converted:
            self._converted[moves] = self._convert(moves)
        return self._converted[moves]

    def _convert(self, moves: Moves) -> "openvino.Model":
        self._conversions += 1
        traced = self.scratch / f"openvino.{self._conversions}.onnx"
        self.trace(take(self.model, moves).model if moves else self.model, "openvino", traced)
        found = read_model(traced)
        with suppress(OSError):  # a search makes a hundred; Windows keeps a file that a model has its weights in
            traced.unlink()
        own_biases(found)
        own_names(found)
        return found

    def _approximate(self) -> None:
        """Take the moves of a plan, or choose some on pictures that judge nothing else."""
        request = self.request
        self.begin("choosing approximations")
        if isinstance(request.approximate, Moves):
            self.approximation = take(self.model, request.approximate)
            words = request.approximate.words(self.model.backbone.variant)
            self.approximations = ApproximationRecord(words=words, given=True)
            return
        judge = self.pictures.choosing_judge()
        if judge is None:
            warnings.warn(
                "not approximated: too few pictures to choose by some and judge by others", PictureWarning, stacklevel=2
            )
            return
        budget = request.budget(judge.metric.name)
        if budget is None:
            return
        ladder = LADDER
        alone: tuple[MoveSensitivity, ...] = ()
        if request.tune == "full":
            costs = measure_moves(self.model.backbone.variant, request.imgsz, self._convert, judge, self.detail)
            ladder, alone = costs.ladder, costs.alone
        chosen, record = choose(self.model, request.imgsz, self._run_moved, judge, budget, self.detail, ladder)
        self.approximation, self.approximations = chosen, record.model_copy(update={"alone": alone})
        kept = {Moves(), chosen.moves if chosen else Moves()}
        self._converted = {moves: model for moves, model in self._converted.items() if moves in kept}

    def _run_moved(self, moves: Moves) -> "Run":
        """What runs the model that makes `moves`: OpenVINO, in a fraction of the time that torch takes."""
        return Trial(self.openvino_model(moves), bf16=False).run

    def measure_accuracy(self, artifacts: Sequence[Artifact]) -> AccuracyRecord | None:
        """What each artifact finds on generated scenes, for the weights that come with the package."""
        judge = self.pictures.scenes_judge
        if judge is None:
            return None
        self.begin(f"measuring accuracy on {judge.metric.data}")
        known = self.judged if self.judged and self.judge is judge else {}
        return measure_accuracy(artifacts, self.writer.path, judge, known)

    def measure_agreement(self, artifacts: Sequence[Artifact]) -> AccuracyRecord | None:
        """How far each artifact gives the trained model's answers, whatever gate it passed before."""
        self.begin("comparing answers with the trained model's")
        inputs = self.pictures.probes(AGREEMENT_IMAGES)
        more = model_outputs(self.model, self.graph, inputs[len(self.expected) :])
        return measure_agreement(
            artifacts,
            self.writer.path,
            inputs,
            [*self.expected, *more],
            task=self.model.task,
            post=self.request.postprocess,
            source=self.pictures.typical.record.source if self.pictures.typical else SCENES,
        )
