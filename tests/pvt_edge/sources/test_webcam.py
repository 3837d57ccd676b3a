"""Cameras on USB that are not there, or not ours. None is here to read from."""

import os
import sys
from pathlib import Path

import cv2
import pytest

from pvt_edge.errors import DataError
from pvt_edge.sources import SourceOptions, open_source
from pvt_edge.sources.capture import Webcam

from .files import write_video

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="devices have paths on Linux alone")


@pytest.mark.parametrize(
    ("spec", "name"), [(250, "camera 250"), ("250", "camera 250"), ("/dev/video250", "camera 250")]
)
def test_a_missing_camera_says_which_are_there(spec, name):
    found = sorted(str(path) for path in Path("/dev").glob("video*"))
    there = f"cameras here are {', '.join(found)}" if found else "no camera is connected"
    with pytest.raises(DataError) as caught:
        open_source(spec)
    assert str(caught.value) == f"cannot open {name}: there is no /dev/video250; {there}"


def test_a_camera_without_permission_tells_the_mend(tmp_path, monkeypatch):
    device = tmp_path / "video0"
    device.touch(mode=0o000)
    if os.geteuid() == 0:  # who may read everything
        monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(DataError) as caught:
        Webcam(str(device), SourceOptions()).connect()
    mend = "try: sudo usermod -aG video $USER"
    assert str(caught.value) == f"cannot open {device}: no permission for {device}; {mend}"


def test_what_is_no_camera_gives_no_picture(tmp_path):
    device = tmp_path / "video0"
    device.write_bytes(b"no camera")
    with pytest.raises(DataError, match=r"it gives no picture; another program may be using it"):
        Webcam(str(device), SourceOptions(width=640, height=480, fps=30, codec="mjpg")).connect()


@pytest.mark.parametrize(
    ("asked", "notes"),
    [
        ({}, []),
        ({"width": 64, "height": 48, "fps": 10.2, "codec": "mjpg"}, []),
        ({"width": 640}, ["camera 0 gives 64 pixels in width, not the 640 asked for"]),
        (
            {"height": 480, "fps": 60, "codec": "h264"},
            [
                "camera 0 gives 48 pixels in height, not the 480 asked for",
                "camera 0 gives 10 fps, not the 60 asked for",
                "camera 0 sends MJPG, not the H264 asked for",
            ],
        ),
    ],
)
def test_what_a_camera_gives_other_than_was_asked_for_is_told(tmp_path, asked, notes):
    path = write_video(tmp_path / "a.avi", fps=10.0, codec="MJPG", wh=(64, 48))

    class FileCamera(Webcam):
        def _open(self):
            return cv2.VideoCapture(str(path))

    with FileCamera(0, SourceOptions(**asked)) as camera:
        for _ in range(2):  # also when it is opened again
            camera.connect()
            assert camera.notes == notes


def test_a_camera_that_is_plugged_in_again_is_back(tmp_path):
    device = tmp_path / "video0"
    camera = Webcam(str(device), SourceOptions())
    assert [camera.is_back(), camera.is_back()] == [False, False]
    device.touch()
    assert [camera.is_back(), camera.is_back()] == [True, False]
