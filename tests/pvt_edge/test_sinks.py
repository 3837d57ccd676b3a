"""Files that sinks write, read back; places that cannot be written."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from pvt_edge.errors import DataError
from pvt_edge.results import Boxes, FrameInfo, Result
from pvt_edge.sinks import ImageFile, ImageFolder, JsonLines, Sink, Sinks, VideoFile, open_sinks

NAMES = ("RBC",)


def result(number=0, path=None, hw=(48, 64), grey=100):
    boxes = Boxes([[10, 10, 30, 30]], [0.9], [0])
    return Result(np.full((*hw, 3), grey, np.uint8), NAMES, boxes=boxes, path=path, frame=FrameInfo(number))


def read_video(path):
    capture = cv2.VideoCapture(str(path))
    frames = []
    while True:
        found, image = capture.read()
        if not found:
            return frames, capture.get(cv2.CAP_PROP_FPS)
        frames.append(image)


def test_nothing_written_leaves_no_video_and_an_empty_json(tmp_path):
    with open_sinks(tmp_path / "out.mp4", tmp_path / "out.jsonl"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]
    assert (tmp_path / "out.jsonl").read_text() == ""


def test_no_sinks_take_results_too():
    with open_sinks() as sinks:
        sinks.write(result())
    assert sinks.sinks == ()


@pytest.mark.parametrize(
    ("save", "kind"),
    [
        ("out.mp4", VideoFile),
        ("out.AVI", VideoFile),
        ("out.jpg", ImageFile),
        ("out", ImageFolder),
        ("out.v2", ImageFolder),
        ("there.mp4", ImageFolder),  # a folder of that name exists
    ],
)
def test_the_ending_chooses_the_sink(tmp_path, save, kind):
    (tmp_path / "there.mp4").mkdir()
    (sink,) = open_sinks(tmp_path / save).sinks
    assert type(sink) is kind


def test_a_folder_of_pictures(tmp_path):
    written = [
        result(0, "shots/a.png"),
        result(1, "other/a.png"),
        result(2, "other/A.jpg"),
        result(7, "clip.mp4"),
        result(3),
    ]
    with open_sinks(tmp_path / "new" / "drawn") as sinks:
        for one in written:
            sinks.write(one)
    names = sorted(path.name for path in (tmp_path / "new" / "drawn").iterdir())
    assert names == sorted(["a.jpg", "a_1.jpg", "A_2.jpg", "clip_000007.jpg", "frame_000003.jpg"])
    drawn = cv2.imread(str(tmp_path / "new" / "drawn" / "a.jpg"))
    assert np.abs(drawn.astype(int) - written[0].plot()).mean() < 8


@pytest.mark.parametrize("name", ["a.jpg", "a.mp4"])
def test_nothing_is_written_over_its_source(tmp_path, name):
    source = tmp_path / name
    source.write_bytes(b"pixels")
    before = source.read_bytes()
    for save in (tmp_path, source) if name == "a.jpg" else (source,):
        with pytest.raises(DataError, match="would write over"), open_sinks(save) as sinks:
            sinks.write(result(path=str(source)))
    assert source.read_bytes() == before


def test_one_picture_holds_one(tmp_path):
    with open_sinks(tmp_path / "one.png") as sinks:
        sinks.write(result())
        with pytest.raises(DataError, match="holds one picture"):
            sinks.write(result())
    assert np.array_equal(cv2.imread(str(tmp_path / "one.png")), result().plot())


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv", ".mov"])
def test_a_video_holds_the_annotated_frames(tmp_path, suffix):
    with open_sinks(tmp_path / "new" / f"out{suffix}", fps=12) as sinks:
        for number in range(6):
            sinks.write(result(number, grey=40 * number))
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
    (tmp_path / "out.mp4").write_bytes(b"old")
    with VideoFile(tmp_path / "out.mp4") as sink:
        sink.write(result())
        assert (tmp_path / "out.mp4").read_bytes() == b"old"
    assert len(read_video(tmp_path / "out.mp4")[0]) == 1


@pytest.mark.parametrize("suffix", [".gif", ".wmv", ".mpg"])
def test_videos_that_can_be_read_but_not_written_are_refused(tmp_path, suffix):
    with pytest.raises(DataError, match=r"suffix must be one of .mp4"):
        open_sinks(tmp_path / f"out{suffix}")


def test_json_lines_are_there_at_once(tmp_path):
    with open_sinks(json=tmp_path / "new" / "out.jsonl") as sinks:
        for number in range(3):
            sinks.write(result(number))
            assert len((tmp_path / "new" / "out.jsonl").read_text().splitlines()) == number + 1
    lines = (tmp_path / "new" / "out.jsonl").read_text().splitlines()
    assert [json.loads(line)["frame"]["id"] for line in lines] == [0, 1, 2]


def test_json_to_standard_output_leaves_it_open(capsys):
    with open_sinks(json="-") as sinks:
        sinks.write(result(4))
    print("still open")
    first, second = capsys.readouterr().out.splitlines()
    assert json.loads(first)["frame"]["id"] == 4
    assert second == "still open"


@pytest.mark.parametrize("save", ["file/out", "file/out.mp4", "file/out.png"])
def test_a_place_that_cannot_be_written_is_named(tmp_path, save):
    (tmp_path / "file").write_text("a file, no folder")
    with (
        pytest.raises(DataError, match=f"cannot write .*{save}.*choose another place"),
        open_sinks(tmp_path / save) as sinks,
    ):
        sinks.write(result(path="a.jpg"))


def test_json_that_cannot_be_opened_is_named(tmp_path):
    with pytest.raises(DataError, match=r"cannot write .*choose another place"):
        open_sinks(json=tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_an_error():
    sink = JsonLines("/dev/full")
    with pytest.raises(DataError, match="No space left"):
        sink.write(result())
    with pytest.raises(DataError, match="No space left"):  # what could not be flushed is still there
        sink.close()


def test_writing_after_close_is_an_error(tmp_path):
    sink = JsonLines(tmp_path / "out.jsonl")
    sink.close()
    sink.close()
    with pytest.raises(DataError, match="closed"):
        sink.write(result())


def test_all_sinks_are_closed_when_one_fails():
    class Log(Sink):
        target = "log"
        closed = False

        def write(self, result):
            pass

        def close(self):
            self.closed = True

    class Broken(Log):
        def close(self):
            raise DataError("cannot finish")

    first, last = Log(), Log()
    with pytest.raises(DataError, match="cannot finish"):
        Sinks([first, Broken(), last]).close()
    assert first.closed
    assert last.closed
