"""Probes in processes of their own, of which some crash, hang or talk."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest

from pvt_edge.doctor import probes
from pvt_edge.doctor.facts import askable
from pvt_edge.doctor.probes import MARK, PATIENCE_S, Answer, Question, asking
from pvt_edge.runtimes import RUNTIMES, missing
from pvt_edge.runtimes.session import TINY_INPUT, TINY_ONNX, TINY_OUTPUT

GOOD = f"""print({MARK!r} + '{{"facts": {{"version": "1"}}, "failure": null}}', flush=True)"""
SILENT = Answer(failure="it ended without an answer: it said nothing")


def answer_of(command: list[str], patience_s: float) -> Answer:
    with Question(command, patience_s) as question:
        return question.answer()


def ask_all(names: list[str], patience_s: float = PATIENCE_S) -> dict[str, Answer]:
    with asking(names, patience_s) as answers:
        return answers()


def ask(name: str, patience_s: float = PATIENCE_S) -> Answer:
    return ask_all([name], patience_s)[name]


def run(code: str, patience_s: float = 20) -> Answer:
    return answer_of([sys.executable, "-c", code], patience_s)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (GOOD, Answer({"version": "1"})),
        (f"print('loading'); {GOOD}; print('unloading')", Answer({"version": "1"})),
        (f"{GOOD}; import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", Answer({"version": "1"})),  # as it ended
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
            Answer(failure="it crashed (SIGSEGV): it said nothing"),
        ),
        (
            "import sys, os; print('no AVX', file=sys.stderr); sys.stderr.flush(); os._exit(3)",
            Answer(failure="it ended with code 3: no AVX"),
        ),
        (r"import sys; sys.exit('\x1b[2Jno\a')", Answer(failure="it ended with code 1: ?[2Jno?")),
        ("", SILENT),
    ],
    ids=["answers", "talks", "crashes on the way out", "crashes", "exits", "says control characters", "says nothing"],
)
def test_how_a_process_ends(code, expected):
    assert run(code) == expected


@pytest.mark.parametrize(
    "line",
    ["not json", "", "{}", "[]", "1", '"failure"', '{"failure": null, "colour": 1}', '{"facts": {}}', "[" * 100_000],
    ids=lambda line: line[:20],
)
def test_a_line_that_looks_like_an_answer(line):
    forged = f"print({MARK!r} + {line!r}, flush=True)" if len(line) < 1000 else f"print({MARK!r} + '[' * {len(line)})"
    assert run(forged) == SILENT
    assert run(f"{GOOD}; {forged}") == Answer({"version": "1"})


def ended(pid: int) -> bool:
    """Whether the process ends; it takes a moment."""
    status = Path(f"/proc/{pid}/stat")
    for _ in range(100):
        try:
            if status.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")
def test_a_process_that_hangs_is_killed_with_what_it_started(tmp_path):
    pid_file = tmp_path / "pid"
    code = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open({str(pid_file)!r}, "w").write(str(child.pid))
time.sleep(60)
"""
    assert run(code, patience_s=2) == Answer(failure="it did not answer within 2 s")
    assert ended(int(pid_file.read_text()))


LEAVES_BEHIND = f"""
import json, subprocess, sys
left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session={{alone}})
print({MARK!r} + json.dumps({{{{"facts": {{{{"left": left.pid}}}}, "failure": None}}}}))
"""


def test_a_process_left_behind_delays_no_answer():
    """It holds the streams of the one that answered."""
    answer = run(LEAVES_BEHIND.format(alone=True))
    assert answer.failure is None
    os.kill(answer.facts["left"], signal.SIGKILL)


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")
def test_a_process_left_behind_is_killed_where_it_is_ours():
    assert ended(run(LEAVES_BEHIND.format(alone=False)).facts["left"])


def test_an_answer_counts_though_the_process_does_not_end():
    assert run(f"{GOOD}; import time; time.sleep(60)", patience_s=5) == Answer({"version": "1"})


def test_a_thread_left_behind_delays_no_answer(monkeypatch, tmp_path):
    (tmp_path / "onnxruntime.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()\nraise ImportError('no AVX')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert ask("onnxruntime", 20) == Answer(failure="ImportError: no AVX")


@pytest.mark.skipif(not hasattr(signal, "alarm"), reason="this system has no alarm")
def test_a_probe_ends_itself_where_nobody_can(monkeypatch, tmp_path):
    """Its parent may have been killed."""
    (tmp_path / "onnxruntime.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(probes, "GRACE_S", -19)
    assert ask("onnxruntime", 20) == Answer(failure="it crashed (SIGALRM): it said nothing")


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")
def test_probes_are_killed_when_nobody_waits_for_them(monkeypatch, tmp_path):
    pid_file = tmp_path / "pid"
    (tmp_path / "onnxruntime.py").write_text(
        f"import os, time\nos.symlink(str(os.getpid()), {str(pid_file)!r})\ntime.sleep(60)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with suppress(KeyboardInterrupt), asking(["onnxruntime"]):
        while not pid_file.is_symlink():
            time.sleep(0.1)
        raise KeyboardInterrupt
    assert ended(int(os.readlink(pid_file)))


def test_a_process_refused_beside_others_is_started_after_them(monkeypatch):
    start, asked = subprocess.Popen, []

    def popen(command, **options):
        asked.append(command)
        if len(asked) == 2:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return start(command, **options)

    monkeypatch.setattr(subprocess, "Popen", popen)
    failures = [answer.failure for answer in ask_all(["no-such", "no-such-either"]).values()]
    assert [failure.partition(":")[0] for failure in failures] == [
        "unknown runtime 'no-such'",
        "unknown runtime 'no-such-either'",
    ]
    assert len(asked) == 3


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="files of this system have a folder")
def test_no_folder_can_be_written(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "read-only"))
    assert run(GOOD).failure is None


def test_a_program_that_cannot_be_started(tmp_path):
    answer = answer_of([str(tmp_path / "python")], 1)
    assert answer.failure == "no process could be started (No such file or directory)"


def test_what_a_probe_raises_is_told(monkeypatch, tmp_path):
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('libcudart.so.12: cannot\\n open')")
    monkeypatch.syspath_prepend(tmp_path)
    assert ask("onnxruntime") == Answer(failure="ImportError: libcudart.so.12: cannot open")
    (tmp_path / "onnxruntime.py").write_text("__version__ = '1.0'\nraise SystemExit('bye')")
    assert ask("onnxruntime").failure == "SystemExit: bye"
    (tmp_path / "onnxruntime.py").write_text(r"raise ImportError('\x1b[2J')")
    assert ask("onnxruntime").failure == "ImportError: ?[2J"
    (tmp_path / "onnxruntime.py").write_text("raise KeyboardInterrupt")
    assert ask("onnxruntime").failure == "KeyboardInterrupt"


def test_what_was_found_before_a_failure_is_kept(monkeypatch, tmp_path):
    (tmp_path / "onnxruntime.py").write_text("__version__ = '1.0'\ndef get_available_providers():\n    return []\n")
    monkeypatch.syspath_prepend(tmp_path)
    answer = ask("onnxruntime")
    assert (answer.facts["version"], answer.facts["providers"], answer.with_mend) == ("1.0", [], False)
    assert answer.failure.startswith("AttributeError: ")


def test_facts_are_text_whatever_a_library_holds(monkeypatch, tmp_path):
    (tmp_path / "onnxruntime.py").write_text("__version__ = 1.9")
    (tmp_path / "cv2.py").write_text("__version__ = {1: '\x1b'}\ndef getBuildInformation():\n    return None\n")
    monkeypatch.syspath_prepend(tmp_path)
    answers = ask_all(["onnxruntime", "video"])
    assert answers["onnxruntime"].facts["version"] == "1.9"
    assert answers["video"].facts == {
        "version": r"{1: '\x1b'}", "file": str(tmp_path / "cv2.py"), "build": "None",
    }  # fmt: skip


OPENCV_4 = "__version__ = '4.10.0'\nclass dnn:\n    pass\n"


@pytest.mark.parametrize(
    ("runtime", "module", "text", "version", "told"),
    [
        ("opencv", "cv2", OPENCV_4, "4.10.0", "needs the DNN engine of OpenCV 5.0, this is 4.10.0: pip install"),
        ("tensorrt", "tensorrt", "__version__ = '8.5.2.2'\n", None, "TensorRT 8.5.2.2 is too old"),
        ("tensorrt", "tensorrt", "raise OSError('libnvinfer.so.10: cannot open')\n", None, "libnvinfer.so.10"),
    ],
)
def test_libraries_that_are_too_old_say_so(monkeypatch, tmp_path, runtime, module, text, version, told):
    (tmp_path / f"{module}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    answer = ask(runtime)
    assert told in answer.failure
    assert answer.with_mend
    assert answer.facts.get("version") == version


@pytest.mark.parametrize("name", ["tensorrt", "tensorrt-rtx"])
def test_tensorrt_without_a_driver_is_not_touched(name):
    if missing(name):
        pytest.skip(missing(name))
    if Path("/proc/driver/nvidia/version").exists():
        pytest.skip("there is a driver here")
    answer = ask(name)
    assert answer.with_mend, answer.failure  # neither a crash nor a builder's TypeError
    assert "NVIDIA driver" in answer.failure


def test_a_folder_in_the_way_is_no_library(monkeypatch, tmp_path):
    """Every bundle has a folder called openvino, and people stand in it."""
    (tmp_path / "openvino").mkdir()
    monkeypatch.chdir(tmp_path)
    if missing("openvino"):
        pytest.skip(missing("openvino"))
    assert ask("openvino").failure is None


def test_the_probes_that_can_be_asked_here_agree_with_the_runtimes():
    answers = ask_all([name for name in askable() if not name.startswith("tensorrt")])
    assert answers
    for name, answer in answers.items():
        if name == "opencv" and answer.failure:
            assert "DNN engine of OpenCV" in answer.failure
            continue
        assert answer.failure is None, (name, answer.failure)
        assert answer.facts["version"]
        assert answer.facts["devices"][0]["name"] == "cpu"
        for device in answer.facts["devices"]:
            assert {*device["precisions"]} <= {*RUNTIMES[name].precisions}


def test_none_asked():
    assert ask_all([]) == {}


def test_the_tiny_model_is_what_it_says():
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    model = onnx.load_from_string(TINY_ONNX)
    onnx.checker.check_model(model, full_check=True)
    (node,) = model.graph.node
    assert (node.op_type, [*node.input], [*node.output]) == ("MatMul", ["x", "x"], ["y"])
    (a, b), (c, d) = TINY_INPUT
    assert [[a * a + b * c, a * b + b * d], [c * a + d * c, c * b + d * d]] == TINY_OUTPUT
