"""Graphs for TensorRT of the models people deploy, and what TensorRT-RTX builds of them; made once a session."""

from functools import lru_cache

import onnx
import pytest

pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")

from pvt_edge.engines.engine import build_engine
from pvt_edge.engines.layer_list import read_layers
from pvt_edge.export.graph import DeployGraph
from pvt_edge.export.onnx import export_onnx
from pvt_edge.export.precision.judge import AgreementJudge
from pvt_edge.export.precision.tensorrt import TensorRtGraphs
from pvt_edge.options.build import BuildOptions
from pvt_edge.runtimes.tensorrt_library import load_library
from pvt_edge.scenes import draw_scene
from pvt_edge.zoo import create_model

from ..made import randomise

MODELS = {  # variant, task, weights, image
    "b0": ("b0", "classify", None, (224, 224)),
    "b2": ("b2", "classify", None, (224, 224)),
    "cells": ("b0", "detect", "cells", (480, 640)),
    "retinanet": ("b0", "detect", None, (640, 640)),
    "b2-li": ("b2-li", "classify", None, (224, 224)),
    "untrained": ("b0", "classify", None, (224, 224)),
    "v1": ("v1-tiny", "classify", None, (224, 224)),
}
PICTURES = 4


@pytest.fixture(scope="session")
def rtx():
    return load_library("tensorrt-rtx")


@pytest.fixture(scope="session")
def graph_files(tmp_path_factory):
    """The FP16 and INT8 files of a model of `MODELS`."""

    @lru_cache
    def make(name):
        variant, task, weights, imgsz = MODELS[name]
        model = create_model(variant, task, weights=weights)
        if weights is None and name != "untrained":
            randomise(model)
        folder = tmp_path_factory.mktemp(name)
        export_onnx(DeployGraph(model, imgsz, target="tensorrt"), folder / "fp32.onnx")
        pictures = tuple(draw_scene(700 + i, *imgsz).image[None] for i in range(PICTURES))
        graphs = TensorRtGraphs(
            folder / "fp32.onnx",
            AgreementJudge(pictures[:1], task, None, "a scene"),
            pictures,
            pictures="scenes",
            budget=None,
        )
        onnx.save(graphs.half, folder / "fp16.onnx")
        _, placed = graphs.int8(None, lambda text: None)
        onnx.save(placed.model, folder / "int8.onnx")
        return {precision: folder / f"{precision}.onnx" for precision in ("fp32", "fp16", "int8")}

    return make


@pytest.fixture(scope="session")
def built(graph_files, rtx):
    """(engine, kernels) of a model in a precision for a GPU."""

    @lru_cache
    def build(name, precision, target):
        engine = build_engine(graph_files(name)[precision], rtx, BuildOptions(target=(target,)))
        return engine, read_layers(engine.messages)

    return build
