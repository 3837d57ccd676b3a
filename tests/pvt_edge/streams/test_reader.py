"""What a reader does with sources that stop, break, freeze and come back."""

import logging
import time

import pytest

from pvt_edge.errors import DataError
from pvt_edge.sources import Frame, SourceOptions, open_source
from pvt_edge.streams import reader
from pvt_edge.streams.status import ENDED, FAILED, LOST, RUNNING

from .cameras import (
    MjpegCamera,
    RtspCamera,
    numbered_jpeg,
    read_number,
    wait_until,
    write_clip,
    write_picture,
    write_video,
)
from .reading import Readings, Scripted, gone, picture

OPTIONS = SourceOptions(stall_s=1.0)


def numbers(frames):
    return [read_number(frame.image) for frame in frames]


def values(frames):
    return [int(frame.image[0, 0, 0]) for frame in frames]


def wait_for_more(frames, count):
    least = len(frames) + count
    wait_until(lambda: len(frames) >= least)


@pytest.fixture
def told(caplog):
    caplog.set_level(logging.WARNING, "pvt_edge.streams")
    return lambda: caplog.messages


def test_a_source_that_ends_at_once():
    with Readings(Scripted(["ended"])) as readings:
        readings.join()
        assert (readings.frames, readings.status().state, readings.status().reconnects) == ([[]], ENDED, 0)


def test_frames_are_numbered_through_over_a_loss(told):
    with Readings(Scripted([1, 2, "lost"], [3, "ended"]), keep_all=True) as readings:
        readings.join()
    assert values(readings.frames[0]) == [1, 2, 3]
    assert [frame.id for frame in readings.frames[0]] == [0, 1, 2]
    assert readings.status().reconnects == 1
    lost, back = told()
    assert lost == "scripted: the stream broke off; trying again until it is back"
    assert back.startswith("scripted: back after ")


def test_the_newest_of_a_live_source_wins():
    with Readings(Scripted([1, 2, 3, 4, "ended"])) as readings:
        readings.join()
    status = readings.status()
    assert status.dropped + len(readings.frames[0]) == 4
    assert values(readings.frames[0])[-1] == 4


def test_attempts_that_fail_are_told_once_and_wait_longer_each_time(told, monkeypatch):
    monkeypatch.setattr(reader, "FIRST_WAIT_S", 0.1)
    source = Scripted(*[[gone()]] * 4, [1, "ended"])
    with Readings(source) as readings:
        readings.join()
    lost, back = told()
    assert lost == "cannot open scripted: gone; trying again until it is back"
    assert back.startswith("scripted: back after ")
    waits = [b - a for a, b in zip(source.attempts, source.attempts[1:], strict=False)]
    assert all(wait >= least for wait, least in zip(waits, (0.05, 0.1, 0.2, 0.4), strict=True))
    assert readings.status().reconnects == 0  # it came late, and was not lost


def test_another_reason_is_told_too(told):
    with Readings(Scripted([gone("refused")], [gone("silent")], [1, "ended"])) as readings:
        readings.join()
    assert [line.split(";")[0] for line in told()][:2] == [
        "cannot open scripted: refused",
        "cannot open scripted: silent",
    ]


def test_a_source_that_shows_itself_ends_the_wait_and_the_back_off(caplog):
    caplog.set_level(logging.DEBUG, "pvt_edge.streams")
    source = Scripted(*[[gone()]] * 4, [1, "ended"], back_after=1)
    with Readings(source) as readings:
        readings.join()
    assert source.peeks == 4
    waits = [float(line.split()[-2]) for line in caplog.messages if "next attempt within" in line]
    assert len(waits) == 4
    assert max(waits) <= reader.FIRST_WAIT_S  # by itself the back-off would be at 2 to 4 s


def test_a_source_that_flaps_is_left_in_peace_longer_each_time(monkeypatch):
    monkeypatch.setattr(reader, "FIRST_WAIT_S", 0.1)
    source = Scripted([1, "lost"], [2, "lost"], [3, "lost"], [4, "ended"])
    with Readings(source, keep_all=True) as readings:
        readings.join()
    waits = [b - a for a, b in zip(source.attempts, source.attempts[1:], strict=False)]
    assert all(wait >= least for wait, least in zip(waits, (0.05, 0.1, 0.2), strict=True))
    assert values(readings.frames[0]) == [1, 2, 3, 4]
    assert readings.status().reconnects == 3


def test_while_it_is_lost_the_state_says_why():
    with Readings(Scripted([1, "stalled"], [gone()], [gone()], [gone()])) as readings:
        lost = wait_until(lambda: readings.status().state == LOST and readings.status())
        assert lost.reason == "scripted: no frame for 0.2 s"
        wait_until(lambda: readings.status().reason == "cannot open scripted: gone")


def test_a_stop_ends_the_longest_wait(monkeypatch):
    monkeypatch.setattr(reader, "FIRST_WAIT_S", 300.0)
    with Readings(Scripted(*[[gone()]] * 99)) as readings:
        wait_until(lambda: readings.sources[0].attempts)
        readings.readers[0].stop()
        assert readings.readers[0].join(60)
        assert readings.status().state == LOST  # as it was left


def test_damage_and_what_was_passed_over_are_counted():
    source = Scripted([1, "damaged", "damaged", 2, "behind", 3, "lost"], ["damaged", 4, "ended"])
    with Readings(source, keep_all=True) as readings:
        readings.join()
    status = readings.status()
    assert (status.decode_errors, status.dropped, status.reconnects) == (3, 1, 1)
    assert values(readings.frames[0]) == [1, 2, 3, 4]
    assert [frame.id for frame in readings.frames[0]] == [0, 1, 3, 4]  # the one passed over has used up its id


def test_a_picture_that_cannot_be_prepared_is_a_decode_error():
    def prepare(frame):
        if frame.image[0, 0, 0] == 2:
            raise DataError("no")
        return frame

    with Readings(Scripted([1, 2, 3, "ended"]), prepare=prepare, keep_all=True) as readings:
        readings.join()
    assert values(readings.frames[0]) == [1, 3]
    assert readings.status().decode_errors == 1


def test_a_mistake_ends_its_source_and_is_handed_on():
    with Readings(Scripted([1, RuntimeError("oh")]), Scripted([1, 2, 3, "ended"]), keep_all=True) as readings:
        readings.join()
    assert isinstance(readings.readers[0].error, RuntimeError)
    assert (readings.status(0).state, readings.status(0).reason) == (FAILED, "oh")
    assert values(readings.frames[1]) == [1, 2, 3]


def test_what_waited_in_an_open_source_is_not_the_present(told):
    stale = Frame(picture(1), tick=time.perf_counter() - 5.0)
    source = Scripted([stale, 2, 3, "ended"], [4, "ended"])
    source.connect()
    with Readings(source, keep_all=True) as readings:
        readings.join()
    assert values(readings.frames[0]) == [4]
    assert (readings.status().reconnects, told()) == (0, [])


def test_an_open_source_that_is_fresh_is_read_on():
    source = Scripted([1, 2, "ended"])
    source.connect()
    with Readings(source, keep_all=True) as readings:
        readings.join()
    assert (values(readings.frames[0]), len(source.attempts)) == ([1, 2], 1)


def test_a_file_is_read_in_order_and_its_error_kept(tmp_path):
    for number in range(5):
        write_picture(tmp_path / f"{number}.png", number)
    with Readings(open_source(tmp_path)) as readings:
        readings.join()
    assert values(readings.frames[0]) == [0, 1, 2, 3, 4]
    assert readings.status().state == ENDED
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.jpg").write_bytes(b"x")
    with Readings(open_source(tmp_path / "bad")) as readings:
        readings.join()
    assert "not an image" in str(readings.readers[0].error)


def test_a_web_video_that_is_away_at_the_start_is_read_through_once_it_is_there(tmp_path, told):
    files = {}
    with MjpegCamera(files=files) as camera:
        source = open_source(f"http://{camera.host}/clip.mp4", OPTIONS, connect=False)
        with Readings(source) as readings:
            wait_until(lambda: readings.status().state == LOST)
            files["/clip.mp4"] = write_video(tmp_path / "clip.mp4", frames=12, codec="mp4v").read_bytes()
            readings.join()
    assert [frame.video_s for frame in readings.frames[0]] == pytest.approx([n / 10 for n in range(12)])
    status = readings.status()
    assert (status.live, status.state, status.dropped, status.reconnects) == (False, ENDED, 0, 0)
    assert "back after" in told()[-1]


@pytest.mark.parametrize("comes_as", ["a picture", "a camera"])
def test_what_is_away_at_a_pictures_address_may_be_either(tmp_path, comes_as):
    files, jpegs = {}, [numbered_jpeg(number) for number in range(5)]
    path = "/x.png" if comes_as == "a picture" else "/late.jpg"
    with MjpegCamera(jpegs, files=files) as camera:
        source = open_source(f"http://{camera.host}{path}", OPTIONS, connect=False)
        with Readings(source, keep_all=True) as readings:
            wait_until(lambda: readings.status().state == LOST)
            if comes_as == "a picture":
                files["/x.png"] = write_picture(tmp_path / "x.png", 77).read_bytes()
            else:
                camera.streams_at.append("/late.jpg")
            wait_until(lambda: len(readings.frames[0]) == (1 if comes_as == "a picture" else 5))
    assert readings.status().live == (comes_as == "a camera")


def test_a_camera_that_is_killed_and_restarted_gives_no_frame_twice_and_none_of_its_own(told):
    with RtspCamera("--first-by-clock") as camera:
        source = open_source(camera.address, OPTIONS)
        with Readings(source, keep_all=True) as readings:
            for outage in range(2):
                wait_for_more(readings.frames[0], 10)
                camera.kill()
                wait_until(lambda: readings.status().state == LOST)
                camera.start()
                wait_until(lambda count=outage + 1: readings.status().reconnects == count)
            wait_for_more(readings.frames[0], 10)
    seen = numbers(readings.frames[0])
    assert None not in seen
    assert seen == sorted(set(seen))
    assert readings.status().reconnects == 2
    assert [line.split(": ")[-1][:10] for line in told()][1::2] == ["back after"] * 2


def test_the_other_cameras_frames_go_on_while_one_is_dead():
    with RtspCamera("--fps", "50") as victim, RtspCamera("--fps", "50") as other:
        sources = [open_source(camera.address, OPTIONS) for camera in (victim, other)]
        with Readings(*sources, keep_all=True) as readings:
            wait_until(lambda: all(len(frames) > 20 for frames in readings.frames))
            victim.kill()
            wait_until(lambda: readings.status(0).state == LOST)
            dead_frames = len(readings.frames[0])
            wait_for_more(readings.frames[1], 100)
            assert len(readings.frames[0]) == dead_frames
            assert readings.status(1).state == RUNNING
            victim.start()
            wait_until(lambda: readings.status(0).reconnects == 1)
    seen = numbers(readings.frames[1])
    assert seen == list(range(seen[0], seen[0] + len(seen)))
    assert (readings.status(1).reconnects, readings.status(1).decode_errors) == (0, 0)


def test_a_camera_that_says_nothing_more_is_opened_anew():
    with RtspCamera("--silent", "30") as camera:
        source = open_source(camera.address, OPTIONS)
        with Readings(source, keep_all=True) as readings:
            lost = wait_until(lambda: readings.status().state == LOST and readings.status())
    assert "no frame for 1." in lost.reason
    seen = numbers(readings.frames[0])
    assert seen == list(range(seen[0], 30))


def test_a_camera_that_shows_the_same_picture_is_opened_anew_once(told):
    with RtspCamera("--codec", "mjpeg", "--fps", "50", "--freeze", "30") as camera:
        source = open_source(camera.address, SourceOptions(stall_s=0.5))
        with Readings(source, keep_all=True) as readings:
            wait_until(lambda: readings.status().reconnects == 1)
            wait_for_more(readings.frames[0], 75)  # three times the stall time
            assert (readings.status().reconnects, readings.status().state) == (1, RUNNING)
    assert told()[0] == f"{camera.address}: the picture has not changed in 0.5 s; trying again until it is back"


def test_damaged_pictures_of_a_real_camera_are_counted():
    jpegs = [numbered_jpeg(number) for number in range(30)]
    jpegs[10] = jpegs[10][:100]
    with MjpegCamera(jpegs, every_s=0.005) as camera:
        source = open_source(camera.address, OPTIONS)
        with Readings(source, keep_all=True) as readings:
            wait_until(lambda: readings.status().state == LOST)
    assert readings.status().decode_errors == 1
    assert numbers(readings.frames[0])[:29] == [number for number in range(30) if number != 10]


def test_damaged_pictures_of_a_video_file_are_counted(tmp_path):
    path = write_clip(tmp_path / "clip.ts", [n / 25 for n in range(50)], options={"g": "10", "crf": "12"})
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 2000] = bytes(2000)
    path.write_bytes(data)
    source = open_source(path)
    with Readings(source) as readings:
        readings.join()
    assert readings.status().decode_errors == source.decode_errors > 0
    assert source.skipped[0].startswith(f"{path}: {source.decode_errors} damaged picture")
