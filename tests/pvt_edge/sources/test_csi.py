"""Pipelines for a Jetson, parsed by a real GStreamer where there is one, NVIDIA's elements replaced."""

import re
import subprocess

import pytest

from pvt_edge.errors import DataError
from pvt_edge.sources import SourceOptions
from pvt_edge.sources.jetson import csi_pipeline, rtsp_pipeline

from .cameras import PYTHON, RtspCamera, why_no_rtsp_server

PARSE = """
import sys
import gi
gi.require_version("Gst", "1.0")
from gi.repository import Gst
Gst.init(None)
pipeline = Gst.parse_launch(sys.argv[1])
sink = pipeline.iterate_sinks().next()[1]
pipeline.set_state(Gst.State.PLAYING)
sample = sink.emit("try-pull-sample", 10 * Gst.SECOND)
print(sample.get_caps().to_string() if sample else "no picture")
pipeline.set_state(Gst.State.NULL)
"""


def without_nvidia(pipeline):
    """The same pipeline of elements that every GStreamer has."""
    pipeline = re.sub(r"nvvidconv( flip-method=\d)?", "videoconvert ! videoscale", pipeline)
    pipeline = pipeline.replace("nvv4l2decoder enable-max-performance=1", "openh264dec")
    pipeline = pipeline.replace("video/x-raw(memory:NVMM)", "video/x-raw")
    return re.sub(r"nvarguscamerasrc sensor-id=\d", "videotestsrc is-live=true", pipeline)


def first_caps(pipeline):
    if why_no_rtsp_server():
        pytest.skip(f"no GStreamer here: {why_no_rtsp_server()}")
    done = subprocess.run([PYTHON, "-c", PARSE, pipeline], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (SourceOptions(), ("width=(int)1280", "height=(int)720", "framerate=(fraction)30/1")),
        (SourceOptions(640, 480, 29.97), ("width=(int)640", "height=(int)480", "framerate=(fraction)2997/100")),
    ],
)
def test_a_csi_camera_gives_bgr(options, expected):
    caps = first_caps(without_nvidia(csi_pipeline(0, options)))
    for part in ("format=(string)BGR", *expected):
        assert part in caps


def test_a_csi_pipeline_names_sensor_and_flip():
    pipeline = csi_pipeline(1, SourceOptions(), flip=2)
    assert pipeline.startswith("nvarguscamerasrc sensor-id=1 ! video/x-raw(memory:NVMM),width=1280,height=720,")
    assert "nvvidconv flip-method=2 !" in pipeline
    assert pipeline.endswith("appsink drop=true max-buffers=1 sync=false")


@pytest.mark.parametrize(("options", "size"), [(SourceOptions(), 320), (SourceOptions(160, 120), 160)])
def test_an_rtsp_pipeline_gives_bgr(options, size):
    with RtspCamera(login="me:s3cret") as camera:
        caps = first_caps(without_nvidia(rtsp_pipeline(camera.address, options)))
    assert "format=(string)BGR" in caps
    assert f"width=(int){size}" in caps


def test_an_rtsp_pipeline_by_codec():
    assert "rtph265depay ! h265parse" in rtsp_pipeline("rtsp://cam/1", SourceOptions(codec="H265"))
    assert " protocols=udp " in rtsp_pipeline("rtsp://cam/1", SourceOptions(rtsp_transport="udp"))
    with pytest.raises(DataError, match=r"codec is h264 or h265, not mjpg"):
        rtsp_pipeline("rtsp://cam/1", SourceOptions(codec="mjpg"))


@pytest.mark.parametrize("sign", ['"', "'", " ", "\\", "\n"])
def test_an_address_cannot_end_the_pipelines_string(sign):
    with pytest.raises(DataError, match="write them as %22") as caught:
        rtsp_pipeline(f"rtsp://me:sec{sign}ret@cam/1", SourceOptions())
    assert "ret" not in str(caught.value).replace("address", "")
