"""Two runs into one file: the first keeps all of it, and the second is told."""

import json
import subprocess
import sys

import pytest

from pvt_edge.errors import DataError
from pvt_edge.sinks import CsvRows, JsonLines, VideoFile, VideoFiles, open_sinks

from .made import read_video, result

OTHER_RUN = """
import sys
from pathlib import Path
from pvt_edge.errors import DataError
from pvt_edge.sinks import open_sinks
try:
    open_sinks(**{name: Path(path) for name, path in (pair.split("=") for pair in sys.argv[1:])}).close()
except DataError as error:
    print(error)
"""


def other_run(**places) -> str:
    """What a process of its own is told that opens these outputs."""
    pairs = [f"{name}={path}" for name, path in places.items()]
    command, folder = [sys.executable, "-c", OTHER_RUN, *pairs], next(iter(places.values())).parent
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".avi"])
def test_a_video_that_another_run_writes_is_refused_and_whole(tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    with VideoFile(path) as sink:
        sink.write(result(0))
        assert f"{path} is being written by another run" in other_run(save=path)
        sink.write(result(1))
    assert len(read_video(path)[0]) == 2
    assert other_run(save=path) == ""


def test_two_that_began_together_make_one_video(tmp_path):
    path = tmp_path / "out.mp4"
    first, second = VideoFile(path), VideoFile(path)
    first.write(result())
    with pytest.raises(DataError, match="another run"):
        second.write(result())
    second.close()
    first.close()
    assert len(read_video(path)[0]) == 1


def test_so_with_the_videos_of_segments(tmp_path):
    path = tmp_path / "out.mp4"
    with VideoFiles(path, fps={0: 25.0}, live=False, segment_s=60) as sink:
        sink.write(result())
        with (
            VideoFiles(path, fps={0: 25.0}, live=False, segment_s=60) as other,
            pytest.raises(DataError, match="_0001"),
        ):
            other.write(result())
    assert len(read_video(tmp_path / "out_0001.mp4")[0]) == 1


def test_what_a_killed_run_left_is_written_over(tmp_path):
    (tmp_path / ".out.part.mp4").write_bytes(b"half a video")
    with VideoFile(tmp_path / "out.mp4") as sink:
        sink.write(result())
    assert len(read_video(tmp_path / "out.mp4")[0]) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize(("kind", "name"), [(JsonLines, "json"), (CsvRows, "csv")])
def test_rows_that_another_run_writes_are_refused_and_whole(tmp_path, kind, name):
    path = tmp_path / f"out.{name}"
    with kind(path) as sink:
        sink.write(result(0))
        before = path.read_bytes()
        assert f"{path} is being written by another run" in other_run(**{name: path})
        assert path.read_bytes() == before
    with kind(path) as sink:  # the next run begins anew
        pass
    assert len(path.read_bytes()) < len(before)


def test_no_other_file_is_emptied_by_a_run_that_is_refused(tmp_path):
    lines, rows = tmp_path / "a.jsonl", tmp_path / "b.csv"
    with JsonLines(lines) as sink:
        sink.write(result(7))
    with CsvRows(rows), pytest.raises(DataError, match=r"b\.csv is being written by another run"):
        open_sinks(json=lines, csv=rows)
    assert json.loads(lines.read_text())["frame"]["id"] == 7


def test_devices_and_pipes_are_anybody_s():
    with JsonLines("/dev/null") as one, JsonLines("/dev/null") as other, CsvRows("/dev/null") as rows:
        for sink in (one, other, rows):
            sink.write(result())
