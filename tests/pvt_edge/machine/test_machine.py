"""What is read of machines: files as Linux, containers and Jetsons have them, and what programs print."""

import os

import pytest

from pvt_edge.machine.cpu import Cpu, read_cpu
from pvt_edge.machine.installed import missing_of, normal, parse_build, read_packages
from pvt_edge.machine.nvidia import Gpu, parse_smi, read_driver, read_gpus, read_jetson
from pvt_edge.machine.system import read_system, run_tool

ZEN5 = (
    "processor\t: 0\nmodel name\t: AMD EPYC 9575F\nflags\t\t: fpu sse2 avx2 avx512f avx_vnni avx512_vnni avx512_bf16\n"
)
OLD = "model name\t: Intel(R) Celeron(R)\nflags\t\t: fpu sse2 avx2\n"
ORIN = "processor\t: 0\nFeatures\t: fp asimd evtstrm aes fphp asimdhp asimddp\nCPU implementer : 0x41\n"


@pytest.fixture
def root(tmp_path):
    """The function (path=text ...) -> the root of a file system with these files."""

    def make(files):
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("cpuinfo", "features", "fast_int8", "fast_bf16"),
    [
        (None, None, None, None),
        (ZEN5, ("AVX2", "AVX-512", "AVX-VNNI", "AVX-512 VNNI", "AVX-512 BF16"), True, True),
        (OLD, ("AVX2",), False, False),
        (ORIN, ("NEON", "NEON FP16", "dot product"), True, False),
        (OLD.replace("avx2", "avx2 amx_int8 amx_bf16"), ("AVX2", "AMX INT8", "AMX BF16"), True, True),
    ],
    ids=["nothing told", "Zen 5", "Celeron", "Orin", "AMX"],
)
def test_cpu_features(root, cpuinfo, features, fast_int8, fast_bf16):
    cpu = read_cpu(root({"proc/cpuinfo": cpuinfo} if cpuinfo else {}))
    assert (cpu.features, cpu.fast_int8, cpu.fast_bf16) == (features, fast_int8, fast_bf16)
    assert cpu.cores >= 1
    assert cpu.name


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, None),
        ({"sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        ({"sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        ({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "400000\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ({"sys/fs/cgroup/cpu.max": "100000 0\n"}, None),
    ],
)
def test_cpu_quota(root, files, quota):
    assert read_cpu(root(files)).quota == quota


def test_cpu_governor(root):
    folder = "sys/devices/system/cpu/cpu0/cpufreq"
    assert read_cpu(root({f"{folder}/scaling_governor": "powersave\n"})).governor == "powersave"


@pytest.mark.parametrize(
    ("files", "container", "wsl"),
    [
        ({}, None, False),
        ({".dockerenv": ""}, "docker", False),
        ({"run/.containerenv": "", ".dockerenv": ""}, "podman", False),
        ({"proc/1/cgroup": "0::/kubepods/besteffort/pod1\n"}, "kubernetes", False),
        ({"proc/1/cgroup": "1:name=systemd:/init.scope\n"}, None, False),
        ({"proc/version": "Linux version 5.15.90.1-microsoft-standard-WSL2\n"}, None, True),
    ],
)
def test_where_it_runs(root, monkeypatch, files, container, wsl):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    system = read_system(root(files))
    assert (system.container, system.wsl) == (container, wsl)
    assert system.cameras == system.locked == ()


def test_cameras(root):
    place = root({"dev/video0": "", "dev/video1": ""})
    (place / "dev/video1").chmod(0)
    system = read_system(place)
    assert [os.path.basename(path) for path in system.cameras] == ["video0", "video1"]
    expected = [] if os.geteuid() == 0 else ["video1"]  # root may open everything
    assert [os.path.basename(path) for path in system.locked] == expected


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """The function (name, shell script) that puts a program first on the path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def put(name, script):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    return put


R36 = "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: Wed Jan  8 2025\n"
MODEL = "NVIDIA Jetson Orin Nano Developer Kit\0"


@pytest.mark.parametrize(
    ("files", "dpkg", "expected"),
    [
        ({}, "exit 1", None),
        ({"proc/device-tree/model": "Raspberry Pi 5\0"}, "exit 1", None),
        ({"etc/nv_tegra_release": R36, "proc/device-tree/model": MODEL}, "printf 6.2+b77", ("36.4.3", "6.2", 6)),
        ({"etc/nv_tegra_release": R36, "proc/device-tree/model": MODEL}, "exit 1", ("36.4.3", "6", 6)),
        ({"etc/nv_tegra_release": R36.replace("36", "35")}, "exit 1", ("35.4.3", "5", 5)),
        ({"proc/device-tree/model": MODEL}, "exit 1", (None, None, None)),  # in a container without the file
        ({"etc/nv_tegra_release": "something new\n"}, "exit 1", (None, None, None)),
    ],
)
def test_jetsons(root, programs, files, dpkg, expected):
    programs("dpkg-query", dpkg)
    programs("nvpmodel", "echo 'NV Power Mode: 15W'; echo 0")
    jetson = read_jetson(root(files))
    if expected is None:
        assert jetson is None
        return
    assert (jetson.l4t, jetson.jetpack, jetson.major) == expected
    assert jetson.power_mode == "15W"


def test_programs_that_fail_or_hang(programs, monkeypatch):
    assert run_tool("no-such-program-here") is None
    programs("broken", "echo half; exit 3")
    assert run_tool("broken") is None
    programs("slow", "exec sleep 20")
    monkeypatch.setattr("pvt_edge.machine.system.PATIENCE_S", 0.2)
    assert run_tool("slow") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("NVIDIA-SMI has failed because it couldn't communicate with the driver\n", ()),
        ("NVIDIA L4, 8.9, 23034, 550.54.15\n", (Gpu("NVIDIA L4", "8.9", 23034, "550.54.15"),)),
        ("Orin (nvgpu), [N/A], [N/A], 540.4.0\n", (Gpu("Orin (nvgpu)", None, None, "540.4.0"),)),
        ("A, 8.0, 1, 5\nB, 9.0, 2, 5\n", (Gpu("A", "8.0", 1, "5"), Gpu("B", "9.0", 2, "5"))),
    ],
)
def test_nvidia_smi(text, expected):
    assert parse_smi(text) == expected


def test_cuda_is_believed_first(programs):
    programs("nvidia-smi", "echo 'NVIDIA L4, 8.9, 23034, 550.54.15'")
    assert [gpu.name for gpu in read_gpus({})] == ["NVIDIA L4"]
    assert [gpu.name for gpu in read_gpus({"gpus": []})] == ["NVIDIA L4"]
    seen = {"name": "Orin", "compute_capability": "8.7", "memory_bytes": 2**33, "driver": "540", "cuda": "12.6"}
    assert read_gpus({"gpus": [seen]}) == (Gpu("Orin", "8.7", 8192, "540", "12.6"),)


@pytest.mark.parametrize(
    ("files", "driver"),
    [
        ({}, None),
        (
            {"proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue\n"},
            "550.54.15",
        ),
        ({"sys/module/nvidia/version": "570.86.10\n"}, "570.86.10"),
        ({"proc/driver/nvidia/version": "unreadable\n"}, None),
    ],
)
def test_driver(root, files, driver):
    assert read_driver(root(files)) == driver


BUILD = """
  GUI:                           {gui}
    GTK+:                        {gtk}
    VTK support:                 NO

  Media I/O:
    ZLib:                        build (ver 1.3.1)

  Video I/O:
    FFMPEG:                      YES
      avcodec:                   YES (59.37.100)
    GStreamer:                   {gstreamer}
    v4l/v4l2:                    YES (linux/videodev2.h)

  Parallel framework:            pthreads
"""


@pytest.mark.parametrize(
    ("gui", "gtk", "gstreamer", "expected"),
    [
        ("QT5", "NO", "NO", (("FFMPEG", "V4L2"), "QT5")),
        ("NONE", "NO", "NO", (("FFMPEG", "V4L2"), None)),
        ("", "YES (ver 3.24.33)", "YES (1.20.3)", (("FFMPEG", "GStreamer", "V4L2"), "GTK+")),
        ("", "NO", "NO", (("FFMPEG", "V4L2"), None)),
        ("GTK3", "YES", "YES (1.20.3)", (("FFMPEG", "GStreamer", "V4L2"), "GTK3")),
    ],
)
def test_opencv_builds(gui, gtk, gstreamer, expected):
    build = parse_build("5.0.0", "cv2.so", BUILD.format(gui=gui, gtk=gtk, gstreamer=gstreamer))
    assert (build.backends, build.gui) == expected


def test_the_opencv_here():
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    build = parse_build(cv2.__version__, cv2.__file__, cv2.getBuildInformation())
    for name, backend in (("FFMPEG", cv2.CAP_FFMPEG), ("GStreamer", cv2.CAP_GSTREAMER), ("V4L2", cv2.CAP_V4L2)):
        assert (name in build.backends) == cv2.videoio_registry.hasBackend(backend)


def test_packages(tmp_path, monkeypatch):
    (tmp_path / "half_installed-1.0.dist-info").mkdir()
    (tmp_path / "Open_CV.Thing-2.0.dist-info").mkdir()
    (tmp_path / "Open_CV.Thing-2.0.dist-info" / "METADATA").write_text("Name: Open_CV.Thing\nVersion: 2.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = read_packages()
    assert (found["open-cv-thing"].version, found["open-cv-thing"].system) == ("2.0", False)
    assert "numpy" in found
    assert normal("A__b.-C") == "a-b-c"


REQUIRES = [
    "numpy>=1.23",
    'tomli>=2; python_version < "3.11"',
    'aiohttp>=3.9; extra == "serve"',
    'prometheus-client>=0.20; extra == "serve"',
    'tensorrt<12,>=10; platform_machine == "x86_64" and extra == "tensorrt"',
    'cuda-python<14,>=12.8; extra == "tensorrt"',
    'opencv-python>=4.8; extra == "opencv"',
    'onnxruntime>=1.20; extra == "onnxruntime"',
    'pytest>=8; extra == "dev"',
]


@pytest.mark.parametrize(
    ("installed", "machine", "missing"),
    [
        (set(), "x86_64", {"serve": ("aiohttp", "prometheus-client"), "tensorrt": ("tensorrt", "cuda-python"),
                           "opencv": ("opencv-python",), "onnxruntime": ("onnxruntime",)}),
        ({"aiohttp", "cuda-bindings", "opencv-python-headless", "onnxruntime-gpu"}, "aarch64",
         {"serve": ("prometheus-client",), "tensorrt": (), "opencv": (), "onnxruntime": ()}),
    ],
)  # fmt: skip
def test_extras(installed, machine, missing):
    assert missing_of(REQUIRES, installed, machine) == missing


def test_cpu_of_this_machine():
    cpu = read_cpu()
    assert isinstance(cpu, Cpu)
    assert 1 <= cpu.cores <= (os.cpu_count() or 1)
