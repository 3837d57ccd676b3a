"""Scripts of benchmarks/studies: what was measured is not lost, and few pictures are pictures too."""

import json
import shutil
import subprocess
import sys

import pytest

from pvt_edge.scenes import write_scenes

pytest.importorskip("cv2", reason="OpenCV is not installed")


@pytest.fixture
def studies(checkout):
    return checkout / "benchmarks" / "studies"


def run(*command, cwd):
    return subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, check=False, cwd=cwd)


def test_a_record_goes_into_a_new_folder(studies, tmp_path):
    path = tmp_path / "new" / "found.json"
    script = "import sys, pathlib, recording; recording.write_record(pathlib.Path(sys.argv[1]), 'again', {'ms': 1})"
    done = run("-c", script, path, cwd=studies)
    assert done.returncode == 0, done.stderr
    found = json.loads(path.read_text())
    assert (found["command"], found["ms"]) == ("again", 1)


def test_masks_of_a_few_pictures(studies, tmp_path):
    labels = write_scenes(tmp_path / "bccd", 2, seed=3)
    shutil.move(labels, tmp_path / "bccd" / "instances_train.json")
    done = run(studies / "cells_masks.py", tmp_path / "bccd", tmp_path / "masked", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "masked" / "masks").iterdir())) == 2
    assert len(list((tmp_path / "masked" / "looks").iterdir())) == 2
