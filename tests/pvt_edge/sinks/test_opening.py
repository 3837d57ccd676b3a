"""Which sinks are opened, and what stays open when one cannot be."""

import json

import pytest

from pvt_edge.errors import DataError
from pvt_edge.sinks import ImageFile, ImageFolder, Sink, Sinks, VideoFile, VideoFiles, open_sinks

from .made import result


class Log(Sink):
    target = "log"
    closed = False

    def write(self, result):
        pass

    def close(self):
        self.closed = True


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
        ("out.v2/", ImageFolder),
        ("there.mp4", ImageFolder),  # a folder of that name exists
    ],
)
def test_the_ending_chooses_the_sink(tmp_path, save, kind):
    (tmp_path / "there.mp4").mkdir()
    (sink,) = open_sinks(f"{tmp_path}/{save}").sinks
    assert type(sink) is kind


def test_an_unknown_ending_is_refused_with_those_that_are_known(tmp_path):
    with pytest.raises(DataError, match=r"pictures end in .jpg .*videos in .mp4 .* write .*out.xyz/"):
        open_sinks(tmp_path / "out.xyz")
    assert list(tmp_path.iterdir()) == []


def test_two_outputs_in_one_file_are_refused(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(DataError, match="two outputs"):
        open_sinks(json=tmp_path / "a", csv=tmp_path / "link" / "a")


def test_several_streams_or_segments_make_several_videos(tmp_path):
    assert type(open_sinks(tmp_path / "a.mp4", fps={0: 25, 1: None}).sinks[0]) is VideoFiles
    assert type(open_sinks(tmp_path / "a.mp4", segment_s=600).sinks[0]) is VideoFiles


def test_what_was_open_is_closed_when_another_cannot_be_and_no_file_was_emptied(tmp_path):
    (tmp_path / "old.jsonl").write_text("old")
    first = Log()

    def refuse():
        raise DataError("no screen")

    with pytest.raises(DataError, match="no screen"):
        open_sinks(json=tmp_path / "old.jsonl", viewers=[lambda: first, refuse])
    assert first.closed
    assert (tmp_path / "old.jsonl").read_text() == "old"


@pytest.mark.parametrize(
    "refused", [{"webhook": "ftp://host/"}, {"masks": "file/masks"}, {"csv": "file"}, {"save": "file/out.jpg"}]
)
def test_no_file_is_emptied_when_another_output_is_refused(tmp_path, monkeypatch, refused):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("not ours, and no folder")
    with open_sinks(json="old.jsonl") as sinks:
        sinks.write(result())
    old = (tmp_path / "old.jsonl").read_text()
    with pytest.raises(DataError):
        open_sinks(json="old.jsonl", **refused)
    assert (tmp_path / "old.jsonl").read_text() == old != ""


def test_all_sinks_are_closed_when_one_fails():
    class Broken(Log):
        def close(self):
            raise DataError("cannot finish")

    first, last = Log(), Log()
    with pytest.raises(DataError, match="cannot finish"):
        Sinks([first, Broken(), last]).close()
    assert first.closed
    assert last.closed


def test_a_folder_s_name_is_no_time(tmp_path):
    (tmp_path / "100%done").mkdir()
    with open_sinks(tmp_path / "100%done" / "out-%Y.jpg") as sinks:
        sinks.write(result())
    (made,) = (tmp_path / "100%done").iterdir()
    assert made.name.startswith("out-2")
    assert len(made.name) == len("out-2026.jpg")


def test_names_that_are_no_text_are_written(tmp_path):
    path = str(tmp_path / "b\udce9.png")  # a name in Latin-1
    with open_sinks(tmp_path / "drawn", tmp_path / "out.jsonl", csv=tmp_path / "out.csv") as sinks:
        sinks.write(result(path=path))
    assert json.loads((tmp_path / "out.jsonl").read_text())["path"] == path
    assert "udce9.png" in (tmp_path / "out.csv").read_text()
    assert len(list((tmp_path / "drawn").iterdir())) == 1


@pytest.mark.parametrize("option", ["save", "csv", "masks"])
def test_a_dash_is_no_file_s_name(tmp_path, monkeypatch, option):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="only --json writes to standard output"):
        open_sinks(**{option: "-"})
    assert not list(tmp_path.iterdir())
