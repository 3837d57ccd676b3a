"""Writing: the bundle comes whole, and nothing that a user put there goes."""

import os

import pytest

from pvt_edge.bundle import BundleWriter

from .made import FILES, content, describe, edit, fill, refusal, write


def test_a_second_export_takes_the_place_of_the_first(bundle, folder):
    write(folder, "new")
    assert content(folder) == "new"
    assert os.listdir(folder.parent) == ["b0"]


def test_nothing_is_there_until_finish(folder):
    with BundleWriter(folder) as writer:
        artifacts = fill(writer, "new")
        assert not folder.exists()
        writer.finish(describe(artifacts))
        assert content(folder) == "new"
        assert "written already" in refusal(writer.finish, describe(artifacts))
    assert content(folder) == "new"


@pytest.mark.parametrize("error", [ValueError("a bug"), KeyboardInterrupt(), FileNotFoundError(2, "calibration")])
def test_an_export_that_fails_leaves_the_old_bundle(bundle, folder, error):
    def export():
        with BundleWriter(folder) as writer:
            fill(writer, "new")
            raise error

    with pytest.raises(type(error)) as caught:
        export()
    assert caught.value is error
    assert content(folder) == "old"
    assert os.listdir(folder.parent) == ["b0"]


def test_a_file_to_read_that_is_not_there_is_no_disk_failure(folder):
    with pytest.raises(FileNotFoundError), BundleWriter(folder) as writer:
        writer.path("gone.onnx").read_bytes()


def test_an_export_without_finish_leaves_the_old_bundle(bundle, folder):
    with BundleWriter(folder) as writer:
        fill(writer, "new")
    assert content(folder) == "old"
    assert os.listdir(folder.parent) == ["b0"]


def test_files_and_manifest_must_match(bundle, folder):
    with BundleWriter(folder) as writer:
        assert "was not written to the bundle" in refusal(writer.artifact, "openvino", "fp32", "openvino/gone.xml")
        artifacts = fill(writer, "new")
        writer.path("plots/latency.png").write_text("reports need not be listed")
        writer.path("scratch.onnx").write_text("")
        assert "scratch.onnx would be in the bundle, but not in" in refusal(writer.finish, describe(artifacts))
        writer.path("scratch.onnx").unlink()
        writer.path(FILES[2]).write_text("changed after it was hashed")
        assert f"{FILES[2]} was edited" in refusal(writer.finish, describe(artifacts))
        writer.path(FILES[2]).unlink()
        assert f"{FILES[2]} is missing" in refusal(writer.finish, describe(artifacts))
    assert content(folder) == "old"


@pytest.mark.parametrize("spoil", ["edited", "missing", "old model.json"])
def test_a_spoilt_bundle_can_be_exported_again(bundle, folder, spoil):
    if spoil == "edited":
        (folder / FILES[0]).write_text("edited")
    elif spoil == "missing":
        (folder / FILES[0]).unlink()
    (folder / "report.md").write_text("a bundle's own")
    write(folder, "new")
    assert content(folder) == "new"


def a_file(folder):
    folder.parent.mkdir()
    folder.write_text("mine")


def a_folder(folder):
    folder.mkdir(parents=True)
    (folder / "thesis.tex").write_text("mine")


def a_note(folder):
    write(folder, "old")
    (folder / "openvino" / "notes.txt").write_text("mine")


def named_like_a_report(folder):
    write(folder, "old")
    (folder / "plots" / "old").mkdir(parents=True)
    for name in ("report.md.mine", "report.json.bak", "plots/notes.txt", "plots/old/pareto.png"):
        (folder / name).write_text("mine")


def a_link(folder):
    write(folder, "old")
    (folder / "data").symlink_to(folder.parent)


def a_newer_bundle(folder):
    write(folder, "old")
    edit(folder, schema_version=3)


def a_broken_bundle(folder):
    write(folder, "old")
    (folder / "model.json").write_text("{")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (a_file, "is a file, which an export will not replace"),
        (a_folder, "is neither empty nor a bundle"),
        (a_note, "holds files that an export did not write (openvino/notes.txt)"),
        (named_like_a_report, "(plots/notes.txt, plots/old/pareto.png, report.json.bak, ...)"),
        (a_link, "holds files that an export did not write (data)"),
        (a_newer_bundle, "schema 3, this one reads 2"),
        (a_broken_bundle, "is not JSON"),
    ],
)
def test_what_is_the_users_stays(folder, make, told):
    make(folder)
    before = {path: path.is_file() and path.read_bytes() for path in folder.parent.rglob("*")}
    assert told in refusal(BundleWriter(folder).__enter__)  # before any work is done
    assert {path: path.is_file() and path.read_bytes() for path in folder.parent.rglob("*")} == before


def test_what_a_user_adds_during_an_export_stays(bundle, folder):
    with BundleWriter(folder) as writer:
        artifacts = fill(writer, "new")
        (folder / "notes.txt").write_text("mine")
        assert "notes.txt" in refusal(writer.finish, describe(artifacts))
    assert content(folder) == "old"
    assert (folder / "notes.txt").read_text() == "mine"


def test_an_empty_folder_and_a_link_may_be_taken(folder, tmp_path):
    folder.mkdir(parents=True)
    (tmp_path / "link").symlink_to(folder)
    assert write(tmp_path / "link", "new").folder == folder
    assert (tmp_path / "link").is_symlink()
    assert content(folder) == "new"


@pytest.mark.parametrize("inside", [".", "openvino"])
def test_the_folder_that_one_stands_in_is_not_replaced(bundle, folder, monkeypatch, inside):
    """Its shell and its relative paths would be left in a folder that is deleted."""
    monkeypatch.chdir(folder / inside)
    assert "while you stand in it: go elsewhere" in refusal(write, folder, "new")
    assert os.listdir(".")
    assert content(folder) == "old"


def test_a_link_to_itself_is_refused(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "will not replace" in refusal(write, tmp_path / "loop", "new")
