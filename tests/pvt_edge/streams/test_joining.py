"""Sources opened together."""

import logging
import threading

import pytest

from pvt_edge.errors import DataError, UnknownNameError
from pvt_edge.sources import SourceOptions
from pvt_edge.streams.runner import open_sources

from .cameras import RtspCamera, SilentHost, closed_port, write_picture, write_video

CELLS = "synthetic://cells?width=64&height=64"


def test_they_are_open_within_and_closed_after(tmp_path):
    specs = [CELLS, str(write_picture(tmp_path / "a.png")), str(write_video(tmp_path / "a.avi"))]
    with open_sources(specs, SourceOptions()) as sources:
        assert [source.live for source in sources] == [True, False, False]
        assert sources[0].connected
    assert not sources[0].connected
    assert sources[2]._reader._container is None


@pytest.mark.parametrize("address", ["rtsp://127.0.0.1:PORT/cam", "http://127.0.0.1:PORT/cam.jpg"])
def test_one_alone_that_is_not_there_is_an_error(address):
    with (
        pytest.raises(DataError, match="nothing listens on"),
        open_sources([address.replace("PORT", str(closed_port()))], SourceOptions()),
    ):
        pass


@pytest.mark.parametrize("address", ["rtsp://me:secret@127.0.0.1:PORT/cam", "http://me:secret@127.0.0.1:PORT/cam.jpg"])
def test_one_of_several_is_waited_for(caplog, address):
    address = address.replace("PORT", str(closed_port()))
    with caplog.at_level(logging.WARNING), open_sources([CELLS, address], SourceOptions()) as sources:
        assert [source.connected for source in sources] == [True, False]
    (line,) = caplog.messages
    assert "nothing listens on" in line
    assert line.endswith("trying again until it is there")
    assert "secret" not in line


def test_none_of_several_is_an_error():
    specs = [f"rtsp://127.0.0.1:{closed_port()}/{i}" for i in range(3)]
    with pytest.raises(DataError, match="nothing listens on"), open_sources(specs, SourceOptions()):
        pass


def test_a_wrong_address_closes_what_was_open(tmp_path):
    before = threading.active_count()
    with (
        pytest.raises(UnknownNameError),
        open_sources([CELLS, str(write_video(tmp_path / "a.avi")), "rstp://cam"], SourceOptions()),
    ):
        pass
    assert threading.active_count() == before


def test_hosts_that_never_answer_are_waited_for_side_by_side():
    with SilentHost() as host, RtspCamera() as camera:
        silent = [f"rtsp://127.0.0.1:{host.port}/{i}" for i in range(8)]
        with open_sources([camera.address, *silent], SourceOptions(stall_s=0.5)) as sources:
            assert [source.connected for source in sources] == [True] + [False] * 8
            # each takes the stall time twice; in turn they would have left the camera's frame to grow older than 8 s
            assert sources[0].read().age_ms < 6000


def test_what_a_camera_gives_other_than_asked_is_told(caplog):
    with RtspCamera() as camera, open_sources([camera.address], SourceOptions(1920, 1080)):
        pass
    assert caplog.messages == []  # of a stream nothing is asked
