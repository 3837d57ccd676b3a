"""MJPEG and files over HTTP."""

import subprocess
from base64 import b64encode

import av
import numpy as np
import pytest

from pvt_edge.errors import DataError
from pvt_edge.sources import SourceOptions, open_source

from .cameras import MjpegCamera, numbered_jpeg, read_number
from .files import remux, scene, write_clip, write_picture, write_video


@pytest.fixture(scope="module")
def jpegs():
    return [numbered_jpeg(number) for number in range(20)]


def test_mjpeg(jpegs):
    with MjpegCamera(jpegs) as camera, open_source(camera.address) as source:
        frames = list(source)
    assert [read_number(frame.image) for frame in frames] == list(range(20))
    assert (source.name, source.live, source.fps, source.frame_count) == (camera.address, True, None, None)
    assert not source.ended  # a camera that stops is lost


def test_damaged_jpegs_are_counted_and_left_out(jpegs):
    damaged = list(jpegs)
    damaged[5] = jpegs[5][:200]
    damaged[9] = b"no picture at all"
    damaged[12] = jpegs[12][:20] + bytes(len(jpegs[12]) - 20)
    with MjpegCamera(damaged) as camera, open_source(camera.address) as source:
        seen = [read_number(frame.image) for frame in source]
    assert seen == [number for number in range(20) if number not in (5, 9, 12)]
    assert source.decode_errors == 3


def test_a_size_that_changes(jpegs):
    frames = [*jpegs[:5], *(numbered_jpeg(number, (640, 480)) for number in range(5, 10))]
    with MjpegCamera(frames) as camera, open_source(camera.address) as source:
        got = list(source)
    assert [frame.image.shape[:2] for frame in got] == [(240, 320)] * 5 + [(480, 640)] * 5
    assert [read_number(frame.image) for frame in got] == list(range(10))


def test_a_camera_that_hangs_is_noticed(jpegs):
    with MjpegCamera(jpegs, hang=True) as camera, open_source(camera.address, SourceOptions(stall_s=0.5)) as source:
        assert len(list(source)) == 20


def test_a_login(jpegs):
    asked = "Basic " + b64encode(b"me:p@ss").decode()
    with MjpegCamera(jpegs, authorization=asked) as camera:
        with open_source(f"http://me:p%40ss@{camera.host}/cam") as source:
            assert source.name == f"http://***@{camera.host}/cam"
        with pytest.raises(DataError, match=r"it refuses this user and password \(401\)"):
            open_source(f"http://me:other@{camera.host}/cam")
        with pytest.raises(DataError, match="it asks for a user and password"):
            open_source(camera.address)


@pytest.mark.parametrize(
    ("status", "why"), [(404, r"no such stream \(404\)"), (503, "its server answers 503"), (403, "asks for a user")]
)
def test_what_the_server_answers_is_told(status, why):
    with MjpegCamera(status=status) as camera, pytest.raises(DataError, match=why):
        open_source(camera.address)


def test_a_page_is_no_video():
    why = "gives text/plain, in which there is no video that can be decoded here"
    with MjpegCamera(files={"/": b"<html>hello</html>" * 50}) as camera, pytest.raises(DataError, match=why):
        open_source(f"http://{camera.host}/")


def test_a_file_gives_all_its_frames_and_ends(tmp_path):
    data = write_video(tmp_path / "clip.mp4", frames=12, codec="mp4v").read_bytes()
    with MjpegCamera(files={"/clip.mp4": data}) as camera, open_source(f"http://{camera.host}/clip.mp4") as source:
        assert (source.live, source.frame_count, source.fps) == (False, 12, 10.0)
        frames = list(source)
        assert source.ended
    np.testing.assert_allclose([frame.image.mean() for frame in frames], [20 * n for n in range(12)], atol=4)
    assert source.skipped == []


def test_a_title_that_is_no_text_is_no_fault(tmp_path):
    clip = write_clip(tmp_path / "a.mkv", [0, 0.04])
    with av.open(str(clip)) as source, av.open(str(tmp_path / "b.mkv"), "w", metadata_encoding="latin-1") as container:
        container.metadata["title"] = "K\u00fcche"
        stream = container.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                container.mux(packet)
    files = {"/b.mkv": (tmp_path / "b.mkv").read_bytes()}
    with MjpegCamera(files=files) as camera, open_source(f"http://{camera.host}/b.mkv") as source:
        assert len(list(source)) == 2


def test_a_picture_that_is_gone_when_it_is_fetched_leaves_nothing_connected(tmp_path):
    class Fleeting(dict):
        asked = 0

        def __contains__(self, path):
            self.asked += 1
            return self.asked == 1  # for FFMPEG, which sees that it is a picture

    files = Fleeting({"/snapshot": write_picture(tmp_path / "a.png").read_bytes()})
    with MjpegCamera(files=files) as camera, open_source(f"http://{camera.host}/snapshot", connect=False) as source:
        with pytest.raises(DataError, match=r"no such picture \(404\)"):
            source.connect()
        assert not source.connected


def test_a_file_without_a_length_in_seconds_is_no_camera(tmp_path):
    times = [0, 0.04, 0.2, 1.0]
    clip = remux(write_clip(tmp_path / "a.mkv", times), tmp_path / "b.mkv", options={"live": "1"})
    with (
        MjpegCamera(files={"/b.mkv": clip.read_bytes()}) as camera,
        open_source(f"http://{camera.host}/b.mkv") as source,
    ):
        assert not source.live
        assert [frame.video_s for frame in source] == pytest.approx(times, abs=1e-3)
        assert source.ended


def test_what_is_damaged_in_a_file_is_left_out_and_told(tmp_path):
    clip = write_clip(tmp_path / "clip.ts", [n / 25 for n in range(50)], options={"g": "10", "crf": "12"})
    data = bytearray(clip.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 2000] = bytes(2000)
    with MjpegCamera(files={"/a.ts": bytes(data)}) as camera, open_source(f"http://{camera.host}/a.ts") as source:
        for frame in source:
            assert np.abs(frame.image.astype(int) - scene(round(frame.video_s * 25))).mean() < 6
    assert "damaged picture" in source.skipped[0]


def test_a_file_that_stands_on_its_side_is_turned_as_opencv_turns_it(tmp_path):
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=s=64x48:r=10:d=0.5", tmp_path / "flat.mp4"]
    turn = ["ffmpeg", "-v", "error", "-i", tmp_path / "flat.mp4", "-c", "copy", "-metadata:s:v", "rotate=90"]
    try:
        subprocess.run(command, check=True)
        subprocess.run([*turn, tmp_path / "side.mp4"], check=True)
    except FileNotFoundError:
        pytest.skip("no ffmpeg here")
    with open_source(tmp_path / "side.mp4") as source:
        expected = next(iter(source)).image
    if expected.shape != (64, 48, 3):
        pytest.skip("this ffmpeg writes no rotation")
    files = {"/side.mp4": (tmp_path / "side.mp4").read_bytes()}
    with MjpegCamera(files=files) as camera, open_source(f"http://{camera.host}/side.mp4") as source:
        image = next(iter(source)).image
    assert image.shape == (64, 48, 3)
    assert np.abs(image.astype(int) - expected).mean() < 3
