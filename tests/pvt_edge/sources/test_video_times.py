"""When the frames of a video are shown, and how many there are."""

from fractions import Fraction

import av
import pytest

from pvt_edge.sources import open_source
from pvt_edge.sources.video_frames import VideoClock

from .files import remux, write_clip

UNEVEN = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 1.5, 2.5, 3.5, 3.54, 6.0]


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.webm", "libvpx")])
def test_uneven_times_are_kept_and_the_video_is_whole(tmp_path, name, codec):
    source = open_source(write_clip(tmp_path / name, UNEVEN, codec=codec, options={"crf": "20", "b": "2M"}))
    assert [frame.video_s for frame in source] == pytest.approx(UNEVEN, abs=0.002)
    assert source.skipped == []


@pytest.mark.parametrize("rate", [1, 480])
def test_any_rate(tmp_path, rate):
    times = [n / rate for n in range(12)]
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height = 128, 96
        for n in range(12):
            frame = av.VideoFrame(128, 96, "yuv420p")
            frame.pts, frame.time_base = n, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    source = open_source(path)
    assert (source.fps, source.frame_count) == (rate, 12)
    assert [frame.video_s for frame in source] == pytest.approx(times)


def test_a_clip_that_was_trimmed_hides_its_first_frames(tmp_path):
    path = write_clip(tmp_path / "whole.mp4", [n / 25 for n in range(50)])
    with av.open(str(path)) as source, av.open(str(tmp_path / "trimmed.mp4"), "w") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                shift = round(0.4 / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, stream
                container.mux(packet)
    trimmed = open_source(tmp_path / "trimmed.mp4")
    frames = list(trimmed)
    assert (len(frames), frames[0].video_s) == (40, 0.0)
    assert (trimmed.frame_count, trimmed.skipped) == (40, [])


@pytest.mark.parametrize("name", ["late.ts", "bare.h264", "fragments.mp4", "one.mp4"])
def test_times_begin_with_the_first_frame(tmp_path, name):
    count = 1 if name == "one.mp4" else 50
    path = write_clip(tmp_path / "clip.mp4", [n / 25 for n in range(count)])
    options = {"late.ts": {"output_ts_offset": "100"}, "fragments.mp4": {"movflags": "frag_keyframe+empty_moov"}}
    copy = remux(path, tmp_path / name, options=options.get(name, {}))
    source = open_source(copy)
    assert [frame.video_s for frame in source] == pytest.approx([n / 25 for n in range(count)], abs=1e-4)
    assert source.skipped == []


CLOCKS = {
    "even": ([5.0, 5.1, 5.2], False, [0, 0.1, 0.2]),
    "no time stamps": ([None, None, None], False, [0, 0.1, 0.2]),
    "some have none": ([5.0, None, 5.2], False, [0, 0.1, 0.2]),
    "a long still": ([0.0, 0.1, 20.0], False, [0, 0.1, 20]),
    "a cut in a broadcast": ([0.0, 0.1, 20.0, 20.1], True, [0, 0.1, 0.2, 0.3]),
    "stamps that begin anew": ([3.0, 3.1, 0.0, 0.1], True, [0, 0.1, 0.2, 0.3]),
    "a slip back stays": ([0.0, 0.1, 0.05, 0.2], False, [0, 0.1, 0.1, 0.2]),
    "before nought": ([-0.2, -0.1, 0.0], False, [0, 0.1, 0.2]),
}


@pytest.mark.parametrize(("stamps", "cut", "times"), CLOCKS.values(), ids=CLOCKS)
def test_time_stamps_become_times(stamps, cut, times):
    clock = VideoClock(10.0, cut=cut)
    assert [clock.at(stamp) for stamp in stamps] == pytest.approx(times)
