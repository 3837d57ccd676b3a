"""The adapter against the real bindings of every generation of TensorRT 10 and 11, and its refusals."""

import json
import os
import platform
import shutil
import subprocess
import sys
import zipfile

import pytest

from pvt_edge.errors import RuntimeMissingError
from pvt_edge.runtimes.tensorrt_library import REQUIRED, how_to_install, load_library

# What is used where it is there: building for another GPU, and engines for all GPUs of one capability.
OPTIONAL = (
    "ComputeCapability",
    "HardwareCompatibilityLevel.SAME_COMPUTE_CAPABILITY",
    "IBuilderConfig.num_compute_capabilities",
    "IBuilderConfig.set_compute_capability",
)
# the wheel of each, and which of OPTIONAL it has
HAS_SAME_CC = "HardwareCompatibilityLevel.SAME_COMPUTE_CAPABILITY"
VERSIONS = {
    "10.0.1": ("tensorrt-cu12-bindings", set()),
    "10.3.0": ("tensorrt-cu12-bindings", set()),
    "10.7.0": ("tensorrt-cu12-bindings", set()),
    "10.13.3.9": ("tensorrt-cu13-bindings", {HAS_SAME_CC}),
    "10.16.1.11": ("tensorrt-cu13-bindings", {HAS_SAME_CC}),
    "11.0.0.114": ("tensorrt-cu13-bindings", {HAS_SAME_CC}),
    "11.2.1.2": ("tensorrt-cu13-bindings", {HAS_SAME_CC}),
    "11.4.0.106": ("tensorrt-cu13-bindings", {HAS_SAME_CC}),
}
# What the bindings want of libnvinfer, libnvonnxparser and libnvinfer_plugin before they import.
ENTRY_POINTS = (
    "createInferBuilder_INTERNAL",
    "createInferRefitter_INTERNAL",
    "createInferRuntime_INTERNAL",
    "createNvOnnxParserRefitter_INTERNAL",
    "createNvOnnxParser_INTERNAL",
    "getBuilderPluginRegistry",
    "getNvOnnxParserVersion",
    "getPluginRegistry",
    "initLibNvInferPlugins",
)
LIBRARIES = ("libnvinfer.so", "libnvonnxparser.so", "libnvinfer_plugin.so")
PROBE = f"""
import json
from pvt_edge.runtimes.tensorrt_library import load_library
library = load_library("tensorrt")
print(json.dumps({{
    "version": library.version,
    "optional": [path for path in {OPTIONAL} if library.has(path)],
    "flags": library.network_flags(),
    "typed": int(library.module.NetworkDefinitionCreationFlag.STRONGLY_TYPED),
    "nothing": library.has("BuilderFlag.NO_SUCH_FLAG"),
    "logged": bool(library.logger().messages == [] and library.logger().errors() == ""),
}}))
"""


def skip_or_fail(why):
    """In CI nothing may be left out in silence."""
    if "CI" in os.environ:
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(scope="session")
def stubs(tmp_path_factory):
    """Libraries with TensorRT's entry points and nothing in them."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        pytest.skip("the bindings' wheels here are for Linux on x86_64")
    compiler = shutil.which("cc")
    if compiler is None:
        skip_or_fail("no C compiler for the stub libraries: install gcc")
    folder = tmp_path_factory.mktemp("stubs")
    source = folder / "stub.c"
    source.write_text("\n".join(f"void *{name}(void) {{ return 0; }}" for name in ENTRY_POINTS))
    for library in LIBRARIES:
        for major in (10, 11):
            name = f"{library}.{major}"
            subprocess.run(
                [compiler, "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", folder / name, source], check=True
            )
    return folder


@pytest.fixture(scope="session")
def bindings(tmp_path_factory):
    """A folder with the module `tensorrt` of a version, for sys.path."""

    def get(version):
        folder = tmp_path_factory.mktemp(f"tensorrt-{version}")
        package, _ = VERSIONS[version]
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        done = subprocess.run(
            [*download, "--dest", folder, f"{package}=={version}"], capture_output=True, text=True, check=False
        )
        wheels = list(folder.glob("*.whl"))
        if not wheels:
            skip_or_fail(f"{package} {version} cannot be fetched: {done.stderr.strip()[-300:]}")
        zipfile.ZipFile(wheels[0]).extractall(folder)
        (folder / "tensorrt").mkdir()
        code = "from tensorrt_bindings import *\nfrom tensorrt_bindings import __version__\n"
        (folder / "tensorrt" / "__init__.py").write_text(code)
        return folder

    return get


def probe(folder, *, libraries=None, script=PROBE):
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "LD_LIBRARY_PATH": str(libraries or "")}
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd="/", env=environment, check=False
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_real_bindings_have_all_that_is_used(version, stubs, bindings):
    """`load_library` refuses a module that lacks one of REQUIRED, by name."""
    done = probe(bindings(version), libraries=stubs)
    assert done.returncode == 0, done.stderr[-600:]
    told = json.loads(done.stdout)
    assert version.startswith(told["version"]) or told["version"].startswith(version)
    assert told["flags"] == 1 << told["typed"]
    assert (told["nothing"], told["logged"]) == (False, True)
    assert set(told["optional"]) == VERSIONS[version][1]


def test_tensorrt_rtx_has_all_that_is_used():
    pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")
    library = load_library("tensorrt-rtx")
    assert all(library.has(path) for path in (*REQUIRED, *OPTIONAL))
    assert set(library.targets()) >= {"sm75", "sm80", "sm86", "sm89", "sm120"}
    assert "sm90" not in library.targets()


def fake(folder, code):
    (folder / "tensorrt").mkdir()
    (folder / "tensorrt" / "__init__.py").write_text(code)
    return folder


LOAD = "from pvt_edge.runtimes.tensorrt_library import load_library; load_library('tensorrt')"


@pytest.mark.parametrize("version", ["8.5.2.2", "8.6.2", "9.3.0"])
def test_old_ones_are_refused_by_name(version, tmp_path):
    done = probe(fake(tmp_path, f"__version__ = {version!r}"), script=LOAD)
    told = done.stderr.splitlines()[-1]
    assert f"TensorRT {version} is too old" in told
    assert "JetPack 6.1 or newer" in told


def test_a_future_one_that_lacks_something(tmp_path):
    done = probe(fake(tmp_path, "__version__ = '12.0.0'"), script=LOAD)
    told = done.stderr.splitlines()[-1]
    assert "tensorrt 12.0.0 has no Builder.create_network, " in told
    assert told.endswith("use TensorRT 10.0 to 11.x")


def test_one_that_does_not_import(tmp_path):
    done = probe(fake(tmp_path, "raise OSError('libnvinfer.so.10: cannot open shared object file')"), script=LOAD)
    told = done.stderr.splitlines()[-1]
    assert "tensorrt is installed but does not import (libnvinfer.so.10: cannot open" in told


def test_absent(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(RuntimeMissingError, match=r"tensorrt is not installed: pip install \"pvt-edge\[tensorrt\]\""):
        load_library("tensorrt")


@pytest.mark.parametrize(
    ("name", "machine", "mend"),
    [
        ("tensorrt", "x86_64", 'pip install "pvt-edge[tensorrt]"'),
        ("tensorrt", "aarch64", "comes with JetPack: sudo apt install tensorrt python3-libnvinfer"),
        ("tensorrt-rtx", "x86_64", 'pip install "pvt-edge[tensorrt-rtx]"'),
    ],
)
def test_how_to_install(name, machine, mend, monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert mend in how_to_install(name)
