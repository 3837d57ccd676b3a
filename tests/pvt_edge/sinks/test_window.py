"""A window on a screen that nobody sees (Xvfb)."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pvt_edge.errors import DataError
from pvt_edge.sinks import Window

SHOW_TWO_STREAMS = """
import threading

import cv2

from pvt_edge.streams import Delivery
from pvt_edge.sinks import Window
from made import result

closed = threading.Event()
window = Window(closed.set)
with Delivery([window], live=True) as delivery:
    for number in range(20):
        for stream in (0, 1):
            delivery.put(result(number, stream=stream, hw=(240, 320)))
    while len(window._names) < 2:
        closed.wait(0.01)
    assert not closed.wait(0.5), "nobody closed it"
    print(sorted(window._names.values()), flush=True)
    cv2.destroyWindow("pvt-edge 1: camera 1")  # as a click on its cross
    assert closed.wait(10), "a closed window ends the run, also when no result comes"
assert delivery.failures == []
"""

SHOW_ONE_STREAM = """
import threading

import cv2

from pvt_edge.streams import Delivery
from pvt_edge.sinks import Window
from made import result

closed = threading.Event()
window = Window(closed.set)
with Delivery([window], live=True) as delivery:
    delivery.put(result(0, stream=0, hw=(240, 320)))
    while not window._names:
        closed.wait(0.01)
    assert not closed.wait(0.5), "nobody closed it"
    cv2.destroyWindow("pvt-edge 0: camera 0")
    assert closed.wait(10), "the last window ends the run"
    delivery.put(result(1, stream=0, hw=(240, 320)))  # until the run has ended
assert delivery.failures == []
"""


SHOW_A_FILE_OF_BYTES = """
from dataclasses import replace

from pvt_edge.sinks import Window
from made import result

one = result(0, stream=0, hw=(240, 320))
stream = replace(one.frame.stream, source="caf\\udce9.mp4")
with Window(lambda: None) as window:
    window.write(replace(one, frame=replace(one.frame, stream=stream)))
    print(*window._names.values())
"""


@pytest.fixture(scope="module")
def screen():
    """The DISPLAY of a virtual screen."""
    if shutil.which("Xvfb") is None:
        pytest.skip("no Xvfb here: apt-get install xvfb")
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1280x800x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    with os.fdopen(reading) as answer:
        number = answer.readline().strip()
    yield f":{number}"
    server.terminate()
    server.wait()


def run(code, screen, folder):
    """What the code prints on that screen."""
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "DISPLAY": screen, "PYTHONPATH": paths}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=120, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_windows_show_and_end_the_run_when_one_is_closed(screen, tmp_path):
    assert run(SHOW_TWO_STREAMS, screen, tmp_path) == "['pvt-edge 0: camera 0', 'pvt-edge 1: camera 1']"


def test_the_only_window_ends_the_run_too(screen, tmp_path):
    run(SHOW_ONE_STREAM, screen, tmp_path)


def test_a_file_whose_name_is_no_text_is_shown(screen, tmp_path):
    assert run(SHOW_A_FILE_OF_BYTES, screen, tmp_path) == r"pvt-edge 0: caf\udce9.mp4"


def test_no_screen_is_told_with_another_way_to_watch(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(DataError, match=r"no screen .* --serve 127.0.0.1:8080"):
        Window(lambda: None)
