"""`pvt-edge demo` and the first screen, as somebody sees them who has just installed the package."""

import json
import shlex

import pytest
import typer

from pvt_edge.cli.app import FIRST_STEPS, app
from pvt_edge.cli.demo import WRITTEN


def test_the_command_alone_says_what_to_do_next(pvt_edge_command):
    done = pvt_edge_command()
    assert (done.returncode, done.stdout, done.stderr) == (0, FIRST_STEPS + "\n", "")
    known = typer.main.get_command(app).commands
    named = [shlex.split(line)[1] for line in FIRST_STEPS.splitlines() if line.startswith("pvt-edge ")]
    assert set(named) <= set(known)


@pytest.mark.timeout(600)
def test_the_demo_finds_cells_in_pictures_and_video(pvt_edge_command, tmp_path):
    out = tmp_path / "demo"
    done = pvt_edge_command("demo", "--out", str(out), "--no-int8", "--count", "2", "--frames", "5")
    assert done.returncode == 0, done.stderr
    assert "$ pvt-edge export --variant b0" in done.stdout
    assert sorted(p.name for p in (out / "annotated").iterdir()) == ["scene_00000.jpg", "scene_00001.jpg"]
    assert sorted(p.name for p in (out / "masks").iterdir()) == ["scene_00000.jpg", "scene_00001.jpg"]
    lines = {name: (out / name).read_text().splitlines() for name in ("images.jsonl", "clip.jsonl")}
    assert {name: len(each) for name, each in lines.items()} == {"images.jsonl": 2, "clip.jsonl": 5}
    assert all(len(json.loads(line)["predictions"]) > 5 for each in lines.values() for line in each)
    assert (out / "annotated.mp4").stat().st_size > 10_000
    assert {path.name for path in out.iterdir()} == WRITTEN  # so that a second run may take their place


def test_debug_reaches_the_commands_that_the_demo_runs(pvt_edge_command, tmp_path):
    (tmp_path / "demo" / "b0").mkdir(parents=True)
    (tmp_path / "demo" / "b0" / "letter.txt").write_text("mine")
    done = pvt_edge_command("--debug", "demo", "--out", str(tmp_path / "demo"), "--count", "1", "--frames", "1")
    assert (done.returncode, "$ pvt-edge export" in done.stdout) == (1, True)
    assert "Traceback" in done.stderr


def test_the_demo_does_not_write_among_other_files(pvt_edge_command, tmp_path):
    (tmp_path / "letter.txt").write_text("mine")
    done = pvt_edge_command("demo", "--out", str(tmp_path / "letter.txt"))
    assert (done.returncode, "--out" in done.stderr) == (1, True)
    done = pvt_edge_command("demo", "--out", str(tmp_path))
    assert (done.returncode, "did not write" in done.stderr) == (1, True)
