"""A real RTSP server: codecs, transports, logins, sizes that change, losses, deaths."""

import time
from itertools import pairwise

import numpy as np
import pytest

from pvt_edge.errors import DataError
from pvt_edge.sources import SourceOptions, open_source

from .cameras import RtspCamera, read_number


def read(source, frames):
    return [source.read() for _ in range(frames)]


def numbers(frames):
    return [read_number(frame.image) for frame in frames]


@pytest.mark.parametrize("codec", ["h264", "h265", "vp8", "mjpeg", "theora"])
def test_every_codec_gives_every_frame_in_order(codec):
    with RtspCamera("--codec", codec, "--fps", "60") as camera, open_source(camera.address) as source:
        frames = read(source, 30)
        seen = numbers(frames)
        assert seen == list(range(seen[0], seen[0] + 30))
        assert (source.wh, source.fps, source.decode_errors, source.live) == ((320, 240), 60.0, 0, True)
        assert frames[0].image.flags.writeable
        assert frames[0].image.dtype == np.uint8
        assert [frame.id for frame in frames] == list(range(30))


@pytest.mark.parametrize("sizes", [("320x240", "640x480"), ("640x480", "320x240")])
@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_a_size_that_changes_in_mid_stream(codec, sizes):
    options = ("--codec", codec, "--fps", "60", "--size", sizes[0], "--resize", f"30:{sizes[1]}")
    with RtspCamera(*options) as camera, open_source(camera.address) as source:
        frames = read(source, 60)
    assert {f"{frame.image.shape[1]}x{frame.image.shape[0]}" for frame in frames} == set(sizes)
    seen = numbers(frames)
    assert seen == list(range(seen[0], seen[0] + 60))


def test_udp():
    options = SourceOptions(rtsp_transport="udp")
    with RtspCamera("--udp-only", "--fps", "60") as camera, open_source(camera.address, options) as source:
        seen = numbers(read(source, 20))
    assert seen == sorted(set(seen) - {None})


def test_a_server_without_tcp_names_the_option():
    with RtspCamera("--udp-only") as camera, pytest.raises(DataError) as caught:
        open_source(camera.address)
    assert str(caught.value).endswith("its server does not send over tcp; try --rtsp-transport udp")


@pytest.mark.parametrize("how", [(), ("--digest",)])
def test_logins(how):
    with RtspCamera(*how, login="me:s3cret") as camera:
        with open_source(camera.address) as source:
            assert source.name == f"rtsp://***@127.0.0.1:{camera.port}/cam"
            assert source.read().image.shape == (240, 320, 3)
        for wrong, why in (
            ("me:wr0ng@", r"it refuses this user and password \(401\); check them"),
            ("", "it asks for a user and password: write USER:PASSWORD@ before the host"),
        ):
            with pytest.raises(DataError, match=why) as caught:
                open_source(camera.address.replace("me:s3cret@", wrong))
            assert "wr0ng" not in str(caught.value)


def test_a_wrong_path_is_left_to_the_back_off():
    with RtspCamera() as camera:
        source = open_source(camera.address.replace("/cam", "/cma"), connect=False)
        with pytest.raises(DataError, match=r"no such stream \(404\); check the path"):
            source.connect()
        assert [source.is_back(), source.is_back()] == [False, False]


def test_death_is_noticed_at_once():
    with RtspCamera() as camera, open_source(camera.address, SourceOptions(stall_s=30)) as source:
        read(source, 3)
        camera.kill()
        began = time.monotonic()
        while source.read() is not None:
            pass
        assert time.monotonic() - began < 15  # half the stall time
        assert source.read() is None


def test_silence_is_noticed_after_the_stall_time():
    with RtspCamera("--silent", "30") as camera, open_source(camera.address, SourceOptions(stall_s=1)) as source:
        seen = []
        while (frame := source.read()) is not None:
            last = time.monotonic()
            seen.append(read_number(frame.image))
        assert time.monotonic() - last >= 0.9
    assert seen == list(range(seen[0], 30))


def test_a_reader_that_is_too_slow_passes_over_what_it_missed():
    with RtspCamera("--fps", "50", "--key", "10") as camera, open_source(camera.address) as source:
        first = numbers(read(source, 50))[-1]
        time.sleep(2.0)  # 100 frames wait
        caught_up = [source.read() for _ in range(40)]
    seen = numbers(caught_up)
    assert None not in seen
    assert seen == sorted(set(seen))
    assert source.passed_over > 40
    assert seen[-1] - first > 40 + source.passed_over - 10
    assert caught_up[-1].age_ms < caught_up[0].age_ms
    assert max(frame.age_ms for frame in caught_up) > 1000  # the wait in the queue counts


def test_a_lost_packet_of_a_jpeg_invents_no_picture():
    options = ("--codec", "mjpeg", "--fps", "60", "--loss", "0.2")
    with RtspCamera(*options) as camera, open_source(camera.address) as source:
        seen = numbers(read(source, 40))
    assert None not in seen
    assert seen == sorted(set(seen))
    assert seen[-1] - seen[0] > 39


def test_pictures_patched_up_after_a_loss_are_left_out_and_counted():
    with RtspCamera("--packet-loss", "0.02", "--fps", "50") as camera, open_source(camera.address) as source:
        seen = numbers(read(source, 60))
    assert source.decode_errors > 0
    assert seen[-1] - seen[0] >= 59 + source.decode_errors // 2


def test_little_is_held_back_to_learn_of_the_stream():
    with RtspCamera("--codec", "mjpeg") as camera, open_source(camera.address) as source:
        times = []
        for _ in range(30):
            source.read()
            times.append(time.monotonic())
    ready = next(i for i, (a, b) in enumerate(pairwise(times)) if b - a > 0.02)
    assert ready < 10  # FFMPEG by default waits for 20 frames, and counts their rate


def test_it_connects_again_and_counts_on():
    with RtspCamera("--first-by-clock") as camera, open_source(camera.address) as source:
        before = numbers(read(source, 3))
        camera.kill()
        while (frame := source.read()) is not None:
            before.append(read_number(frame.image))
        source.disconnect()
        with pytest.raises(DataError, match="nothing listens on"):
            source.connect()
        camera.start()
        assert source.is_back()  # the attempt has seen it away
        source.connect()
        after = read(source, 3)
    assert numbers(after)[0] > before[-1]
    assert [frame.id for frame in after] == [len(before) + i for i in range(3)]


def test_another_thread_may_close_it():
    with RtspCamera() as camera:
        source = open_source(camera.address)
        source.read()
        source.close()
        source.close()
        assert source.read() is None
        assert not source.connected
