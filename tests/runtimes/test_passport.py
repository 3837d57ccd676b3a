"""Whether an engine may run here, by its passport."""

import json

import pytest

from pvt_edge.errors import BundleError
from pvt_edge.runtimes.cuda import CudaDevice
from pvt_edge.runtimes.passport import batches_of, differences, here, sidecar
from pvt_edge.runtimes.tensorrt_library import TensorRtLibrary

ORIN = CudaDevice(0, "Orin", "8.7", True, 32 << 30, "540.4.0", "12.6")
LIBRARY = TensorRtLibrary("tensorrt", None, "10.3.0")
MACHINE = here(ORIN, LIBRARY)
PASSPORT = {**MACHINE, "hardware_compat": "none", "version_compatible": "no", "target": "", "precision": "fp16"}
DESKTOP = {**MACHINE, "gpu": "RTX 4090", "compute_capability": "8.9", "integrated": "no"}


def test_what_this_machine_fills_in():
    assert {
        "library": "tensorrt",
        "version": "10.3.0",
        "compute_capability": "8.7",
        "gpu": "Orin",
        "driver": "540.4.0",
        "cuda": "12.6",
        "integrated": "yes",
        "platform": MACHINE["platform"],
    } == MACHINE
    assert MACHINE["platform"].startswith("linux ")
    assert here(None, LIBRARY)["gpu"] == ""


@pytest.mark.parametrize(
    ("passport", "machine", "told"),
    [
        ({}, {}, []),
        ({}, {"driver": "999"}, []),  # information only
        ({}, {"cuda": "12.9"}, []),
        ({}, {"cuda": "13.0"}, ["CUDA: built with 12.6, here 13.0"]),
        ({}, {"version": "10.3.1"}, ["TensorRT: built with 10.3.0, here 10.3.1"]),
        ({"version_compatible": "yes"}, {"version": "10.13.2"}, []),
        ({"version_compatible": "yes"}, {"version": "10.2.0"}, ["TensorRT: built with 10.3.0, here 10.2.0"]),
        ({"version_compatible": "yes"}, {"version": "11.0.0"}, ["TensorRT: built with 10.3.0, here 11.0.0"]),
        ({}, {"platform": "windows amd64"}, [f"platform: built for {MACHINE['platform']}, here windows amd64"]),
        ({}, {"compute_capability": "11.0"}, ["compute capability: built for 8.7, here 11.0"]),
        ({}, {"gpu": "Orin NX"}, ["GPU: built on Orin, here Orin NX"]),
        ({"hardware_compat": "same-cc"}, {"gpu": "Orin NX"}, []),
        (
            {"hardware_compat": "same-cc"},
            {"compute_capability": "8.9"},
            ["compute capability: built for 8.7, here 8.9"],
        ),
        ({"library": "tensorrt-rtx"}, {}, ["library: built for tensorrt-rtx, here tensorrt"]),
        ({"target": "sm86,sm87"}, {"gpu": "any", "cuda": "13.0"}, []),
        ({"target": "sm86,sm89"}, {}, ["GPU: built for sm86,sm89, here sm87"]),
    ],
)  # fmt: skip
def test_differences(passport, machine, told):
    assert differences(PASSPORT | passport, MACHINE | machine) == told


def test_ampere_and_up_is_for_desktops():
    built = PASSPORT | {"gpu": "RTX 3060", "compute_capability": "8.6", "hardware_compat": "ampere+"}
    assert differences(built, DESKTOP) == []
    assert differences(built, MACHINE) == ["compute capability: built for 8.6 and up, here 8.7"]
    old = DESKTOP | {"compute_capability": "7.5"}
    assert differences(built, old) == ["compute capability: built for 8.6 and up, here 7.5"]


def test_an_empty_passport_fits_nowhere():
    assert differences({}, MACHINE)


def test_sidecar(tmp_path):
    engine = tmp_path / "tensorrt" / "fp16.engine"
    engine.parent.mkdir()
    engine.write_bytes(b"")
    assert sidecar(engine) is None
    artifacts = [{"file": "tensorrt/fp16.engine", "sha256": "ab", "passport": PASSPORT}]
    (tmp_path / "model.json").write_text(json.dumps({"artifacts": artifacts}))
    assert sidecar(engine) == ("ab", PASSPORT)
    (tmp_path / "model.json").write_text("{")
    with pytest.raises(BundleError, match="export the bundle again, or move the engine out of it"):
        sidecar(engine)


def test_batches():
    assert batches_of({"profile": "1/4/8"}) == (1, 4, 8)
    assert batches_of({"profile": "static"}) is None
    assert batches_of({}) is None
