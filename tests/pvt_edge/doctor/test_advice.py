"""Every line of the table of known-bad combinations, on machines that have it and on one that has none."""

from dataclasses import replace

import pytest

from pvt_edge.doctor.examination import RULES, Examination, advise
from pvt_edge.doctor.facts import Device, Facts, Verdict
from pvt_edge.machine.cpu import Cpu
from pvt_edge.machine.installed import OpenCvBuild, Package
from pvt_edge.machine.nvidia import Gpu, Jetson
from pvt_edge.machine.system import System

SYSTEM = System("Debian 12, Linux 6.1", "x86_64", "3.11.7", "0.1.0", virtual_environment=True)
CPU = Cpu("EPYC", "x86_64", 8, None, ("AVX2", "AVX-512 VNNI"), "performance")
BUILD = OpenCvBuild("5.0.0", "cv2.so", ("FFMPEG", "V4L2"), "QT5")
ONNXRUNTIME = Verdict("onnxruntime", True, "1.2", (Device("cpu", "", ("fp32", "int8")),))
GOOD = Facts(SYSTEM, CPU, (ONNXRUNTIME,), opencv=BUILD, packages={"opencv-python": Package("5.0")})
ORIN = Jetson("Orin Nano", "36.4.3", "6.2", "MAXN_SUPER")
L4 = Gpu("NVIDIA L4", "8.9", 23034, "550.54", "12.4")
SYSTEM_OPENCV = {"opencv": replace(BUILD, backends=("FFMPEG", "GStreamer", "V4L2")), "packages": {}}


def packages(**versions):
    return {name.replace("_", "-"): Package(version) for name, version in versions.items()}


# id of the rule, the facts that differ from those of a good machine, what is said
CASES = [
    ("opencv-absent", {"opencv": None, "packages": {}}, 'pip install "pvt-edge[opencv]"'),
    ("opencv-two-wheels", {"packages": packages(opencv_python="5.0", opencv_python_headless="4.9")},
     "opencv-python and opencv-python-headless are installed together"),
    ("opencv-two-wheels", {"packages": packages(opencv_contrib_python="5.0", opencv_python="5.0")},
     "pip uninstall -y opencv-python opencv-contrib-python, then"),
    ("opencv-numpy", {"opencv": None, "opencv_failure": "AttributeError: _ARRAY_API not found"}, "numpy<2"),
    ("opencv-numpy", {"opencv": None, "opencv_failure": "ImportError: numpy.core.multiarray failed to import"},
     "compiled for another NumPy"),
    ("opencv-broken", {"opencv": None, "opencv_failure": "ImportError: libGL.so.1: cannot open shared object file"},
     "does not import (ImportError: libGL.so.1"),
    ("jetson-pip-opencv", {"jetson": ORIN}, "pip uninstall -y opencv-python, in an environment"),
    ("jetson-no-gstreamer", {"jetson": ORIN, "packages": {}}, "built without GStreamer"),
    ("jetson-pip-tensorrt", {"jetson": ORIN, **SYSTEM_OPENCV, "packages": packages(tensorrt="10.3")},
     "pip's tensorrt hides JetPack's"),
    ("jetson-old", {"jetson": replace(ORIN, jetpack="5.1.2"), **SYSTEM_OPENCV}, "JetPack 5.1.2 brings TensorRT 8.5"),
    ("jetson-cuda-python", {"jetson": ORIN, **SYSTEM_OPENCV, "packages": packages(cuda_bindings="13.0.3")},
     'JetPack 6 has CUDA 12: pip install "cuda-python>=12,<13"'),
    ("cuda-python-driver", {"gpus": (L4,), "packages": packages(cuda_bindings="13.0.3"), "verdicts": ()},
     'pip install "cuda-python<13"'),
    ("cuda-python-driver", {"packages": packages(cuda_bindings="13.0"), "verdicts": (
        Verdict("tensorrt", False, "10", reason="the NVIDIA driver speaks CUDA 12.4, cuda-python here wants 13.0"),)},
     "wants a newer driver"),
    ("tensorrt-no-driver", {"packages": packages(tensorrt="10.3")}, "install NVIDIA's driver, or take another runtime"),
    ("tensorrt-no-driver", {"packages": packages(tensorrt_rtx="1.7"), "system": replace(SYSTEM, container="docker")},
     "start the container with --gpus all"),
    ("onnxruntime-two-wheels", {"packages": packages(onnxruntime="1.2", onnxruntime_gpu="1.2")},
     "pip uninstall -y onnxruntime onnxruntime-gpu"),
    ("onnxruntime-no-cuda", {"gpus": (L4,)}, "ONNX Runtime does not use the NVIDIA L4"),
    ("openvino-bf16", {"verdicts": (Verdict("openvino", True, "2026", (Device("cpu", "", ("fp32", "bf16")),)),)},
     "--precision fp32"),
    ("cpu-no-int8", {"cpu": replace(CPU, features=("AVX2",))}, "INT8 saves memory, hardly time"),
    ("cpu-quota", {"cpu": replace(CPU, quota=2.5)}, "may use 2.5 of the 8 cores it sees"),
    ("cpu-quota", {"cpu": replace(CPU, quota=0.5)}, "pass --threads 1"),
    ("cpu-governor", {"cpu": replace(CPU, governor="powersave")}, "(governor powersave)"),
    ("jetson-power", {"jetson": replace(ORIN, power_mode="15W"), **SYSTEM_OPENCV}, "power mode 15W"),
    ("opencv-headless", {"opencv": replace(BUILD, gui=None)}, "--show does not work"),
    ("camera-locked", {"system": replace(SYSTEM, cameras=("/dev/video0",), locked=("/dev/video0",))},
     "may not open /dev/video0: sudo usermod -aG video $USER"),
    ("wsl-cameras", {"system": replace(SYSTEM, wsl=True)}, "usbipd"),
]  # fmt: skip

# machines that are as they should be, which a rule might take for bad ones
FINE = [
    {},
    {"jetson": ORIN, **SYSTEM_OPENCV},
    {"jetson": ORIN, **SYSTEM_OPENCV, "packages": packages(cuda_bindings="12.9")},
    {"jetson": ORIN, **SYSTEM_OPENCV, "packages": {"tensorrt": Package("10.3", system=True)}, "driver": "540.4"},
    {"jetson": replace(ORIN, jetpack=None, power_mode=None), **SYSTEM_OPENCV},
    {"cpu": replace(CPU, features=None, governor=None, quota=8.0)},
    {"packages": packages(tensorrt="10.3", cuda_bindings="12.9"), "gpus": (L4,), "driver": "550", "verdicts": ()},
    {"packages": packages(tensorrt="10.3"), "driver": "550"},
    {"packages": packages(onnxruntime_gpu="1.2"), "gpus": (L4,), "verdicts": (
        replace(ONNXRUNTIME, devices=(*ONNXRUNTIME.devices, Device("cuda", "", ("fp32",)))),)},
    {"system": replace(SYSTEM, wsl=True, cameras=("/dev/video0",))},
    {"packages": packages(cuda_bindings="weird")},
]  # fmt: skip


@pytest.mark.parametrize(("rule", "changes", "said"), CASES, ids=[case[0] for case in CASES])
def test_a_bad_machine(rule, changes, said):
    found = {advice.id: f"{advice.text}: {advice.mend}" for advice in advise(replace(GOOD, **changes))}
    assert [*found] == [rule]
    assert said in found[rule]
    assert "{" not in found[rule]


@pytest.mark.parametrize("changes", FINE, ids=range(len(FINE)))
def test_a_good_machine(changes):
    assert advise(replace(GOOD, **changes)) == ()


def test_every_rule_has_a_case():
    assert {rule.id for rule in RULES} == {case[0] for case in CASES}
    assert len({rule.id for rule in RULES}) == len(RULES)


def test_the_worst_comes_first():
    facts = replace(GOOD, opencv=None, packages={}, cpu=replace(CPU, quota=2.0, governor="powersave"))
    assert [advice.level for advice in advise(facts)] == ["error", "warning", "hint"]


@pytest.mark.parametrize(
    ("verdicts", "can_run"),
    [
        ((), False),
        ((Verdict("torch", True, "2.9"),), False),  # no bundle has a file for it
        ((Verdict("torch", False, None), Verdict("openvino", True, "2026")), True),
        ((Verdict("openvino", False, "2026", reason="broken"),), False),
    ],
)
def test_whether_anything_runs(verdicts, can_run):
    assert Examination(replace(GOOD, verdicts=verdicts), ()).can_run == can_run
