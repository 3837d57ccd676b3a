"""ONNX files for ONNX Runtime: fp32, approx with the moves, and int8 by the placement for the CPU."""

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pvt_edge.errors import ExportError
from pvt_edge.export.onnx import export_onnx
from pvt_edge.export.precision.onnx_int8 import to_onnx_int8
from pvt_edge.export.quantising import beyond
from pvt_edge.export.targets.target import ExportTarget
from pvt_edge.runtimes import missing

if TYPE_CHECKING:
    import onnx

    from pvt_edge.bundle.schema import Artifact, Precision
    from pvt_edge.export.quantising import Quantisation
    from pvt_edge.export.request import ExportRequest
    from pvt_edge.models import Model

OBSERVED = 16  # batches that ranges are taken from: averages of extremes, and each takes half a second at 480x640


class OnnxTarget(ExportTarget):
    """`model.fp32.onnx`, `model.approx.onnx` and `model.int8.onnx`; where graphs for TensorRT are asked for, the latter
    is theirs."""

    formats: ClassVar = ("onnx",)

    @classmethod
    def steps(cls, request: "ExportRequest") -> int:
        return 2 if "onnx" in request.formats and (_fp32(request) or _int8(request)) else 0

    def write(self) -> "list[Artifact]":
        job, artifacts = self.job, []
        fp32 = job.writer.path("model.fp32.onnx") if _fp32(self.request) else job.scratch / "model.onnx"
        self._write_fp32(fp32)
        if _fp32(self.request):
            artifacts.append(job.writer.artifact("onnxruntime", "fp32", "model.fp32.onnx"))
        if job.approximation and self.request.approx:
            artifacts += self._write_approx(job.approximation.model)
        if _int8(self.request) and job.quantisation is not None and job.quantisation.plan:
            artifacts += self._write_int8(job.quantisation)
        return artifacts

    def _write_fp32(self, path: Path) -> None:
        job, request = self.job, self.request
        job.begin("exporting ONNX")
        export_onnx(
            job.graph,
            path,
            batch=request.options.batch,
            dynamic_batch=request.options.dynamic_batch,
            metadata=job.metadata,
        )
        if (reason := missing("onnxruntime")) is not None:
            raise ExportError(f"the ONNX file cannot be checked: {reason}")
        job.begin("checking ONNX against the model")
        job.check("onnxruntime", path, "fp32")

    def _write_approx(self, model: "Model") -> "list[Artifact]":
        """The approximated `model`, where it holds the budget; whether it is faster, `ExportJob` sees of all files."""
        import onnx

        job = self.job
        assert job.quantisation is not None
        job.detail("exporting the approximated ONNX")
        moved = job.scratch / "approx.onnx"
        job.trace(model, "onnxruntime", moved)
        job.check("onnxruntime", moved, "fp32", moved=True)
        file = self._save(onnx.load(str(moved)), "approx")
        job.detail("judging the approximation in ONNX Runtime")
        job.quantisation = job.quantisation.judge_onnx_approx(job.run_judged("onnxruntime", "approx", file))
        trial = job.quantisation.record.onnx_approx
        if trial is not None and not trial.within_budget:
            job.reasons["onnxruntime-approx"] = beyond(trial.drop, job.quantisation.record)
            job.writer.path(file).unlink()
            return []
        return [job.writer.artifact("onnxruntime", "approx", file)]

    def _write_int8(self, quantisation: "Quantisation") -> "list[Artifact]":
        import onnx

        job, request = self.job, self.request
        job.detail("placing INT8 for ONNX Runtime")
        rows = job.scratch / "rows.onnx"
        job.trace(job.deployed, "onnxruntime-int8", rows)
        batches = job.pictures.seen().batches(1 if request.options.dynamic_batch else request.options.batch)
        model = to_onnx_int8(onnx.load(str(rows)), quantisation.blocks, batches[:OBSERVED])
        file = self._save(model, "int8")
        job.check_runs("onnxruntime", file)
        job.detail("judging INT8 in ONNX Runtime")
        job.quantisation = quantisation.judge_onnx(job.run_judged("onnxruntime", "int8", file))
        trial = job.quantisation.record.onnx
        if trial is not None and not trial.within_budget:
            job.reasons["onnxruntime-int8"] = f"in ONNX Runtime it {beyond(trial.drop, job.quantisation.record)}"
            job.writer.path(file).unlink()
            return []
        return [job.writer.artifact("onnxruntime", "int8", file)]

    def _save(self, model: "onnx.ModelProto", precision: "Precision") -> str:
        """The name of the bundle's file that `model` now lies in."""
        import onnx

        file = f"model.{precision}.onnx"
        self.job.metadata.write_onnx(model, precision)
        onnx.save(model, str(self.job.writer.path(file)))
        return file


def _fp32(request: "ExportRequest") -> bool:
    return "fp32" in request.precisions


def _int8(request: "ExportRequest") -> bool:
    return request.cpu_int8 and not request.tensorrt_graphs
