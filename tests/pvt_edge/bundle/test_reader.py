"""Reading: everything in the folder is distrusted until it is checked."""

import json
import subprocess
import sys

import pytest

import pvt_edge.bundle
from pvt_edge.bundle import BundleWriter, find, read_bundle
from pvt_edge.errors import UnknownNameError

from .made import FILES, content, edit, refusal, write


def test_round_trip(folder):
    written = write(folder, "new")
    bundle = read_bundle(folder)
    assert bundle == written
    assert bundle.folder == folder.resolve()
    assert bundle.manifest.labels == ("cat", "dog")
    assert bundle.path(bundle.artifact("onnxruntime", "fp32")) == folder / "model.fp32.onnx"
    assert bundle.artifact("openvino", "fp32").companions[0].file == "openvino/fp32.bin"
    assert sorted(p.name for p in folder.iterdir()) == ["model.fp32.onnx", "model.json", "openvino"]


def test_find_takes_a_folder_or_a_bundle(bundle, folder):
    assert find(bundle) is bundle
    assert find(str(folder)) == bundle


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_openvino_fp32_serves_what_it_can_round_to(bundle, precision):
    assert bundle.artifact("openvino", precision).file == "openvino/fp32.xml"


@pytest.mark.parametrize(
    ("runtime", "precision"), [("openvino", "int8"), ("onnxruntime", "fp16"), ("tensorrt", "fp16")]
)
def test_artifact_that_is_not_there(bundle, runtime, precision):
    told = refusal(bundle.artifact, runtime, precision)
    assert f"has no {runtime} {precision}: it has onnxruntime fp32, openvino fp32;" in told


def test_names_that_do_not_exist(bundle):
    with pytest.raises(UnknownNameError, match="unknown runtime 'openvin': did you mean 'openvino'"):
        bundle.artifact("openvin", "fp32")
    with pytest.raises(UnknownNameError, match="unknown precision 'int4': did you mean 'int8'"):
        bundle.artifact("openvino", "int4")


def test_no_bundle(tmp_path):
    assert "no bundle at" in refusal(read_bundle, tmp_path / "gone")
    assert "holds no model.json" in refusal(read_bundle, tmp_path)
    (tmp_path / "file").touch()
    assert "is a file, not a bundle: give the folder" in refusal(read_bundle, tmp_path / "file")
    (tmp_path / "model.json").mkdir()
    assert "cannot read" in refusal(read_bundle, tmp_path)


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000],
    ids=["empty", "cut", "bytes", "deep"],
)
def test_broken_json(bundle, folder, text):
    (folder / "model.json").write_bytes(text)
    assert "model.json is not JSON (" in refusal(read_bundle, folder)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {"schema_version": 3, "artifacts": "what newer ones have"},
            "written by a newer pvt-edge (schema 3, this one reads 2): upgrade",
        ),
        ({"schema_version": None}, "schema_version: Input should be 2"),
        ({"variant": 7}, "variant: Input should be a valid string"),
        ({"surprise": 1}, "surprise: Extra inputs are not permitted"),
        ({"input": {"height": 8, "width": 224}}, "input.height: Input should be greater than or equal to 32"),
        ({"variant": 7, "labels": 3}, "(and 1 more)"),
        ({"task": "sing"}, "unknown task 'sing'"),
    ],
)
def test_wrong_fields(bundle, folder, fields, told):
    edit(folder, **fields)
    assert told in refusal(read_bundle, folder)


@pytest.mark.parametrize("text", ["[]", "null", "{}"])
def test_json_of_another_kind(bundle, folder, text):
    (folder / "model.json").write_text(text)
    assert "model.json is wrong: " in refusal(read_bundle, folder)


@pytest.mark.parametrize("file", FILES)
def test_edited_files_are_seen_at_first_use(bundle, folder, file):
    size = (folder / file).stat().st_size
    (folder / file).write_text("x" * size)
    opened = read_bundle(folder)
    artifact = opened.artifact("openvino" if "openvino" in file else "onnxruntime", "fp32")
    told = refusal(opened.path, artifact)
    assert f"{file} was edited: sha256 is " in told
    assert told.endswith("export again")
    (folder / file).write_text("x" * (size + 1))
    assert f"was edited: it has {size + 1} bytes, model.json says {size};" in refusal(opened.path, artifact)


@pytest.mark.parametrize("file", FILES)
def test_missing_files(bundle, folder, file):
    (folder / file).unlink()
    assert f"{file} is missing; copy the whole folder" in refusal(read_bundle, folder)
    artifact = bundle.artifact("openvino" if "openvino" in file else "onnxruntime", "fp32")
    assert "is missing" in refusal(bundle.path, artifact)


ESCAPES = [
    "/etc/hostname",
    "../secret",
    "openvino/../../secret",
    "..",
    ".",
    "",
    "C:\\x",
    "C:x",
    "a\\b",
    "a\0b",
]


@pytest.mark.parametrize("file", ESCAPES)
@pytest.mark.parametrize("companion", [False, True])
def test_paths_that_leave_the_folder(bundle, folder, file, companion):
    (folder.parent / "secret").touch()
    rows = json.loads((folder / "model.json").read_text())["artifacts"]
    (rows[1]["companions"][0] if companion else rows[1])["file"] = file
    edit(folder, artifacts=rows)
    assert "does not lie inside the bundle" in refusal(read_bundle, folder)


@pytest.mark.parametrize("file", ESCAPES)
def test_the_writer_writes_nowhere_else(folder, file):
    with BundleWriter(folder) as writer:
        assert "does not lie inside the bundle" in refusal(writer.path, file)


@pytest.mark.parametrize("linked", ["model.fp32.onnx", "openvino"])
def test_links_out_of_the_folder(bundle, folder, linked):
    outside = folder.parent / "outside"
    (folder / linked).rename(outside)
    (folder / linked).symlink_to(outside)
    assert "is a link out of the bundle" in refusal(read_bundle, folder)
    assert "is a link out of the bundle" in refusal(
        bundle.path, bundle.manifest.artifacts[0 if "onnx" in linked else 1]
    )


def test_links_in_a_circle(bundle, folder):
    (folder / FILES[0]).unlink()
    (folder / FILES[0]).symlink_to(FILES[0])
    assert FILES[0] in refusal(read_bundle, folder)


def test_links_inside_the_folder_and_to_it(bundle, folder, tmp_path):
    (folder / "model.fp32.onnx").rename(folder / "real.onnx")
    (folder / "model.fp32.onnx").symlink_to("real.onnx")
    (tmp_path / "link").symlink_to(folder)
    assert content(tmp_path / "link") == "old"


def test_a_very_long_name(bundle, folder):
    rows = json.loads((folder / "model.json").read_text())["artifacts"]
    edit(folder, artifacts=[{**rows[0], "file": "x" * 5000}])
    assert "is missing" in refusal(read_bundle, folder)


def test_importing_the_package_is_light():
    script = "import sys, pvt_edge.bundle as b; print('pydantic' in sys.modules, b.read_bundle.__name__)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout == "False read_bundle\n"
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = pvt_edge.bundle.nothing
