"""Image files, whole, damaged, tiny, huge."""

import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from pvt_edge.errors import DataError, PictureWarning
from pvt_edge.scenes import draw_scene
from pvt_edge.sources import open_source, read_image
from pvt_edge.sources.decoding import overheard
from pvt_edge.sources.picture_kind import JpegHeader, read_jpeg_header


def test_a_jpeg_cut_short_is_refused_though_opencv_would_take_it(tmp_path):
    _, packed = cv2.imencode(".jpg", draw_scene(0).image)
    (tmp_path / "cut.jpg").write_bytes(packed.tobytes()[: len(packed) // 2])
    with pytest.raises(DataError, match="the JPEG file is cut short"):
        read_image(tmp_path / "cut.jpg")


@pytest.mark.parametrize("trailer", [b"", b"\x00" * 64, b"MotionPhoto" * 1000])
def test_a_jpeg_with_a_thumbnail_and_a_trailer_is_whole(tmp_path, trailer):
    image = draw_scene(0).image
    _, packed = cv2.imencode(".jpg", image)
    _, small = cv2.imencode(".jpg", image[::16, ::16].copy())
    thumbnail = b"\xff\xe1" + (len(small) + 2).to_bytes(2, "big") + small.tobytes()
    data = packed.tobytes()
    whole = data[:2] + thumbnail + data[2:]
    (tmp_path / "whole.jpg").write_bytes(whole + trailer)
    assert read_image(tmp_path / "whole.jpg").shape == (480, 640, 3)
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])  # the thumbnail is whole, the picture is not
    with pytest.raises(DataError, match="cut short"):
        read_image(tmp_path / "cut.jpg")


@pytest.mark.parametrize("fill", [b"", b"\xff", b"\xff" * 5])
def test_any_number_of_fill_bytes_may_stand_before_a_jpeg_s_marker(tmp_path, fill):
    _, packed = cv2.imencode(".jpg", np.zeros((20, 30, 3), np.uint8))
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    turned = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    path = tmp_path / "a.jpg"
    path.write_bytes(packed.tobytes()[:2] + fill + turned + fill + packed.tobytes()[2:])
    assert read_image(path).shape == (30, 20, 3)
    assert read_jpeg_header(path) == JpegHeader((30, 20), 6)


@pytest.mark.parametrize(
    ("pixels", "bgr"),
    [
        (np.full((8, 9), 70, np.uint8), (70, 70, 70)),
        (np.full((8, 9), 70 * 257, np.uint16), (70, 70, 70)),
        (np.full((8, 9, 4), (10, 20, 30, 0), np.uint8), (10, 20, 30)),
    ],
)
def test_grey_alpha_and_16_bits_become_bgr(tmp_path, pixels, bgr):
    cv2.imwrite(str(tmp_path / "a.png"), pixels)
    image = read_image(tmp_path / "a.png")
    assert image.shape == (8, 9, 3)
    assert image.dtype == np.uint8
    assert (image == bgr).all()


def test_a_missing_image_is_refused(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("hw", [(1, 1), (1, 16384), (16384, 1), (2160, 16384)])
def test_a_tiny_or_a_16k_picture_is_read(tmp_path, hw):
    cv2.imwrite(str(tmp_path / "a.png"), np.full(hw, 9, np.uint8), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    (frame,) = open_source(tmp_path / "a.png")
    assert frame.image.shape == (*hw, 3)
    assert frame.image[-1, -1].tolist() == [9, 9, 9]


def test_a_header_that_claims_more_pixels_than_fit_is_refused(tmp_path):
    _, packed = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))
    data = bytearray(packed.tobytes())
    data[16:24] = (60000).to_bytes(4, "big") * 2  # width and height
    import zlib

    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    (tmp_path / "bomb.png").write_bytes(data)
    with pytest.raises(DataError, match=r"cannot read .*bomb.png"):
        read_image(tmp_path / "bomb.png")


PICTURE = draw_scene(0).image


def encoded(suffix, *options):
    return cv2.imencode(suffix, PICTURE, list(options))[1].tobytes()


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".jpg", ()),
        (".jpg", (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)),
        (".jpg", (cv2.IMWRITE_JPEG_RST_INTERVAL, 4)),
        (".png", ()),
        (".tiff", ()),
        (".webp", ()),
        (".avif", ()),
        (".bmp", ()),
        (".jp2", ()),
        (".gif", ()),
    ],
)
def test_a_file_cut_short_is_named_and_nothing_else_is_printed(tmp_path, capfd, suffix, options):
    data = encoded(suffix, *options)
    for part in (0.02, 0.5, 0.9):
        path = tmp_path / f"cut{suffix}"
        path.write_bytes(data[: int(len(data) * part)])
        with pytest.raises(DataError, match=f"cannot read .*cut{suffix}"):
            read_image(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("suffix", "options"),
    [(".jpg", ()), (".jpg", (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)), (".png", ()), (".tiff", ()), (".avif", ())],
)
def test_a_file_damaged_in_the_middle_is_named(tmp_path, capfd, suffix, options):
    data = bytearray(encoded(suffix, *options))
    middle = len(data) // 2
    data[middle : middle + 256] = bytes(256)
    (tmp_path / f"bad{suffix}").write_bytes(data)
    with pytest.raises(DataError, match=rf"bad{suffix}.*damaged"):
        read_image(tmp_path / f"bad{suffix}")
    assert capfd.readouterr().err == ""


def test_bytes_before_the_end_of_a_jpeg_are_only_warned_of(tmp_path):
    (tmp_path / "a.jpg").write_bytes(encoded(".jpg")[:-2] + bytes(9) + b"\xff\xd9")
    with pytest.warns(PictureWarning, match=r"a.jpg: damaged at its end.*extraneous bytes"):
        image = read_image(tmp_path / "a.jpg")
    assert np.abs(image.astype(int) - PICTURE).mean() < 3


def test_what_others_write_meanwhile_is_not_lost(capfd):
    def work():
        os.write(2, b"[ WARN:0@1.2] global x.cpp:1 f odd\nlibpng warning: iCCP\na line of another thread\n")

    assert len(overheard(work)[1]) == 3
    assert capfd.readouterr().err == "a line of another thread\n"


def test_of_a_message_of_several_lines_none_is_passed_on(capfd):
    message = b"[ERROR:0@1.2] global x.cpp:1 f error: (-2) in function 'g'\n> Too long:\n>     'a'\n> where\n\nmine\n"
    overheard(lambda: os.write(2, message))
    assert capfd.readouterr().err == "mine\n"


def test_without_a_place_for_a_file_nothing_stays_open(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    before = len(os.listdir("/dev/fd"))
    assert overheard(lambda: "done") == ("done", [])
    assert len(os.listdir("/dev/fd")) == before


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("a.heic", b"\0\0\0\x18ftypheic" + bytes(64), "HEIC: .*heif-convert"),
        ("photo.jpg", b"\0\0\0\x18ftypmif1" + bytes(64), "HEIC: .*heif-convert"),
        ("a.jxl", b"\xff\x0a" + bytes(64), "JPEG XL"),
        ("a.nef", b"MM\0*" + bytes(64), "camera raw"),
        ("a.psd", b"8BPS" + bytes(64), "Photoshop"),
        ("a.mp4", b"\0\0\0\x18ftypisom" + bytes(64), "a video: give it as a source of its own"),
    ],
)
def test_pictures_that_opencv_does_not_read_are_named_with_a_way_out(tmp_path, name, data, why):
    (tmp_path / name).write_bytes(data)
    cv2.imwrite(str(tmp_path / "good.png"), PICTURE)
    source = open_source(tmp_path)
    assert len(list(source)) == 1
    (line,) = source.skipped
    assert re.search(f"{name}: {why}", line)


def test_pictures_are_known_by_content_and_junk_is_no_fault(tmp_path):
    for name, suffix in (("a", ".jpg"), ("b.jfif", ".jpg"), ("c.dat", ".png"), ("d.jpg", ".webp"), ("e.avif", ".avif")):
        (tmp_path / name).write_bytes(encoded(suffix))
    for name, data in (
        ("notes.txt", b"hi"),
        ("Thumbs.db", b"\xd0\xcf\x11\xe0" * 99),
        (".DS_Store", b""),
        ("l.json", b"{}"),
    ):
        (tmp_path / name).write_bytes(data)
    (tmp_path / "folder.jpg").mkdir()
    source = open_source(tmp_path)
    assert [Path(frame.path).name for frame in source] == ["a", "b.jfif", "c.dat", "d.jpg", "e.avif"]
    assert source.skipped == []


@pytest.mark.timeout(30)
def test_links_and_pipes_in_a_folder(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), PICTURE)
    (tmp_path / "b.png").symlink_to(tmp_path / "a.png")
    (tmp_path / "c.png").symlink_to(tmp_path / "gone.png")
    os.mkfifo(tmp_path / "d.png")
    os.mkfifo(tmp_path / "e")
    source = open_source(tmp_path)
    assert [Path(frame.path).name for frame in source] == ["a.png", "b.png"]
    assert [line.rsplit("/", 1)[-1] for line in source.skipped] == [
        "c.png: a link to a file that is not there",
        "d.png: it is no file, but a pipe or a device",
    ]
    with pytest.raises(DataError, match="a pipe"):
        list(open_source(tmp_path / "d.png"))
