"""Videos that are written, read back."""

import time
from dataclasses import replace

import numpy as np
import pytest

from pvt_edge.errors import DataError
from pvt_edge.sinks import VideoFile, open_sinks

from .made import read_video, result


def test_nothing_written_leaves_no_video(tmp_path):
    with VideoFile(tmp_path / "out.mp4") as sink:
        pass
    assert list(tmp_path.iterdir()) == []
    assert sink.written() == []


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv", ".mov"])
def test_a_video_holds_the_annotated_frames(tmp_path, suffix):
    with VideoFile(tmp_path / "new" / f"out{suffix}", fps=12) as sink:
        for number in range(6):
            sink.write(result(number, grey=40 * number))
        assert not (tmp_path / "new" / f"out{suffix}").exists()  # only once it is whole
    frames, fps = read_video(tmp_path / "new" / f"out{suffix}")
    assert len(frames) == 6
    assert fps == pytest.approx(12)
    for number, frame in enumerate(frames):
        assert abs(frame[40:, 40:].mean() - 40 * number) < 5
    assert np.abs(frames[3].astype(int) - result(grey=120).plot()).mean() < 10
    assert len(list((tmp_path / "new").iterdir())) == 1


def test_a_frame_of_another_size_is_fitted(tmp_path):
    with VideoFile(tmp_path / "out.avi") as sink:
        sink.write(result(hw=(48, 64)))
        sink.write(result(hw=(96, 64), grey=200))
    frames, fps = read_video(tmp_path / "out.avi")
    assert fps == 25
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 2
    assert frames[1][:, 40:].mean() < 10  # black beside the tall one


def test_a_video_is_finished_when_the_work_stops_half_way(tmp_path):
    def work():
        with open_sinks(tmp_path / "out.mp4") as sinks:
            for number in range(5):
                sinks.write(result(number))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert len(read_video(tmp_path / "out.mp4")[0]) == 5


def test_an_old_video_stays_until_the_new_one_is_whole(tmp_path):
    with VideoFile(tmp_path / "out.mp4") as sink:
        sink.write(result())
    old = (tmp_path / "out.mp4").read_bytes()
    with VideoFile(tmp_path / "out.mp4") as sink:
        sink.write(result(grey=20))
        assert (tmp_path / "out.mp4").read_bytes() == old
    assert (tmp_path / "out.mp4").read_bytes() != old
    assert len(read_video(tmp_path / "out.mp4")[0]) == 1


def test_nothing_is_written_over_its_source(tmp_path):
    source = tmp_path / "a.mp4"
    with VideoFile(source) as sink:
        sink.write(result())
    before = source.read_bytes()
    with pytest.raises(DataError, match="would write over"), VideoFile(source) as sink:
        sink.write(result(path=str(source)))
    assert source.read_bytes() == before


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".webm", ".mov"])
def test_only_videos_of_our_own_are_written_over(tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    for _ in range(2):  # a second run of the same command
        with VideoFile(path) as sink:
            sink.write(result())
    assert len(read_video(path)[0]) == 1
    path.write_bytes(path.read_bytes().replace(b"pvt-edge", b"a camera"))
    with pytest.raises(DataError, match="not written by pvt-edge"):
        VideoFile(path)


@pytest.mark.parametrize("suffix", [".wmv", ".mpg"])
def test_videos_that_can_be_read_but_not_written_are_refused(tmp_path, suffix):
    with pytest.raises(DataError, match=r"suffix must be one of .mp4"):
        open_sinks(tmp_path / f"out{suffix}")


@pytest.mark.parametrize("name", ["file/out.mp4", "/proc/out.mp4"])
def test_a_place_that_cannot_be_written_is_named_at_once(tmp_path, name):
    (tmp_path / "file").write_text("a file, no folder")
    with pytest.raises(DataError, match=f"cannot write .*{name}.*choose another place"):
        VideoFile(tmp_path / name)


# When live frames came (s), and which of them each of the video's frames at 10 a second shows.
LIVE = {
    "one": ([0.0], [0]),
    "as fast as the video": ([0.0, 0.1, 0.2, 0.3], [0, 1, 2, 3]),
    "slower: each is shown until the next": ([0.0, 0.3, 0.6], [0, 0, 0, 1, 1, 1, 2]),
    "faster: some find no place": ([0.0, 0.04, 0.08, 0.12, 0.2], [0, 2, 4]),
    "an outage is cut out": ([0.0, 0.1, 60.0, 60.1], [0, 1, 2, 3]),
    "a clock set back goes on": ([100.0, 100.1, 40.0, 40.1], [0, 1, 2, 3]),
}


@pytest.mark.parametrize(("times", "shown"), LIVE.values(), ids=LIVE)
def test_a_live_video_keeps_the_time(tmp_path, times, shown):
    with VideoFile(tmp_path / "out.avi", fps=10, live=True) as sink:
        for number, at in enumerate(times):
            sink.write(result(number, grey=40 * number + 20, at=1000 + at))
    frames, _ = read_video(tmp_path / "out.avi")
    assert [round((frame[40:, 40:].mean() - 20) / 40) for frame in frames] == shown


def test_a_file_gives_every_frame_whatever_its_times(tmp_path):
    with VideoFile(tmp_path / "out.avi", fps=10) as sink:
        for number in range(4):
            sink.write(result(number, at=1000.0))
    assert len(read_video(tmp_path / "out.avi")[0]) == 4


@pytest.mark.parametrize("fps", [None, 0.0, 90000.0])
def test_a_rate_that_is_none_becomes_the_usual(tmp_path, fps):
    with VideoFile(tmp_path / "out.mp4", fps=fps) as sink:
        sink.write(result())
    assert read_video(tmp_path / "out.mp4")[1] == pytest.approx(25)


def test_a_full_disk_ends_the_video_while_it_can_be_finished(tmp_path, mount_disk):
    disk = mount_disk("12m")
    noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    sink, wrote = VideoFile(disk / "out.mp4"), []

    def fill():
        for number in range(500):
            one = replace(result(number), image=np.roll(noise, number, axis=0))
            sink.write(one)
            wrote.append(one)

    with pytest.raises(DataError, match=r"disk of .*out.mp4 is full .* make room or record elsewhere"):
        fill()
    sink.close()
    assert len(wrote) > 3
    assert len(read_video(disk / "out.mp4")[0]) == len(wrote)


def test_a_video_a_stream_and_segment(tmp_path):
    sinks = open_sinks(tmp_path / "out.avi", fps={0: 10, 1: 5}, segment_s=1.0, live=True)
    with sinks:
        for number in range(15):
            sinks.write(result(number, at=1000 + number / 10, stream=0))
            if number % 2 == 0:
                sinks.write(result(number, at=1000 + number / 10, stream=1))
    lengths = {path.name: (len(read_video(path)[0]), read_video(path)[1]) for path in tmp_path.iterdir()}
    first = {"out_0_0001.avi": (10, 10), "out_0_0002.avi": (5, 10)}
    assert lengths == first | {"out_1_0001.avi": (5, 5), "out_1_0002.avi": (3, 5)}
    assert [path.name for path in sinks.sinks[0].written()] == ["out_0_0002.avi", "out_1_0002.avi"]


def test_the_time_of_day_in_a_name_is_when_the_file_begins(tmp_path):
    with open_sinks(tmp_path / "%Y" / "out_%j.avi", segment_s=60, fps=5) as sinks:
        sinks.write(result())
    assert (tmp_path / time.strftime("%Y") / f"out_{time.strftime('%j')}_0001.avi").is_file()


def test_segments_need_a_video(tmp_path):
    for save in (None, tmp_path / "folder"):
        with pytest.raises(DataError, match=r"give --save a name such as out.mp4"):
            open_sinks(save, segment_s=60)
