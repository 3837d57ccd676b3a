"""A fresh process tells its times and its peak, or what it died of."""

import stat
import sys
from dataclasses import replace

import pytest

from pvt_edge.benchmarks import cold_start
from pvt_edge.benchmarks.cold_start import ColdStartError, measure_cold_start
from pvt_edge.benchmarks.opening import Opening


@pytest.fixture
def opening(cells_bundle):
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    return Opening("onnxruntime", "fp32", "images", (1, 480, 640, 3), path=str(cells_bundle / "model.fp32.onnx"))


def test_times_and_memory(opening):
    ballast = bytearray(600 << 20)  # this process's peak is no part of the other's
    for i in range(0, len(ballast), 4096):
        ballast[i] = 1
    found = measure_cold_start(opening)
    assert min(found.import_ms, found.load_ms, found.first_ms) > 0
    assert found.total_ms == found.import_ms + found.load_ms + found.first_ms
    assert found.idle_rss_mib < 150 < found.peak_rss_mib
    assert found.peak_rss_mib < 600 < cold_start.peak_rss_mib()
    assert found.vram_mib is None


def test_what_the_runtime_says_is_told(opening, tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"nothing")
    with pytest.raises(ColdStartError, match=r"cannot load .*broken\.onnx"):
        measure_cold_start(replace(opening, path=str(broken)))
    with pytest.raises(ColdStartError, match="no model file at"):
        measure_cold_start(replace(opening, path=str(tmp_path / "absent.onnx")))


def test_a_path_that_is_not_utf8(opening):
    with pytest.raises(ColdStartError, match="no model file at "):
        measure_cold_start(replace(opening, path="/nowhere/caf\udce9.onnx"))


DEATHS = {
    "kill -SEGV $$": "its process was killed by SIGSEGV",
    "kill -40 $$": "its process was killed by signal 40",
    "echo one >&2; echo no such GPU >&2; exit 3": "its process ended with 3: no such GPU",
    r"printf 'no caf\351' >&2; exit 3": "its process ended with 3: no caf\ufffd",
}


@pytest.mark.parametrize(
    ("last_words", "told"), DEATHS.items(), ids=["killed", "killed by a nameless signal", "ended", "in latin-1"]
)
def test_a_process_that_dies(opening, last_words, told, tmp_path, monkeypatch):
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\ncat > /dev/null\n{last_words}\n")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(ColdStartError, match=told):
        measure_cold_start(opening)
