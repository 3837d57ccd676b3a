"""Video files, whole, damaged, cut short."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

from pvt_edge.errors import DataError
from pvt_edge.sources import VideoFile, open_source

from .files import write_video


@pytest.mark.parametrize(("suffix", "codec"), [(".avi", "MJPG"), (".mp4", "mp4v"), (".mkv", "mp4v")])
def test_a_video(tmp_path, suffix, codec):
    path = write_video(tmp_path / f"clip{suffix}", codec=codec)
    with open_source(path) as source:
        assert isinstance(source, VideoFile)
        assert (source.fps, source.frame_count) == (10.0, 12)
        frames = list(source)
    assert [frame.id for frame in frames] == list(range(12))
    assert {frame.path for frame in frames} == {str(path)}
    assert {frame.fps for frame in frames} == {10.0}
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
    assert source.skipped == [f"{tmp_path / 'cut.avi'}: ends after {read} of 40 frames; the file is cut short"]


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
