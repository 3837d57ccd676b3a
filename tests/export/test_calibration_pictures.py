"""Which pictures of a source are taken, which are left out, and when there are too few."""

import weakref

import cv2
import numpy as np
import pytest

from pvt_edge.bundle.schema import CalibrationRecord, ResizeSpec
from pvt_edge.errors import DataError
from pvt_edge.export.calibration import FEW, STREAM_FRAMES, calibration_from_images
from pvt_edge.pictures.resizing import apply, plan
from pvt_edge.scenes import draw_scene
from pvt_edge.sources import Frame, Source, read_image

IMGSZ = (64, 96)
RESIZE = ResizeSpec(mode="letterbox")
MANY = 20  # more than enough


@pytest.fixture(scope="module")
def drawn():
    """Twenty pictures of which no two look alike."""
    return [draw_scene(i, 240, 320).image for i in range(MANY)]


@pytest.fixture
def folder(drawn, tmp_path):
    """These pictures as files 00.png to 19.png."""
    for i, image in enumerate(drawn):
        write(tmp_path / f"{i:02}.png", image)
    return tmp_path


def write(path, image) -> None:
    assert cv2.imwrite(str(path), image)


def write_video(path, frames):
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (width, height))
    assert writer.isOpened()
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path


def one_colour(*bgr, height=48, width=64):
    return np.full((height, width, 3), bgr, np.uint8)


def collect(source, **options):
    return calibration_from_images(source, IMGSZ, RESIZE, **options)


def names(made) -> list[str]:
    return [file.file for file in made.record.images]


def shifted(image):
    return cv2.copyMakeBorder(image, 1, 0, 1, 0, cv2.BORDER_REPLICATE)[:-1, :-1]


COPIES = {
    "the same file": (".png", lambda image: image, ()),
    "recoded": (".jpg", lambda image: image, (cv2.IMWRITE_JPEG_QUALITY, 60)),
    "at 90 %": (".png", lambda image: cv2.resize(image, None, fx=0.9, fy=0.9), ()),
    "by a pixel": (".png", shifted, ()),
}


@pytest.mark.parametrize(("suffix", "change", "options"), COPIES.values(), ids=COPIES)
def test_near_duplicates_are_dropped_and_counted(drawn, folder, suffix, change, options):
    for i, image in enumerate(drawn[:6]):
        assert cv2.imwrite(str(folder / f"copy{i:02}{suffix}"), change(image), options)
    made = collect(folder)
    shown = {name.removeprefix("copy")[:2] for name in names(made)}
    assert (made.record.count, made.record.duplicates, len(shown)) == (MANY, 6, MANY)
    assert (made.record.skipped, made.record.left_out) == ((), ())


def test_other_pictures_are_drawn_instead(drawn, folder):
    for i in range(10):
        write(folder / f"copy{i}.png", drawn[0])
        write(folder / f"tiny{i}.png", drawn[i][:8, :8])
        (folder / f"broken{i}.png").write_bytes(b"no picture")
    made = collect(folder, count=MANY - 1)
    assert made.record.count == MANY - 1
    assert made.record.duplicates
    assert made.record.left_out
    assert made.record.skipped


def test_no_more_is_read_than_needed(drawn, folder):
    for i in range(200):
        (folder / f"copy{i}.png").symlink_to(folder / "00.png")
    assert collect(folder, count=1, allow_small=True).record.duplicates == 0


def test_frames_that_stay_the_same_are_dropped(drawn, tmp_path):
    video = write_video(tmp_path / "clip.avi", [image for image in drawn for _ in range(3)])
    record = collect(video).record
    assert (record.count, record.duplicates) == (MANY, 2 * MANY)
    assert [file.file for file in record.images] == [f"frame {3 * i}" for i in range(MANY)]


BLANK = {
    "black": one_colour(0, 0, 0),
    "white": one_colour(255, 255, 255),
    "blue": one_colour(200, 30, 10),
    "coded": one_colour(16, 16, 16) + np.arange(3, dtype=np.uint8),
    "flicker": one_colour(9, 9, 9) + np.random.default_rng(0).integers(0, 3, (48, 64, 3)).astype(np.uint8),
    "large": one_colour(0, 0, 0, height=1200, width=1600),
}


def test_pictures_of_one_colour_are_left_out_and_named(folder):
    for name, image in BLANK.items():
        write(folder / f"{name}.png", image)
    record = collect(folder).record
    assert record.left_out == tuple(f"{name}.png: one colour" for name in sorted(BLANK))
    assert (record.count, record.duplicates, record.skipped) == (MANY, 0, ())


def test_a_faint_picture_is_used(folder):
    faint = one_colour(100, 100, 100)
    faint[20:40, 20:50, 2] += 4
    write(folder / "faint.png", faint)
    assert "faint.png" in names(collect(folder))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 300), (300, 1), (15, 200), (200, 15)])
def test_tiny_pictures_are_left_out_and_named(drawn, folder, height, width):
    write(folder / "tiny.png", cv2.resize(drawn[0], (width, height)))
    record = collect(folder).record
    assert record.left_out == (f"tiny.png: {width}x{height} pixels, a side below 16",)
    assert (record.count, record.duplicates) == (MANY, 0)


def test_the_smallest_picture(folder):
    write(folder / "small.png", cv2.resize(draw_scene(99, 240, 320).image, (16, 16), interpolation=cv2.INTER_AREA))
    made = collect(folder)
    assert "small.png" in names(made)
    assert made.record.left_out == ()


def test_black_frames_are_left_out_and_named(drawn, tmp_path):
    black = np.zeros_like(drawn[0])
    record = collect(write_video(tmp_path / "clip.avi", [black, *drawn, black])).record
    assert record.left_out == ("frame 0: one colour", f"frame {MANY + 1}: one colour")
    assert record.count == MANY


def deep(image):
    """16 bits whose lower byte is not the upper one's copy."""
    return image.astype(np.uint16) * 256 + 77


KINDS = {
    "grey": lambda image: image[..., 1],
    "16-bit grey": lambda image: deep(image[..., 1]),
    "16-bit": deep,
    "alpha": lambda image: np.dstack([image, image[..., 0]]),
    "16-bit alpha": lambda image: deep(np.dstack([image, image[..., 0]])),
}


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("kind", KINDS)
def test_pictures_of_other_kinds(drawn, folder, kind, suffix):
    stored = KINDS[kind](draw_scene(99, 240, 320).image)
    write(folder / f"other{suffix}", stored)
    made = collect(folder)
    found = made.inputs[names(made).index(f"other{suffix}")]
    image = read_image(folder / f"other{suffix}")
    assert (found[0] == apply(image, plan((240, 320), IMGSZ, RESIZE), RESIZE)).all()
    expected = stored / 257 if stored.dtype == np.uint16 else stored
    expected = expected[..., None] if stored.ndim == 2 else expected[..., :3]
    assert np.abs(image - expected).max() <= 1


def test_a_palette_picture(folder):
    pillow = pytest.importorskip("PIL.Image")
    shown = pillow.fromarray(draw_scene(99, 240, 320).image[..., ::-1]).quantize(32)
    shown.save(folder / "palette.png", transparency=3)
    made = collect(folder)
    expected = np.asarray(shown.convert("RGB"))[..., ::-1]
    found = made.inputs[names(made).index("palette.png")]
    assert (found[0] == apply(expected, plan((240, 320), IMGSZ, RESIZE), RESIZE)).all()


def test_a_name_that_is_not_utf8(folder):
    """An archive of long ago: the record must go into a JSON file all the same."""
    inner = folder / "caf\udce9"
    try:
        inner.mkdir()
    except OSError:
        pytest.skip("the names of this file system are UTF-8")
    (folder / "00.png").rename(inner / "\udce9.png")
    (inner / "broken\udce9.png").write_bytes(b"no picture")
    made = collect(inner, count=2, allow_small=True)
    assert names(made) == [r"\udce9.png"]
    assert made.record.source == rf"{folder}/caf\udce9"
    assert r"broken\udce9.png" in made.record.skipped[0]
    assert CalibrationRecord.model_validate_json(made.record.model_dump_json()) == made.record


def test_nothing_of_use(tmp_path):
    write(tmp_path / "black.png", one_colour(0, 0, 0))
    write(tmp_path / "dot.png", one_colour(9, 9, 9, height=1, width=1))
    (tmp_path / "zero.png").write_bytes(b"")
    for options in ({}, {"allow_small": True}):
        with pytest.raises(DataError) as caught:
            collect(tmp_path, **options)
        message = str(caught.value)
        for part in ("found 0", "zero.png: the file is empty", "black.png: one colour", "dot.png: 1x1", "add pictures"):
            assert part in message
        assert "allow-small" not in message  # which would not help


def test_too_few(drawn, tmp_path):
    for i, image in enumerate(drawn[: FEW - 1]):
        write(tmp_path / f"{i:02}.png", image)
    for i in range(3):
        write(tmp_path / f"copy{i}.png", drawn[i])
    for i in range(2):
        (tmp_path / f"broken{i}.png").write_bytes(b"no picture")
    for i in range(4):
        write(tmp_path / f"black{i}.png", one_colour(0, 0, 0))
    with pytest.raises(DataError) as caught:
        collect(tmp_path)
    message = str(caught.value)
    parts = (f"found {FEW - 1} distinct", str(tmp_path), "at least 16", "2 unreadable, 3 near-duplicates, 4 useless")
    for part in (*parts, "broken0.png", "black0.png: one colour", "add pictures, or pass --allow-small"):
        assert part in message
    assert "black3.png" not in message  # the first few are enough
    assert collect(tmp_path, allow_small=True).record.count == FEW - 1
    write(tmp_path / "one_more.png", drawn[FEW - 1])
    assert collect(tmp_path).record.count == FEW


def test_a_video_that_never_changes(drawn, tmp_path):
    with pytest.raises(DataError, match=r"found 1 distinct.* 29 near-duplicates"):
        collect(write_video(tmp_path / "clip.avi", [drawn[0]] * 30))


@pytest.mark.parametrize(("count", "allow_small", "least"), [(FEW - 1, False, 16), (1, False, 16), (0, True, 1)])
def test_a_count_that_is_too_small(folder, count, allow_small, least):
    with pytest.raises(DataError, match=f"{count} calibration .* too few: ask for at least {least}") as caught:
        collect(folder, count=count, allow_small=allow_small)
    assert ("or pass --allow-small" in str(caught.value)) is not allow_small


class Camera(Source):
    """Pictures over and over; `most_alive` of them were in memory at once. At most `most` may be asked for."""

    def __init__(self, images, most) -> None:
        super().__init__("a camera")
        self.images, self.most = images, most
        self.alive, self.most_alive = weakref.WeakValueDictionary(), 0

    def __iter__(self):
        number = 0
        while True:
            assert number < self.most, "read on and on"
            image = self.images[number % len(self.images)].copy()
            self.alive[number] = image
            self.most_alive = max(self.most_alive, len(self.alive))
            yield Frame(image, number)
            number += 1


def test_an_endless_source_stops():
    images = [draw_scene(i, 72, 96).image for i in range(60)]
    made, again = (collect(Camera(images, STREAM_FRAMES), count=24, seed=1) for _ in range(2))
    assert made.record == again.record
    assert (made.record.source, made.record.count) == ("a camera", 24)
    assert made.record.duplicates == STREAM_FRAMES - len(images)
    numbers = [int(name.removeprefix("frame ")) for name in names(made)]
    assert numbers == sorted(numbers)
    assert numbers[-1] >= 24  # not merely the first


def test_only_the_inputs_are_kept():
    camera = Camera([draw_scene(i, 72, 96).image for i in range(60)], STREAM_FRAMES)
    assert collect(camera, count=40).record.count == 40
    assert camera.most_alive <= 3


def test_a_camera_gives_pictures_as_they_come():
    made = collect("synthetic://cells?width=96&height=72&fps=1000", count=16)
    assert made.record.count == 16
    assert made.record.source == "synthetic://cells"


def test_a_camera_that_is_not_there_is_told_without_its_password():
    with pytest.raises(DataError, match=r"cannot open rtsp://\*\*\*@127\.0\.0\.1:1/1: nothing listens") as caught:
        collect("rtsp://user:secret@127.0.0.1:1/1")
    assert "secret" not in str(caught.value)


def test_real_pictures_are_not_taken_for_copies(bccd):
    record = collect(bccd / "images", count=292).record
    assert (record.count + record.duplicates, record.skipped, record.left_out) == (292, (), ())
    assert record.duplicates <= 2
