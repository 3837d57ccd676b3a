"""Segmenters, which end in bytes: TensorRT-RTX builds them."""

from dataclasses import replace

import onnx
import pytest

from pvt_edge.engines.engine import build_engine
from pvt_edge.export.graph import DeployGraph
from pvt_edge.export.onnx import export_onnx
from pvt_edge.export.precision.judge import AgreementJudge
from pvt_edge.export.precision.tensorrt import TensorRtGraphs
from pvt_edge.options.build import BuildOptions
from pvt_edge.variants import get_variant

from ..made import build, pictures

TINY = replace(get_variant("b0"), depths=(1, 1, 1, 1))


@pytest.mark.parametrize(("head", "classes"), [("lite:16", 1), ("upernet:16", 4)])
def test_segmenters_build(head, classes, tmp_path, rtx):
    seen = tuple(pictures(2, 64, 96))
    export_onnx(DeployGraph(build("segment", TINY, classes, head), (64, 96), target="tensorrt"), tmp_path / "fp32.onnx")
    judge = AgreementJudge(seen[:1], "segment", None, "a scene")
    graphs = TensorRtGraphs(tmp_path / "fp32.onnx", judge, seen, pictures="scenes", budget=None)
    _, placed = graphs.int8(None, lambda text: None)
    for name, graph in (("fp16", graphs.half), ("int8", placed.model)):
        onnx.save(graph, tmp_path / f"{name}.onnx")
        engine = build_engine(tmp_path / f"{name}.onnx", rtx, BuildOptions(target=("sm86",)))
        assert engine.plan
