"""Which pictures INT8 ranges are taken from, and what the record says of them."""

import hashlib
import os
from contextlib import nullcontext
from pathlib import Path

import cv2
import numpy as np
import pytest

from pvt_edge.bundle.schema import CalibrationRecord, ResizeSpec
from pvt_edge.errors import DataError
from pvt_edge.export.calibration import SCENES, calibration_from_images, calibration_from_scenes
from pvt_edge.pictures.resizing import apply, plan
from pvt_edge.scenes import draw_scene
from pvt_edge.sources import open_source, read_image

IMGSZ = (64, 96)
RESIZE = ResizeSpec(mode="letterbox")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Nine drawn pictures."""
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(9):
        cv2.imwrite(str(folder / f"{i}.png"), draw_scene(i, 80, 100).image)
    return folder


@pytest.fixture
def copied(folder, tmp_path):
    """The same pictures, to spoil."""
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def collect(source, count=4, seed=0, allow_small=True):
    return calibration_from_images(source, IMGSZ, RESIZE, count=count, seed=seed, allow_small=allow_small)


def names(made) -> list[str]:
    return [file.file for file in made.record.images]


def test_the_record(folder):
    made = collect(folder)
    record = made.record
    assert (record.source, record.seed, record.count, record.skipped) == (str(folder), 0, 4, ())
    assert len(record.images) == len(set(names(made))) == 4
    for file in record.images:
        content = (folder / file.file).read_bytes()
        assert (file.sha256, file.bytes) == (hashlib.sha256(content).hexdigest(), len(content))


def test_an_older_record_reads():
    record = CalibrationRecord.model_validate({"source": "images", "seed": 0, "count": 64, "skipped": ["a.png"]})
    assert (record.duplicates, record.left_out) == (0, ())


def test_inputs_are_the_pictures_as_a_predictor_resizes_them(folder):
    made = collect(folder)
    for file, found in zip(made.record.images, made.inputs, strict=True):
        image = read_image(folder / file.file)
        expected = apply(image, plan((80, 100), IMGSZ, RESIZE), RESIZE)
        assert (found.shape, found.dtype) == ((1, *IMGSZ, 3), np.uint8)
        assert (found[0] == expected).all()


def test_twelve_bits_in_files_of_sixteen_give_the_inputs_of_eight(folder, tmp_path):
    for path in folder.iterdir():
        cv2.imwrite(str(tmp_path / path.name), (read_image(path).astype(np.uint32) * 4095 // 255).astype(np.uint16))
    options = {"count": 4, "allow_small": True}
    eight, twelve = (
        calibration_from_images(place, IMGSZ, RESIZE, pixel_max=white, **options)
        for place, white in ((folder, None), (tmp_path, 4095))
    )
    assert names(twelve) == names(eight)
    for one, other in zip(eight.inputs, twelve.inputs, strict=True):
        assert np.abs(one.astype(int) - other).max() <= 1


def test_a_seed_draws_the_same_pictures_again(folder):
    first, second = collect(folder, seed=3), collect(folder, seed=3)
    assert first.record == second.record
    assert all((a == b).all() for a, b in zip(first.inputs, second.inputs, strict=True))


def test_seeds_draw_different_pictures(folder):
    assert len({tuple(names(collect(folder, seed=seed))) for seed in range(8)}) > 4


def test_the_order_of_the_file_system_does_not_matter(folder, monkeypatch):
    expected = {str(source): collect(source).record for source in (folder, folder / "*.png")}
    listed, scanned = Path.iterdir, os.scandir
    monkeypatch.setattr(Path, "iterdir", lambda path: reversed(list(listed(path))))
    monkeypatch.setattr(os, "scandir", lambda path: nullcontext(reversed(list(scanned(path)))))
    assert {str(source): collect(source).record for source in (folder, folder / "*.png")} == expected


def test_every_picture_has_its_chance(folder):
    drawn = {name for seed in range(20) for name in names(collect(folder, seed=seed))}
    assert len(drawn) == 9


@pytest.mark.parametrize(("count", "expected"), [(1, 1), (8, 8), (9, 9), (256, 9)])
def test_count(folder, count, expected):
    made = collect(folder, count)
    assert made.record.count == len(made.inputs) == len(set(names(made))) == expected
    assert names(made) == sorted(names(made))


def test_a_list_of_paths(folder):
    paths = [folder / "5.png", str(folder / "2.png")]
    made = collect(paths)
    assert names(made) == ["5.png", "2.png"]
    assert made.record.source == "the list of 2 files"


def test_a_pattern(folder):
    assert names(collect(str(folder / "[3-5].png"))) == ["3.png", "4.png", "5.png"]


def test_unreadable_files_are_skipped_and_named(copied):
    (copied / "2.png").write_bytes(b"")
    (copied / "7.png").write_bytes(b"no picture")
    made = collect(copied, 9)
    assert names(made) == [f"{i}.png" for i in (0, 1, 3, 4, 5, 6, 8)]
    assert (made.record.count, len(made.record.skipped)) == (7, 2)
    assert "2.png: the file is empty" in made.record.skipped[0]
    assert "7.png" in made.record.skipped[1]


@pytest.mark.parametrize("count", [1, 9])
def test_nothing_readable(copied, count):
    for path in copied.iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"found 0 .* 9 unreadable.*\(cannot read .*0\.png.*1\.png.*2\.png"):
        collect(copied, count)


def test_nothing_there(tmp_path):
    with pytest.raises(DataError, match="no images in"):
        collect(tmp_path)
    with pytest.raises(DataError, match="there is no"):
        collect(tmp_path / "absent")
    with pytest.raises(DataError, match="the list of images is empty"):
        collect([])


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Twelve drawn pictures, one a frame."""
    path = tmp_path_factory.mktemp("video") / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (96, 64))
    assert writer.isOpened()
    for i in range(12):
        writer.write(draw_scene(i, 64, 96).image)
    writer.release()
    return path


def test_a_video(video):
    made = collect(video, count=5)
    with open_source(video) as opened:
        frames = [frame.image for frame in opened]
    numbers = [i for image in made.inputs for i, frame in enumerate(frames) if (frame == image[0]).all()]
    assert len(set(numbers)) == 5
    assert numbers == sorted(numbers)
    assert made.record.source == str(video)
    assert names(made) == [f"frame {number}" for number in numbers]  # a file name alone would not tell them apart
    assert len({file.sha256 for file in made.record.images}) == 5


def test_every_frame_of_a_video_has_its_chance(video):
    drawn = {name for seed in range(20) for name in names(collect(video, seed=seed))}
    assert len(drawn) == 12
    assert collect(video, seed=4).record == collect(video, seed=4).record


def test_scenes():
    made = calibration_from_scenes(IMGSZ, RESIZE, count=2, seed=1)
    again, other = (calibration_from_scenes(IMGSZ, RESIZE, count=2, seed=seed) for seed in (1, 2))
    assert (made.record.source, made.record.count, made.record.seed) == (SCENES, 2, 1)
    assert made.record.images is None
    assert [image.shape for image in made.inputs] == [(1, *IMGSZ, 3)] * 2
    assert all((a == b).all() for a, b in zip(made.inputs, again.inputs, strict=True))
    flat = [image.tobytes() for image in (*made.inputs, *other.inputs)]
    assert len(set(flat)) == 4


def test_real_pictures(bccd):
    made = calibration_from_images(bccd / "images", (480, 640), RESIZE, count=16)
    assert (made.record.count, made.record.skipped) == (16, ())
    for file, image in zip(made.record.images, made.inputs, strict=True):
        assert (image[0] == read_image(bccd / "images" / file.file)).all()  # 640x480 already
