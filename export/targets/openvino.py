"""OpenVINO IR: fp32, approx with the moves, and int8 where the search finds a place for it that pays."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pvt_edge.export.graph import INPUT_NAME
from pvt_edge.export.openvino import read_model, save_ir
from pvt_edge.export.quantising import NOT_FASTER, beyond, quantise
from pvt_edge.export.targets.target import ExportTarget

if TYPE_CHECKING:
    import openvino

    from pvt_edge.bundle.schema import Artifact, Precision
    from pvt_edge.export.quantising import Quantisation
    from pvt_edge.export.request import ExportRequest


class OpenVinoTarget(ExportTarget):
    """`openvino/fp32.xml`, `openvino/approx.xml` and `openvino/int8.xml`.

    INT8 for the CPU is placed and approximations are timed here for ONNX Runtime as well, so that it runs where only
    that is asked for, too.
    """

    formats: ClassVar = ("openvino",)

    @classmethod
    def steps(cls, request: "ExportRequest") -> int:
        searches = request.cpu_int8 or request.approx
        return 2 + searches if "openvino" in request.formats or searches else 0

    def write(self) -> "list[Artifact]":
        job = self.job
        job.begin("converting to OpenVINO")
        model = job.openvino_model()
        keep = "openvino" in self.request.formats
        fp32 = job.writer.path("openvino/fp32.xml") if keep else job.scratch / "fp32.xml"
        self._save(model, "fp32", fp32)
        job.begin("checking OpenVINO against the model")
        job.check("openvino", fp32, "fp32")
        model = read_model(fp32)  # what is judged is what the file holds
        artifacts = [self._artifact("fp32")] if keep else []
        if self.request.cpu_int8 or self.request.approx:
            job.begin("placing INT8" if self.request.cpu_int8 else "timing the approximation")
            if self.request.cpu_int8 or job.approximation:
                artifacts += self._write_searched(model, keep)
        return artifacts

    def _write_searched(self, exact: "openvino.Model", keep: bool) -> "list[Artifact]":
        """What is faster than `exact` inside the budget; what the search found stays in `job.quantisation`."""
        job, artifacts = self.job, []
        moved = None
        if job.approximation:
            job.detail("converting the approximated model")
            moved = job.openvino_model(job.approximation.moves)
            approx = job.scratch / "approx.xml"
            self._save(moved, "approx", approx)
            job.check("openvino", approx, "fp32", moved=True)
            moved = read_model(approx)
        found = self._search(exact, moved)
        job.judged |= {f"openvino-{name}": outputs for name, outputs in found.search.outputs.items()}
        if keep and self._keeps_approx(found):
            for suffix in (".xml", ".bin"):
                shutil.copyfile(job.scratch / f"approx{suffix}", job.writer.path(f"openvino/approx{suffix}"))
            artifacts.append(self._artifact("approx"))
        if keep and found.record.kept:
            self._save(found.openvino_model(), "int8", job.writer.path("openvino/int8.xml"))
            job.check_runs("openvino", "openvino/int8.xml")
            artifacts.append(self._artifact("int8"))
        return artifacts

    def _search(self, exact: "openvino.Model", moved: "openvino.Model | None") -> "Quantisation":
        job, request = self.job, self.request
        calibration = job.pictures.calibration if request.cpu_int8 else None
        model, reference = (exact, None) if moved is None else (moved, exact)
        more = reference, job.left_out
        found = quantise(model, job.judge, calibration, request, job.variant, INPUT_NAME, job.detail, *more)
        job.quantisation = found
        if "openvino" in request.formats:
            job.preferred["openvino"] = found.search.preferred
        if request.cpu_int8 and not found.record.kept:
            job.reasons["openvino-int8"] = found.record.verdict
            if found.plan is None:
                job.reasons["onnxruntime-int8"] = found.record.verdict
        if (bf16 := found.search.candidates.get("bf16")) is not None and not bf16.within_budget:
            job.over_budget["openvino-bf16"] = beyond(bf16.drop, found.record)
        return found

    def _keeps_approx(self, found: "Quantisation") -> bool:
        """Whether the approximation in float is to be written; where not, why is noted."""
        candidate = found.search.candidates.get("approx")
        if candidate is None:
            return False
        if not candidate.within_budget:
            self.job.reasons["openvino-approx"] = beyond(candidate.drop, found.record)
        elif not self.job.moves_given and not found.search.approx_pays:
            self.job.reasons["openvino-approx"] = NOT_FASTER
        kept = "openvino-approx" not in self.job.reasons
        if not kept:
            order = self.job.preferred["openvino"]
            self.job.preferred["openvino"] = tuple(precision for precision in order if precision != "approx")
        return kept

    def _save(self, model: "openvino.Model", precision: "Precision", path: Path) -> None:
        self.job.metadata.write_openvino(model, precision)
        save_ir(model, path)

    def _artifact(self, precision: str) -> "Artifact":
        files = f"openvino/{precision}.xml", (f"openvino/{precision}.bin",)
        return self.job.writer.artifact("openvino", precision, files[0], companions=files[1])
