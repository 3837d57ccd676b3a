"""Which pictures of a source are compared."""

import cv2
import numpy as np
import pytest

from pvt_edge.errors import DataError
from pvt_edge.sources import open_source
from pvt_edge.verification.side import drawn_frames, picture_name, shared_names


@pytest.fixture
def folder(tmp_path):
    for i in range(8):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((4, 4, 3), i, np.uint8))
    return tmp_path


def drawn(spec, limit: int, seed: int = 0) -> list[str]:
    with open_source(spec) as source:
        shared = shared_names(source)
        return [picture_name(frame, source, shared) for frame in drawn_frames(source, limit, seed)]


def test_none_can_be_read(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"no picture of .* can be read: cannot read .*a.png"):
        drawn(tmp_path, 3)


def test_all_of_few_in_order(folder):
    assert drawn(folder, 8) == drawn(folder, 100) == [f"{i}.png" for i in range(8)]


def test_names_that_class_folders_share_tell_their_folder(tmp_path):
    for place in ("cat/0.png", "cat/1.png", "dog/0.png"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / place), np.zeros((4, 4, 3), np.uint8))
    assert drawn(str(tmp_path / "*" / "*.png"), 8) == ["cat/0.png", "1.png", "dog/0.png"]


def test_of_more_the_seed_decides(folder):
    assert drawn(folder, 3, seed=1) == drawn(folder, 3, seed=1)
    assert len({tuple(drawn(folder, 3, seed=seed)) for seed in range(4)}) > 1
    assert set().union(*(drawn(folder, 3, seed=seed) for seed in range(20))) == {f"{i}.png" for i in range(8)}


def test_others_stand_in_for_the_unreadable(folder):
    for i in range(5):
        (folder / f"{i}.png").write_bytes(b"x")
    assert sorted(drawn(folder, 3)) == ["5.png", "6.png", "7.png"]


def test_the_first_frames_of_a_camera():
    assert drawn("synthetic://cells?width=64&height=64&frames=5", 2) == ["frame 0", "frame 1"]
