"""The table of runtimes: names, what is missing, and that nothing heavy is imported for it."""

import subprocess
import sys

import numpy as np
import pytest

from pvt_edge.errors import RuntimeInputError, RuntimeMissingError, UnknownNameError
from pvt_edge.runtimes import RUNTIMES, bundled_runtimes, missing, open_runtime
from pvt_edge.runtimes.session import Session
from pvt_edge.runtimes.table import PRECISIONS, check_threads


@pytest.mark.parametrize("name", RUNTIMES)
def test_every_entry_leads_to_its_class(name):
    entry = RUNTIMES[name]
    assert issubclass(entry.opener, Session)
    assert {*entry.auto_precisions, *entry.rounds} <= {*entry.precisions} <= {*PRECISIONS}


def test_auto_tries_gpus_first_and_opencv_last():
    assert bundled_runtimes() == ("tensorrt", "tensorrt-rtx", "openvino", "onnxruntime", "opencv")


def test_unknown_names_suggest_the_nearest():
    for call in (missing, lambda name: open_runtime(name, "model.xml")):
        with pytest.raises(UnknownNameError, match="unknown runtime 'openvno': did you mean 'openvino'"):
            call("openvno")


def test_precision_the_runtime_does_not_take():
    with pytest.raises(RuntimeInputError, match=r"the torch runtime takes precision auto, fp32.*got int8"):
        open_runtime("torch", "model.pt2", precision="int8")


@pytest.mark.parametrize("threads", ["2", True, 2.0, 0, -1, 1025, 10**12])
def test_threads_that_are_no_count(threads):
    told = f"threads must be at least 1 and at most 1024, a whole number, or None .*; got {threads!r}$"
    with pytest.raises(RuntimeInputError, match=told):
        check_threads(threads)


@pytest.mark.parametrize("threads", [None, 1, 1024, np.int64(2)])
def test_threads_that_are_a_count(threads):
    check_threads(threads)


@pytest.mark.parametrize("name", RUNTIMES)
def test_missing_package(name, monkeypatch, tmp_path):
    entry = RUNTIMES[name]
    monkeypatch.setitem(sys.modules, entry.packages[0], None)  # as Python marks what cannot be imported
    told = f'the {name} runtime needs {entry.packages[0]}: pip install "pvt-edge[{entry.extra}]"'
    assert missing(name) == told
    with pytest.raises(RuntimeMissingError) as caught:
        open_runtime(name, tmp_path / "model")
    assert str(caught.value) == told


def test_a_bundles_folder_is_no_package(monkeypatch, tmp_path):
    (tmp_path / "openvino").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "openvino", raising=False)
    assert missing("openvino") is not None


def test_package_that_does_not_import(tmp_path):
    (tmp_path / "openvino").mkdir()
    (tmp_path / "openvino" / "__init__.py").write_text("raise OSError('libopenvino.so: wrong ELF class')")
    script = "from pvt_edge.runtimes import open_runtime; open_runtime('openvino', 'model.xml')"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {script}"],
        capture_output=True,
        text=True,
        cwd="/",  # not the checkout, whose pvt_edge folder is not the whole package
    )
    told = done.stderr.splitlines()[-1]
    assert "RuntimeMissingError: openvino is installed but does not import (libopenvino.so: wrong ELF" in told
    assert told.endswith('pip install --force-reinstall "pvt-edge[openvino]"')


def test_nothing_heavy_is_imported():
    script = (
        "import sys, pvt_edge.runtimes as r; [r.missing(name) for name in r.RUNTIMES];"
        "[__import__(e.module) for e in r.RUNTIMES.values()];"
        "print([m for m in ('torch', 'onnxruntime', 'openvino', 'onnx', 'cv2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout.strip() == "[]"
