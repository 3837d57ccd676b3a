"""Video files, whole, damaged, cut short."""

import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition

from pvt_edge.errors import DataError, PictureWarning
from pvt_edge.sources import VideoFile, open_source

from .files import remux, scene, write_clip, write_video


@pytest.mark.parametrize(("suffix", "codec"), [(".avi", "MJPG"), (".mp4", "mp4v"), (".mkv", "mp4v")])
def test_a_video(tmp_path, suffix, codec):
    path = write_video(tmp_path / f"clip{suffix}", codec=codec)
    with open_source(path) as source:
        assert isinstance(source, VideoFile)
        assert (source.fps, source.frame_count) == (10.0, 12)
        frames = list(source)
    assert [frame.id for frame in frames] == list(range(12))
    assert {frame.path for frame in frames} == {str(path)}
    means = [frame.image.mean() for frame in frames]
    np.testing.assert_allclose(means, [20 * number for number in range(12)], atol=4)
    assert source.skipped == []
    assert list(source) == []  # read once


@pytest.mark.parametrize("content", [b"", b"no video" * 100])
@pytest.mark.parametrize("name", ["clip.mp4", "clip_01.avi"])
def test_what_is_no_video_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"cannot read .*{name}"):
        open_source(tmp_path / name)


def test_an_mp4_cut_before_its_index_is_refused(tmp_path):
    whole = write_video(tmp_path / "whole.mp4", codec="mp4v").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="was not written to its end"):
        open_source(tmp_path / "cut.mp4")


def test_a_video_that_ends_too_early_says_so(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "whole.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for _ in range(40):
        writer.write(rng.integers(0, 255, (48, 64, 3), np.uint8))
    writer.release()
    (tmp_path / "cut.avi").write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    source = open_source(tmp_path / "cut.avi")
    read = len(list(source))
    assert 10 <= read <= 25
    assert len(source.skipped) == 1
    assert f"ends after {read} of 40 frames" in source.skipped[0]
    assert "cut short" in source.skipped[0]


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("clip.mp4", "libx264", {"movflags": "faststart"}),
        ("clip.mkv", "libx264", {}),
        ("clip.webm", "libvpx", {}),
        ("live.webm", "libvpx", {"live": "1"}),
        ("clip.ts", "libx264", {}),
        ("clip.flv", "libx264", {}),
    ],
)
def test_a_file_that_was_not_copied_to_its_end_says_so(tmp_path, name, codec, options):
    path = write_clip(tmp_path / "whole.mkv", [n / 25 for n in range(50)], codec=codec)
    path = remux(path, tmp_path / name, options=options)
    assert (len(list(whole := open_source(path))), whole.skipped) == (50, [])
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10 + 1])
    source = open_source(path)
    count = len(list(source))
    assert 20 < count < 35
    assert "cut short" in source.skipped[-1]
    assert f"ends after {count}{' of 50' if source._reader.states_count else ''} frames" in source.skipped[-1]
    if name in ("clip.webm", "clip.flv"):
        assert " of 2.0" in source.skipped[-1]


DAMAGED = {
    "H.264": ("clip.ts", "libx264", {"g": "10", "crf": "12"}),
    "HEVC": ("clip.ts", "libx265", {"x265-params": "keyint=10:log-level=none", "crf": "12"}),
    "HEVC in MP4": ("clip.mp4", "libx265", {"x265-params": "keyint=10:log-level=none", "crf": "12"}),
    "Motion JPEG": ("clip.mov", "mjpeg", {"qmin": "1", "qmax": "2", "b": "20M", "threads": "1"}),
}


@pytest.mark.parametrize(("name", "codec", "options"), DAMAGED.values(), ids=DAMAGED)
def test_pictures_damaged_in_the_middle_are_left_out_counted_and_named(tmp_path, name, codec, options):
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = write_clip(tmp_path / name, [n / 25 for n in range(50)], codec=codec, pix_fmt=pix_fmt, options=options)
    data = bytearray(path.read_bytes())
    at = len(data) // 2
    data[at : at + 2000] = bytes(2000)
    path.write_bytes(data)
    source = open_source(path)
    frames = list(source)
    assert len(frames) < 50
    assert len(source.skipped) == 1
    assert "damaged picture" in source.skipped[0] or "interrupted" in source.skipped[0]
    assert " s" in source.skipped[0]
    for frame in frames:  # none that is given shows the damage
        number = round(frame.video_s * 25)
        assert np.abs(frame.image.astype(int) - scene(number)).mean() < 6


def test_what_is_built_on_a_damaged_picture_is_left_out_though_it_is_shown_before(tmp_path):
    options = {"x264-params": "keyint=50:bframes=3:b-adapt=0:scenecut=0", "crf": "20"}
    path = write_clip(tmp_path / "clip.ts", [n / 25 for n in range(50)], hw=(240, 320), options=options)
    data = path.read_bytes()
    for share in range(20, 30):
        at = len(data) * share // 50 // 188 * 188
        path.write_bytes(data[:at] + data[at + 188 :])
        source = open_source(path)
        for frame in source:
            number = round(frame.video_s * 25)
            assert np.abs(frame.image.astype(int) - scene(number, (240, 320))).mean() < 7
        assert source.skipped


def test_a_hole_in_a_webm_is_told(tmp_path):
    path = write_clip(
        tmp_path / "clip.webm", [n / 25 for n in range(50)], codec="libvpx", hw=(240, 320), options={"b": "4M"}
    )
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) * 3 // 4] = bytes(len(data) * 3 // 4 - len(data) // 2)
    path.write_bytes(data)
    source = open_source(path)
    assert len(list(source)) < 30
    assert "the rest is damaged" in source.skipped[-1]


def write_streams(path, streams):
    """A file of these streams: "video", "cover", "sound"."""
    with av.open(str(path), "w") as container:
        made = []
        for kind in streams:
            if kind == "sound":
                made.append(container.add_stream("aac", rate=8000))
            else:
                stream = container.add_stream("png" if kind == "cover" else "libx264", rate=25)
                stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb24" if kind == "cover" else "yuv420p"
                if kind == "cover":
                    stream.disposition = Disposition.attached_pic
                made.append(stream)
        for kind, stream in zip(streams, made, strict=True):
            if kind == "sound":
                frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
                frame.sample_rate = 8000
            else:
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 30 * len(kind), np.uint8), format="bgr24")
            container.mux([*stream.encode(frame), *stream.encode()])
    return path


def test_cover_art_is_no_video(tmp_path):
    song = write_streams(tmp_path / "song.mp4", ["sound", "cover"])
    with pytest.raises(DataError, match="no video, only audio"):
        open_source(song)
    clip = write_streams(tmp_path / "clip.mp4", ["cover", "video", "sound"])
    frames = list(open_source(clip))
    assert [round(frame.image.mean(), -1) for frame in frames] == [150]


def test_sound_alone_and_sound_that_is_longer(tmp_path):
    with pytest.raises(DataError, match="no video, only audio"):
        open_source(write_streams(tmp_path / "song.mkv", ["sound"]))
    source = open_source(write_streams(tmp_path / "clip.mkv", ["video", "sound"]))
    assert (len(list(source)), source.skipped) == (1, [])


def test_of_several_videos_one_is_used_and_told(tmp_path):
    with pytest.warns(PictureWarning, match="of 2 video streams"):
        source = open_source(write_streams(tmp_path / "two.mkv", ["video", "video"]))
    assert len(list(source)) == 1


@pytest.mark.parametrize(
    "name", ["2024-05-01T10:20:30.mp4", "clip%03d.mp4", "a%d/b [1].mp4", "file:x.mp4", "caf\udce9.mp4"]
)
def test_names_are_taken_as_they_are(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    try:
        write_clip(tmp_path / "x.mp4", [0, 0.04]).rename(path)
    except OSError:
        pytest.skip("this file system has no such names")
    assert len(list(open_source(name))) == 2


def test_a_playlist_under_the_name_of_a_video_opens_nothing_else(tmp_path):
    write_clip(tmp_path / "other.ts", [0, 0.04])
    (tmp_path / "clip.mp4").write_text(f"ffconcat version 1.0\nfile {tmp_path}/other.ts\n")
    with pytest.raises(DataError, match="cannot read"):
        open_source(tmp_path / "clip.mp4")


def test_a_file_that_is_taken_away_is_read_to_its_end(tmp_path):
    path = write_video(tmp_path / "a.mp4", frames=12, codec="mp4v")
    with open_source(path) as source:
        frames = iter(source)
        next(frames)
        path.unlink()
        assert len(list(frames)) == 11
    assert source.skipped == []


def test_closing_twice_does_nothing(tmp_path):
    source = open_source(write_video(tmp_path / "clip.avi"))
    source.close()
    source.close()


def test_a_damaged_video_says_nothing_on_the_terminal(tmp_path):
    (tmp_path / "clip.mp4").write_bytes(b"\0\0\0\x20ftypisom" + b"x" * 500)
    code = "import sys; from pvt_edge.sources import open_source; open_source(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "clip.mp4")],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert "DataError: cannot read" in done.stderr
    assert "moov" not in done.stderr + done.stdout
