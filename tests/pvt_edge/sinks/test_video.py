"""Videos that are written, read back."""

import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pvt_edge.errors import DataError, PictureWarning
from pvt_edge.sinks import VideoFile, open_sinks
from pvt_edge.sinks.encoders import TimedEncoder
from pvt_edge.sources import open_source

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


def test_a_link_goes_on_pointing_where_it_points(tmp_path):
    (tmp_path / "disk").mkdir()
    link, place = tmp_path / "out.mp4", tmp_path / "disk" / "recording"
    link.symlink_to(place)
    for _ in range(2):
        with VideoFile(link) as sink:
            sink.write(result())
    assert link.is_symlink()
    assert len(read_video(place)[0]) == 1
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["recording"]
    assert sink.written() == [link]


def test_a_source_on_the_web_lies_nowhere_here(tmp_path):
    for _ in range(2):  # the second run finds the first one's video
        with VideoFile(tmp_path / "out.mp4") as sink:
            sink.write(result(path="http://camera/x.png"))
    assert len(read_video(tmp_path / "out.mp4")[0]) == 1


def test_a_video_of_before_is_not_called_written(tmp_path):
    with VideoFile(tmp_path / "out.mp4") as sink:
        sink.write(result())
    assert sink.written() == [tmp_path / "out.mp4"]
    sink = VideoFile(tmp_path / "out.mp4")
    sink.write(result())
    assert sink.written() == []
    (tmp_path / ".out.part.mp4").unlink()
    with pytest.raises(DataError, match="nothing of it can be played"):
        sink.close()
    assert sink.written() == []


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


def test_a_segment_is_finished_though_its_last_frame_cannot_be_held(tmp_path, monkeypatch):
    def refuse(*_):
        raise DataError("the disk is full")

    with open_sinks(tmp_path / "out.mp4", fps=10, segment_s=0.5, live=True) as sinks:
        sinks.write(result(0, at=1000.0))
        sinks.write(result(1, at=1000.1))
        monkeypatch.setattr(TimedEncoder, "write", refuse)
        with pytest.raises(DataError, match="the disk is full"):
            sinks.write(result(2, at=1001.0))
    assert [path.name for path in tmp_path.iterdir()] == ["out_0001.mp4"]
    assert len(read_video(tmp_path / "out_0001.mp4")[0]) == 2


def test_the_time_of_day_in_a_name_is_when_the_file_begins(tmp_path):
    with open_sinks(tmp_path / "%Y" / "out_%j.avi", segment_s=60, fps=5) as sinks:
        sinks.write(result())
    assert (tmp_path / time.strftime("%Y") / f"out_{time.strftime('%j')}_0001.avi").is_file()


def test_segments_need_a_video(tmp_path):
    for save in (None, tmp_path / "folder"):
        with pytest.raises(DataError, match=r"give --save a name such as out.mp4"):
            open_sinks(save, segment_s=60)


UNEVEN = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 1.5, 2.5, 3.5, 3.54, 5.5]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".mov"])
def test_frames_of_a_video_file_keep_their_times(tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    with VideoFile(path, fps=10) as sink:
        for number, at in enumerate(UNEVEN):
            sink.write(result(number, grey=20 * number, at=1000.0, video_s=3 + at))
    frames = list(open_source(path))
    assert [frame.video_s for frame in frames] == pytest.approx(UNEVEN, abs=0.001)
    assert [round(frame.image[40:, 40:].mean() / 20) for frame in frames] == list(range(len(UNEVEN)))
    with av.open(str(path)) as container:
        assert container.duration / 1e6 == pytest.approx(5.6, abs=0.01)


def test_frames_of_one_time_do_not_delay_those_after_them(tmp_path):
    times = [n // 4 * 4 / 29.97 for n in range(40)]  # as a video has them whose stamps went back by a rounding
    with VideoFile(tmp_path / "out.mp4", fps=29.97) as sink:
        for number, at in enumerate(times):
            sink.write(result(number, video_s=at))
    assert [frame.video_s for frame in open_source(tmp_path / "out.mp4")] == pytest.approx(times, abs=0.001)


def test_an_avi_of_uneven_times_lasts_as_long(tmp_path):
    with VideoFile(tmp_path / "out.avi", fps=10) as sink:
        for number, at in enumerate(UNEVEN):
            sink.write(result(number, grey=20 * number, video_s=at))
    frames, fps = read_video(tmp_path / "out.avi")
    assert (len(frames), fps) == (56, 10)
    assert [round(frames[n][40:, 40:].mean() / 20) for n in (0, 5, 14, 15, 25, 55)] == [0, 5, 5, 6, 7, 10]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_live_video_shows_each_frame_when_it_was_captured(tmp_path, suffix):
    at = [0.0, 0.04, 0.3, 0.9, 61.0, 61.2, 30.0, 30.1]  # drops, an outage, a clock that was set back
    with VideoFile(tmp_path / f"out{suffix}", fps=25, live=True) as sink:
        for number, captured_at in enumerate(at):
            sink.write(result(number, at=1000 + captured_at))
    times = [frame.video_s for frame in open_source(tmp_path / f"out{suffix}")]
    assert times == pytest.approx([0.0, 0.04, 0.3, 0.9, 0.94, 1.14, 1.18, 1.28], abs=0.001)


@pytest.mark.parametrize("fps", [480, 60, 30000 / 1001, 1])
def test_the_rate_of_the_source_is_kept(tmp_path, fps):
    with VideoFile(tmp_path / "out.mp4", fps=fps) as sink:
        for number in range(12):
            sink.write(result(number, video_s=number / fps))
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert float(container.streams.video[0].average_rate) == pytest.approx(fps)
        assert container.duration / 1e6 == pytest.approx(12 / fps, abs=0.001)


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "h264"), (".mkv", "h264"), (".webm", "vp9"), (".avi", "mjpeg")])
@pytest.mark.parametrize("hw", [(360, 480), (359, 481), (720, 1280)])
def test_browsers_play_it_and_no_row_is_lost(tmp_path, suffix, codec, hw):
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.integers(0, 255, (6, 8, 3), np.uint8), hw[::-1], interpolation=cv2.INTER_CUBIC)
    with VideoFile(tmp_path / f"out{suffix}") as sink:
        for number in range(3):
            sink.write(replace(result(number), image=image))
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name.replace("libvpx-", "").replace("libdav1d", "av1") == codec
        assert stream.codec_context.pix_fmt in ("yuv420p", "yuvj420p")
    shown = list(open_source(tmp_path / f"out{suffix}"))[1].image
    assert shown.shape == (hw[0] + hw[0] % 2, hw[1] + hw[1] % 2, 3)
    expected = replace(result(1), image=image).plot()
    assert np.abs(shown[: hw[0], : hw[1]].astype(int) - expected).mean() < 6  # colours too: each size has its matrix


def test_an_mp4_of_a_file_begins_with_its_index(tmp_path):
    with VideoFile(tmp_path / "out.mp4") as sink:
        sink.write(result())
    data = (tmp_path / "out.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_a_live_mp4_that_breaks_off_plays_up_to_there(tmp_path):
    sink = VideoFile(tmp_path / "out.mp4", fps=10, live=True)
    for number in range(40):
        sink.write(result(number, at=1000 + number / 10))
    part = tmp_path / "power cut.mp4"
    part.write_bytes((tmp_path / ".out.part.mp4").read_bytes())
    sink.close()
    assert 25 <= len(list(open_source(part))) <= 40
    assert len(list(open_source(tmp_path / "out.mp4"))) == 40


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".webm"])
@pytest.mark.parametrize("limit", [500, 200_000])
@pytest.mark.parametrize("live", [False, True])
def test_what_cannot_be_written_is_no_video_that_stays(tmp_path, suffix, limit, live):
    path = tmp_path / f"out{suffix}"
    code = textwrap.dedent(
        """
        import resource, signal, sys
        import numpy as np
        from pvt_edge.errors import DataError
        from pvt_edge.results import Boxes, FrameInfo, Result
        from pvt_edge.sinks import VideoFile

        path, limit, live = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "True"
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), dtype=np.uint8)
        boxes = Boxes([[10, 10, 30, 30]], [0.9], [0])
        sink = VideoFile(path, fps=25, live=live)
        try:
            for n in range(30):
                image = np.roll(noise, n, axis=0)
                sink.write(Result(image, ("RBC",), boxes=boxes, frame=FrameInfo(n, n / 25)))
        except DataError as error:
            print(error)
        try:
            sink.close()
        except DataError as error:
            print(error)
        print("written", [str(path) for path in sink.written()])
        """
    )
    command = [sys.executable, "-c", code, str(path), str(limit), str(live)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    lines = done.stdout.splitlines()
    assert any("cannot" in line for line in lines[:-1])
    if path.exists():
        assert len(list(open_source(path))) >= 1
    assert lines[-1] == f"written {[str(path)] if path.exists() else []}"
    assert [name.name for name in tmp_path.iterdir()] == ([path.name] if path.exists() else [])


def test_without_pyav_opencv_writes(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setitem(sys.modules, "av.codec", None)
    sink = VideoFile(tmp_path / "out.mp4", fps=10)
    with pytest.warns(PictureWarning, match="no H.264 encoder"):
        sink.write(result(video_s=0.0))
    sink.write(result(1, grey=200, video_s=0.5))
    sink.close()
    frames, fps = read_video(tmp_path / "out.mp4")
    assert (len(frames), fps) == (6, pytest.approx(10))


@pytest.mark.parametrize("name", ["2024-05-01T10:20:30", "clip%03d", "100%/a"])
def test_names_are_taken_as_they_are(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path(name).parent.mkdir(exist_ok=True)
    for suffix in (".mp4", ".mkv", ".webm", ".avi"):
        with open_sinks(name + suffix) as sinks:
            sinks.write(result())
        assert sinks.written() == [] or sinks.written() == [Path(name + suffix)]
        assert len(list(open_source(name + suffix))) == 1


def test_segments_of_a_video_file_are_by_its_clock(tmp_path):
    with open_sinks(tmp_path / "out.mp4", fps={0: 10}, segment_s=1.0) as sinks:
        for number in range(25):
            sinks.write(result(number, at=1000.0, video_s=number / 10))
    counts = [len(list(open_source(path))) for path in sorted(tmp_path.iterdir())]
    assert counts == [10, 10, 5]


@pytest.mark.parametrize("segment_s", [None, 4.0])
def test_a_slow_model_is_no_outage(tmp_path, segment_s):
    with open_sinks(tmp_path / "out.mp4", fps=25, live=True, segment_s=segment_s) as sinks:
        for number, at in [(0, 0.0), (75, 3.0), (150, 6.0), (151, 66.0)]:  # then the camera was away
            sinks.write(result(number, at=1000 + at))
    lengths = []
    for path in sorted(tmp_path.iterdir()):
        with av.open(str(path)) as container:
            lengths.append(container.duration / 1e6)
    assert lengths == pytest.approx([6.08] if segment_s is None else [6.0, 0.04, 0.04], abs=0.001)


def test_segments_of_a_camera_that_drops_frames_play_in_real_time(tmp_path):
    with open_sinks(tmp_path / "out.mp4", fps=25, live=True, segment_s=1.0) as sinks:
        for number, at in enumerate([0.0, 0.7, 1.3, 1.9, 2.4]):
            sinks.write(result(number, at=1000 + at))
    lengths = []
    for path in sorted(tmp_path.iterdir()):
        with av.open(str(path)) as container:
            lengths.append(container.duration / 1e6)
    assert lengths == pytest.approx([1.3, 1.1, 0.04], abs=0.001)
