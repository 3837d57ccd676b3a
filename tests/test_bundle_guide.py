"""docs/bundle.md: its Python finds what pvt-edge finds, its configurations tell the truth of the `cells` bundle."""

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

import pvt_edge
from pvt_edge.runtimes.onnx_file import read_onnx
from pvt_edge.scenes import draw_scene

TEXT = (Path(__file__).resolve().parents[1] / "docs" / "bundle.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
RESIZE, ORT, OPENVINO, OPENCV, SELECT = (code for language, code in BLOCKS if language == "python")
TRITON_DTYPES = {"uint8": "TYPE_UINT8", "float32": "TYPE_FP32", "int64": "TYPE_INT64"}


def block(language: str, word: str) -> str:
    (found,) = [code for kind, code in BLOCKS if kind == language and word in code]
    return found


@pytest.fixture
def place(cells_bundle, tmp_path, monkeypatch):
    """A folder with the bundle and the picture that the page speaks of."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b0-detect").symlink_to(cells_bundle)
    cv2.imwrite(str(tmp_path / "picture.png"), draw_scene(5, 333, 500).image)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("runtime", "code"), [("onnxruntime", ORT), ("openvino", OPENVINO), ("opencv", OPENCV)])
def test_the_python_finds_what_we_find(place, runtime, code):
    found: dict[str, object] = {}
    for part in (RESIZE, code, SELECT):
        exec(compile(part, "docs/bundle.md", "exec"), found)
    with pvt_edge.load("out/b0-detect", runtime=runtime, precision="fp32") as predictor:
        ours = predictor(cv2.imread("picture.png"))
    assert len(ours.boxes) > 5
    np.testing.assert_allclose(found["boxes"], ours.boxes.xyxy, rtol=0, atol=0.02)
    np.testing.assert_allclose(found["scores"], ours.boxes.conf, rtol=0, atol=1e-4)
    assert found["names"] == [ours.names[int(number)] for number in ours.boxes.cls]


def test_triton_is_told_the_graphs_own_ports(cells_bundle):
    config = block("protobuf", "backend")
    told = re.findall(r'name: "(\w+)" data_type: (\w+) dims: \[ ([\d, ]+) \]', config)
    graph = read_onnx(cells_bundle / "model.fp32.onnx")
    assert told == [
        (port.name, TRITON_DTYPES[port.dtype], ", ".join(map(str, port.shape)))
        for port in (*graph.inputs, *graph.outputs)
    ]


def test_deepstream_is_told_the_bundles_input(cells_bundle):
    spec = json.loads((cells_bundle / "model.json").read_text())["input"]
    config = dict(line.split("=") for line in block("ini", "network-input-shape").splitlines() if "=" in line)
    assert config["network-input-shape"] == f"1;{spec['height']};{spec['width']};3"
    assert (config["processing-height"], config["processing-width"]) == (str(spec["height"]), str(spec["width"]))
    assert config["tensor-name"] == spec["name"]


def test_the_bundle_holds_the_files_told_of(cells_bundle):
    tree = block("text", "model.json")
    told = {
        name for line in tree.splitlines()[1:] for name in re.findall(r"[\w./]*\w\.(?:json|onnx|xml|md)", line[:32])
    }
    there = {str(path.relative_to(cells_bundle)) for path in cells_bundle.rglob("*") if path.is_file()}
    # with --format tensorrt, and with approximations, which this bundle has none of
    assert told - there == {"model.fp16.onnx", "model.approx.onnx", "openvino/approx.xml"}


def test_links_lead_somewhere():
    for name in re.findall(r"\b([a-z]+\.md)\b", TEXT):
        if name != "report.md":
            assert (Path(__file__).resolve().parents[1] / "docs" / name).is_file(), name
