"""CUDA through the real cuda-python, as far as a machine without a GPU can: every call is there, and its words."""

import os
import re
import subprocess
import sys

import pytest

from pvt_edge.errors import RuntimeMissingError
from pvt_edge.runtimes import cuda

# every function of cuda.bindings.runtime that is called -> how many arguments it is given
CALLS = {
    "cudaDriverGetVersion": 0,
    "cudaEventCreate": 0,
    "cudaEventDestroy": 1,
    "cudaEventElapsedTime": 2,
    "cudaEventRecord": 2,
    "cudaFree": 1,
    "cudaFreeHost": 1,
    "cudaGetDeviceCount": 0,
    "cudaGetDeviceProperties": 1,
    "cudaGetErrorString": 1,
    "cudaGraphDestroy": 1,
    "cudaGraphExecDestroy": 1,
    "cudaGraphInstantiate": 2,
    "cudaGraphLaunch": 2,
    "cudaHostAlloc": 2,
    "cudaHostGetDevicePointer": 2,
    "cudaMalloc": 1,
    "cudaMemcpyAsync": 5,
    "cudaRuntimeGetVersion": 0,
    "cudaSetDevice": 1,
    "cudaStreamBeginCapture": 2,
    "cudaStreamCreateWithFlags": 1,
    "cudaStreamDestroy": 1,
    "cudaStreamEndCapture": 1,
    "cudaStreamSynchronize": 1,
}
PROBE = f"""
import re, sys
from cuda.bindings import runtime
for name, count in {CALLS!r}.items():
    signature = getattr(runtime, name).__doc__.splitlines()[0]
    given = [part for part in re.search(r"\\((.*)\\)", signature)[1].split(",") if part.strip()]
    assert len(given) == count, signature
assert runtime.cudaMemcpyKind.cudaMemcpyHostToDevice != runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
assert runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal is not None
for name, value in (("cudaHostAllocMapped", 2), ("cudaHostAllocDefault", 0), ("cudaStreamNonBlocking", 1)):
    assert int(getattr(runtime, name)) == value, name
for field in ("name", "major", "minor", "integrated", "totalGlobalMem"):
    assert hasattr(runtime.cudaDeviceProp(), field), field
from pvt_edge.runtimes.cuda import probe_cuda
try:
    print("GPU", probe_cuda().name)
except Exception as error:
    print(type(error).__name__, error)
"""


def test_the_list_of_calls_is_whole(checkout):
    """What runtimes call is what is checked against the real packages below."""
    source = "".join((checkout / "runtimes" / name).read_text() for name in ("cuda.py", "tensorrt.py"))
    called = set(re.findall(r"(?:cuda|bindings\(\))\.(cuda[A-Z]\w+)", source))
    constants = {"cudaHostAllocMapped", "cudaHostAllocDefault", "cudaStreamNonBlocking"}
    assert called - constants - {"cudaMemcpyKind", "cudaStreamCaptureMode"} == set(CALLS)


@pytest.mark.parametrize("version", ["12.9.5", "13.0.3", "13.5.0"])
def test_real_packages(version, tmp_path):
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--target", tmp_path, f"cuda-bindings=={version}"]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if not (tmp_path / "cuda").is_dir():
        why = f"cuda-bindings {version} cannot be fetched: {done.stderr.strip()[-300:]}"
        if "CI" in os.environ:
            pytest.fail(why)
        pytest.skip(why)
    # before site-packages, which has a `cuda` of its own
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        capture_output=True,
        text=True,
        cwd="/",
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-600:]
    assert re.match(r"GPU |RuntimeMissingError there is no NVIDIA driver here: install NVIDIA's driver", done.stdout)


def test_without_cuda_python(monkeypatch):
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    with pytest.raises(
        RuntimeMissingError, match=r"needs cuda-python, which is not installed: pip install .*JetPack 6"
    ):
        cuda.probe_cuda()


@pytest.mark.parametrize(("number", "text"), [(12060, "12.6"), (13000, "13.0"), (0, "0.0"), (11040, "11.4")])
def test_version(number, text):
    assert cuda._version(number) == text
