"""A task, a backbone family and a runtime that the package does not know, added as docs/extending.md says, and used."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import cv2
import numpy as np
import pytest
import torch

import pvt_edge
from pvt_edge.benchmarks.benchmark import run_benchmark
from pvt_edge.benchmarks.options import Options
from pvt_edge.benchmarks.rows import Choice, plan_rows
from pvt_edge.bundle import BundleWriter, read_bundle
from pvt_edge.bundle.schema import InputSpec, Manifest, Provenance, ResizeSpec
from pvt_edge.checkpoints.preprocessing import IMAGENET
from pvt_edge.comparison.difference import FIGURES, Difference, Figure, Tally, paired
from pvt_edge.comparison.panels import PANEL_HW
from pvt_edge.data.labelled_set import LabelledSet
from pvt_edge.errors import BundleError, DataError
from pvt_edge.evaluation import evaluate
from pvt_edge.export.tasks import TASK_EXPORTS, TaskExport, register_task_export
from pvt_edge.metrics.labelled import Labelled, Scores, keep_present
from pvt_edge.models import FAMILIES, MODELS, Backbone, Family, Model, register_family, register_model
from pvt_edge.runtimes import RUNTIMES, RuntimeEntry, TensorSpec, missing
from pvt_edge.runtimes.session import Session
from pvt_edge.scenes import draw_scene
from pvt_edge.tasks import TASKS, Task, register
from pvt_edge.variants import VARIANTS, Variant

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytestmark = pytest.mark.skipif(missing("onnxruntime") is not None, reason="ONNX Runtime is not installed")
HEIGHT, WIDTH = 64, 96


class Toned(NamedTuple):
    """A picture and its mean colour."""

    path: Path
    tone: tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class LabelledTones(Labelled):
    """Judged by how near the tones are."""

    def rate(self, sample, answer, image_hw):
        return 255.0 if answer is None else np.abs(answer["features"]["tone"] - sample.tone).max()

    def score(self, rated):
        return Scores({"closeness": 1 - float(np.mean(rated)) / 255}, {})


class Tone(Task):
    """The mean colour of a picture."""

    name = "tone"
    outputs = ("tone",)
    figures = ("tone_error",)
    own_figures: ClassVar = {"tone_error": Figure("tone error", "tone", "max_tone_error", least=False)}
    tolerances: ClassVar = {"fp32": (1e-3,), "fp16": (0.1,), "bf16": (1.0,), "int8": (2.0,)}
    agreement_words = "mean difference of tone"

    def read(self, row, placement, thresholds, manifest):
        return {"features": {"tone": row["tone"]}}

    def compare(self, found, reference, post):
        return Difference({"tone_error": Tally(float(np.abs(found["tone"] - reference["tone"]).max()), 1)})

    def agreement(self, found, reference, post):
        gaps = [np.abs(got["tone"] - want["tone"]).mean() / 255 for got, want in paired(found, reference)]
        return {"agreement": 1 - float(np.mean(gaps))}

    def read_labels(self, data, images=None, *, part="val", labels=None):
        lines = [line.split(",") for line in data.read_text().splitlines()]
        samples = tuple(Toned(images / name, tuple(map(float, tone))) for name, *tone in lines)
        return LabelledSet(data, (), samples), False

    def judge(self, dataset, labels, settings, *, limit=None, skip=False):
        kept, notes = keep_present(dataset, limit=limit, skip=skip)
        return LabelledTones(samples=kept.samples, in_data=len(dataset.samples), notes=tuple(notes))

    def panels(self, shown):
        sides = (shown.reference, shown.found)
        return tuple(np.full((*PANEL_HW, 3), side["tone"][0].round(), np.uint8) for side in sides)


class Shrinking(Backbone):
    """Maps that are the picture itself, made smaller: the family of one variant, "dots"."""

    def __init__(self, variant, drop_path=0.0):
        super().__init__()
        self.variant = variant
        self.halve = torch.nn.AvgPool2d(2)

    def forward(self, images):
        maps = [self.halve(self.halve(images))]
        while len(maps) < 4:
            maps.append(self.halve(maps[-1]))
        return tuple(maps)


class ToneModel(Model):
    """Normalised RGB pictures (B, 3, H, W) -> their mean colour (B, 3), BGR, 0 to 255."""

    task = "tone"

    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone
        self.head = torch.nn.Linear(3, 3)
        self.head.weight.data = torch.diag(torch.tensor(IMAGENET.std)).flip(0)
        self.head.bias.data = torch.tensor(IMAGENET.mean).flip(0)

    @classmethod
    def build(cls, backbone, num_classes, head):
        return cls(backbone)

    def forward(self, images):
        return self.head(self.backbone.pool(images))


class ToneExport(TaskExport):
    name = "tone"

    def resize(self, timm):
        return ResizeSpec(mode="stretch")


class ReferenceRuntime(Session):
    """ONNX's own evaluator in Python."""

    def __init__(self, path, *, precision="auto", device="auto", threads=None):
        from onnx.reference import ReferenceEvaluator

        self._evaluator = ReferenceEvaluator(str(path))
        super().__init__(
            "onnx-reference",
            str(path),
            precision="fp32",
            device="cpu",
            inputs=(TensorSpec("images", "uint8", (1, HEIGHT, WIDTH, 3)),),
            outputs=(TensorSpec("tone", "float32", (1, 3)),),
        )

    @classmethod
    def probe(cls, facts):
        facts["version"] = onnx.__version__

    def _run(self, arrays):
        return dict(zip(["tone"], self._evaluator.run(None, arrays), strict=True))

    def _release(self):
        self._evaluator = None


@pytest.fixture
def extended() -> Iterator[None]:
    register(Tone())
    register_model(ToneModel)
    register_task_export(ToneExport())
    VARIANTS["dots"] = Variant("dots", (3, 3, 3, 3), (0, 0, 0, 0), (1, 1, 1, 1), params=0, family="shrinking")
    register_family(Family("shrinking", "Shrinking", Shrinking))
    RUNTIMES["onnx-reference"] = RuntimeEntry(
        __name__,
        "ReferenceRuntime",
        packages=("onnx",),
        extra="export",
        precisions=("fp32",),
        reads="onnxruntime",
        auto_rank=9,
        auto_precisions=("fp32",),
    )
    yield
    del TASKS["tone"], MODELS["tone"], TASK_EXPORTS["tone"], FIGURES["tone_error"], RUNTIMES["onnx-reference"]
    del VARIANTS["dots"], FAMILIES["shrinking"]


def write_tone(folder, *, off=0.0):
    """A bundle whose one graph gives the mean colour, `off` grey levels too bright."""
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "axes"], ["mean"], keepdims=0),
        helper.make_node("Add", ["mean", "off"], ["tone"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tone",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, (1, HEIGHT, WIDTH, 3))],
        [helper.make_tensor_value_info("tone", TensorProto.FLOAT, (1, 3))],
        [
            helper.make_tensor("axes", TensorProto.INT64, (2,), [1, 2]),
            helper.make_tensor("off", TensorProto.FLOAT, (), [off]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    with BundleWriter(folder) as writer:
        onnx.save(model, str(writer.path("model.fp32.onnx")))
        writer.finish(
            Manifest(
                variant="none",
                task="tone",
                labels=(),
                input=InputSpec(height=HEIGHT, width=WIDTH),
                outputs=("tone",),
                resize=ResizeSpec(mode="stretch"),
                artifacts=(writer.artifact("onnxruntime", "fp32", "model.fp32.onnx"),),
                provenance=Provenance(pvt_edge="0", created="2026-01-01", weights="none", versions={}, machine="any"),
            )
        )
    return folder


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed in range(3):
        cv2.imwrite(str(folder / f"{seed}.png"), draw_scene(seed, HEIGHT, WIDTH).image)
    return folder


def test_predict(extended, tmp_path, pictures):
    bundle = write_tone(tmp_path / "tone")
    for runtime in ("auto", "onnx-reference"):
        with pvt_edge.load(bundle, runtime) as predictor:
            results = predictor(pictures)
        for result in results:
            assert result.features["tone"] == pytest.approx(result.image.mean(axis=(0, 1)), abs=1e-3)
    assert '"tone"' in results[0].to_json()


def test_verify(extended, tmp_path, pictures):
    sound, bright = write_tone(tmp_path / "sound"), write_tone(tmp_path / "bright", off=3.0)
    assert pvt_edge.verify(sound, images=pictures, artifacts=["onnx-reference"], reference="onnxruntime:fp32")
    report = pvt_edge.verify(bright, images=pictures, against=sound, out=tmp_path / "report")
    assert not report
    assert report.artifacts[0].figures["tone_error"] == pytest.approx(3.0, abs=1e-3)
    assert (tmp_path / "report" / "contact_sheet.jpg").exists()


def test_val(extended, tmp_path, pictures):
    means = {path.name: cv2.imread(str(path)).mean(axis=(0, 1)) for path in sorted(pictures.iterdir())}
    data = tmp_path / "tones.csv"
    data.write_text("".join(f"{name},{','.join(map(str, tone))}\n" for name, tone in means.items()))
    sound, bright = write_tone(tmp_path / "sound"), write_tone(tmp_path / "bright", off=25.5)
    rows = evaluate(sound, data, pictures, runtime="all").rows
    assert {"onnx-reference fp32", "onnxruntime fp32"} <= {row.name for row in rows}
    assert [row.figures["closeness"] for row in rows] == pytest.approx([1] * len(rows), abs=1e-5)
    assert evaluate(bright, data, pictures).rows[0].figures["closeness"] == pytest.approx(0.9, abs=1e-5)
    (pictures / "0.png").unlink()
    with pytest.raises(DataError, match="1 of 3 pictures are missing"):
        evaluate(sound, data, pictures)
    assert evaluate(sound, data, pictures, skip_missing=True).pictures == 2


def test_benchmark_rows(extended, tmp_path):
    bundle = read_bundle(write_tone(tmp_path / "tone"))
    rows = {plan.name: plan.opening is not None for plan in plan_rows(bundle, Choice(), "no weights")}
    assert rows["onnx-reference fp32"]
    assert [way.precision for way in bundle.ways() if way.runtime == "openvino" and way.absent] == [
        *RUNTIMES["openvino"].precisions
    ]


def test_from_export_to_benchmark(extended, tmp_path, pictures):
    model = pvt_edge.create_model("dots", task="tone")
    bundle = pvt_edge.export_model(model, tmp_path / "dots", imgsz=(HEIGHT, WIDTH), formats=("onnx", "openvino"))
    assert (bundle.manifest.variant, bundle.manifest.task) == ("dots", "tone")
    assert bundle.manifest.agreement.metrics["openvino-fp32"]["tone_error"] < 1e-3
    with pvt_edge.load(bundle.folder, precision="fp32") as predictor:
        (result, *_) = predictor(pictures)
    assert result.features["tone"] == pytest.approx(result.image.mean(axis=(0, 1)), abs=1e-2)
    assert pvt_edge.verify(bundle.folder, images=pictures)
    options = Options(
        choice=Choice(runtimes=("openvino", "onnx-reference"), precisions=("fp32",)),
        duration_s=0.03,
        warmup_s=0.0,
        least_rounds=3,
        percentiles=(50, 90),
        cold_start=False,
        roofline=False,
        layers=False,
    )
    measured = run_benchmark(bundle, options, command="benchmark dots")
    names = [row.name for row in measured.benchmark.rows if row.status == "measured"]
    assert sorted(names) == ["onnx-reference fp32", "openvino fp32"]


def test_a_family_of_ones_own_classifies(extended, tmp_path, pictures):
    model = pvt_edge.create_model("dots", num_classes=4)
    pvt_edge.save_weights(model, tmp_path / "dots.safetensors")
    bundle = pvt_edge.export_model(model, tmp_path / "dots", imgsz=64, formats=("onnx",))
    with pvt_edge.load(bundle.folder) as predictor:
        assert len(predictor(pictures)) == 3


def test_without_them_the_bundle_is_refused(tmp_path):
    with pytest.raises(BundleError, match="unknown task 'tone'"):
        read_bundle(write_tone(tmp_path / "tone"))
