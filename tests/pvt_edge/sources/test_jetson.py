"""Which way an RTSP stream is decoded; there is no Jetson here, so the choice alone is tested."""

import sys

import pytest

from pvt_edge.errors import DataError, RuntimeMissingError
from pvt_edge.sources import SourceOptions, jetson, open_source
from pvt_edge.sources.network import RtspStream

from .cameras import closed_port

ADDRESS = "rtsp://me:s3cret@cam/1"


@pytest.fixture
def on_a_jetson(monkeypatch):
    monkeypatch.setattr(jetson, "is_jetson", lambda: True)

    def gstreamer(there):
        monkeypatch.setattr(jetson, "has_gstreamer", lambda: there)

    return gstreamer


def test_elsewhere_the_cpu_decodes():
    source = open_source(ADDRESS, connect=False)
    assert (type(source), source.notes) == (RtspStream, [])


def test_a_jetson_decodes_itself(on_a_jetson):
    on_a_jetson(True)
    source = open_source(ADDRESS, SourceOptions(codec="h265"), connect=False)
    assert isinstance(source, jetson.JetsonStream)
    assert source.name == "rtsp://***@cam/1"
    with pytest.raises(DataError, match="codec is h264 or h265, not mjpg: set --source-codec"):
        open_source(ADDRESS, SourceOptions(codec="mjpg"), connect=False)


def test_a_jetson_without_gstreamer_says_that_its_cpu_decodes(on_a_jetson):
    on_a_jetson(False)
    source = open_source(ADDRESS, connect=False)
    (note,) = source.notes
    assert note.startswith(
        "rtsp://***@cam/1 is decoded by the CPU: the Jetson's decoder needs an OpenCV with GStreamer"
    )


def test_a_jetsons_stream_that_is_not_there_says_why(on_a_jetson):
    on_a_jetson(True)  # this OpenCV has none, and opens nothing
    port = closed_port()
    source = open_source(f"rtsp://me:s3cret@127.0.0.1:{port}/cam", connect=False)
    with pytest.raises(DataError, match=f"nothing listens on 127.0.0.1:{port}") as caught:
        source.connect()
    assert "s3cret" not in str(caught.value)
    assert not source.is_back()


def test_without_pyav_a_stream_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(
        RuntimeMissingError, match=r"rtsp://\*\*\*@cam/1 needs PyAV .*: pip install \"pvt-edge\[stream\]\""
    ):
        open_source(ADDRESS, connect=False)
