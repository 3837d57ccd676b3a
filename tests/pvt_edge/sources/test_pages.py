"""Files of several pictures: TIFF stacks, animations, stereo cameras' JPEGs."""

import struct

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from pvt_edge.errors import DataError, PictureWarning
from pvt_edge.sources import ImageFiles, open_source, read_image

GREYS = (40, 120, 200)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def pages(hw=(48, 64)):
    return [Image.fromarray(np.full((*hw, 3), grey, np.uint8)) for grey in GREYS]


def save_several(path, **options):
    first, *rest = pages()
    first.save(path, save_all=True, append_images=rest, **options)
    return path


def shown(source):
    return [(frame.page, int(frame.image[0, 0].mean())) for frame in source]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.tif", {}),
        ("a.tif", {"big_tiff": True}),
        ("a.tif", {"compression": "tiff_lzw"}),
        ("a.gif", {"duration": 40}),
        ("a.png", {"duration": 40}),
        ("a.webp", {"duration": 40, "lossless": True}),
        ("a.webp", {"duration": 40, "lossless": True, "icc_profile": SRGB}),
        ("a.mpo", {"quality": 95}),
        ("a.jpg", {"format": "MPO"}),
    ],
)
def test_every_page_is_a_frame(tmp_path, name, options):
    path = save_several(tmp_path / name, **options)
    source = open_source(path)
    assert source.frame_count == 3
    assert source.fps == (pytest.approx(25) if "duration" in options else None)
    frames = shown(source)
    assert [page for page, _ in frames] == [1, 2, 3]
    assert [grey for _, grey in frames] == pytest.approx(GREYS, abs=3)
    cv2.imwrite(str(tmp_path / "b.bmp"), np.full((8, 8), 9, np.uint8))
    assert [page for page, _ in shown(open_source(tmp_path))] == [1, 2, 3, None]
    with pytest.warns(PictureWarning, match=f"{name}: of 3 pages only the first"):
        assert int(read_image(path)[0, 0].mean()) == pytest.approx(GREYS[0], abs=3)


def test_views_are_found_behind_bytes_that_fill_up(tmp_path):
    data = save_several(tmp_path / "a.mpo", quality=95).read_bytes()
    (tmp_path / "b.mpo").write_bytes(data[:2] + b"\xff\xff" + data[2:])  # the index counts from itself on
    assert [page for page, _ in shown(open_source(tmp_path / "b.mpo"))] == [1, 2, 3]


@pytest.mark.parametrize("name", ["a.tif", "a.gif", "a.webp"])
def test_a_folder_promises_no_number_where_files_may_hold_several(tmp_path, name):
    save_several(tmp_path / name)
    cv2.imwrite(str(tmp_path / "b.bmp"), np.full((8, 8), 9, np.uint8))
    source = open_source(tmp_path)
    assert source.frame_count is None
    assert len(list(source)) == 4


def test_an_animated_png_may_say_so_behind_long_notes(tmp_path):
    notes = PngInfo()
    notes.add_text("XML:com.adobe.xmp", "x" * 9000)
    path = save_several(tmp_path / "a.png", duration=40, pnginfo=notes)
    assert path.read_bytes().index(b"acTL") > 9000
    assert [page for page, _ in shown(open_source(path))] == [1, 2, 3]


@pytest.mark.parametrize("wrong", ["a byte", "the end"])
def test_an_animated_png_that_is_damaged_is_refused_whole(tmp_path, wrong):
    data = bytearray(save_several(tmp_path / "a.png", duration=40).read_bytes())
    data[data.rindex(b"fdAT") + 10] ^= 1
    (tmp_path / "bad.png").write_bytes(data if wrong == "a byte" else data[:-30])
    with pytest.raises(DataError, match=r"bad.png: the PNG file is damaged \(of an animation"):
        list(open_source(tmp_path / "bad.png"))


def test_an_animated_png_with_a_wrong_checksum_beside_its_pixels_is_read(tmp_path):
    notes = PngInfo()
    notes.add_text("note", "mine")
    path = save_several(tmp_path / "a.png", duration=40, pnginfo=notes)
    path.write_bytes(path.read_bytes().replace(b"note\0mine", b"note\0mind"))
    assert [page for page, _ in shown(open_source(path))] == [1, 2, 3]


@pytest.mark.parametrize("kind", ["a.webp", "a.png", "a.gif", "a.tif", "a.mpo"])
def test_a_file_cut_short_anywhere_is_a_data_error(tmp_path, kind):
    data = save_several(tmp_path / kind, **({} if kind in ("a.tif", "a.mpo") else {"duration": 40})).read_bytes()
    path = tmp_path / f"cut{kind[1:]}"
    for size in range(1, 64):
        path.write_bytes(data[:size])
        with pytest.raises(DataError):
            list(open_source(path))


@pytest.mark.parametrize("name", ["a.gif", "\u00e4.gif", "b\udce4.gif"])
def test_an_animation_is_decoded_in_parts_as_in_one(tmp_path, monkeypatch, name):
    path = save_several(tmp_path / "one.gif").rename(tmp_path / name)
    monkeypatch.setattr("pvt_edge.sources.picture.TOGETHER_BYTES", 1)
    assert shown(open_source(path)) == [(1, 40), (2, 120), (3, 200)]


def test_pages_of_other_sizes_and_depths(tmp_path):
    path = tmp_path / "a.tif"
    sizes = [np.full((20, 30), 160 * 257, np.uint16), np.full((40, 10, 3), 90, np.uint8)]
    cv2.imwritemulti(str(path), sizes)
    frames = list(open_source(path))
    assert [frame.image.shape for frame in frames] == [(20, 30, 3), (40, 10, 3)]
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [160, 90]


def test_a_thumbnail_is_no_page(tmp_path):
    small, whole = np.full((6, 8, 3), 10, np.uint8), np.full((48, 64, 3), 200, np.uint8)
    path = tmp_path / "a.tif"
    Image.fromarray(small).save(path, save_all=True, append_images=[Image.fromarray(whole)], tiffinfo={254: 1})
    data = bytearray(path.read_bytes())
    second = data.rindex(struct.pack("<HHI", 254, 4, 1) + struct.pack("<I", 1))
    data[second + 8 : second + 12] = bytes(4)  # the second is no thumbnail
    path.write_bytes(data)
    (frame,) = open_source(path)
    assert (frame.page, frame.image.shape) == (None, (48, 64, 3))


def test_a_stack_cut_short_gives_what_is_there_and_says_so(tmp_path):
    data = save_several(tmp_path / "a.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(data[: len(data) * 2 // 3])
    source = open_source(tmp_path / "cut.tif")
    frames = shown(source)
    assert frames == [(1, 40), (2, 120)]
    (line,) = source.skipped
    assert "cut short after page 2" in line


def test_one_damaged_page_leaves_the_others(tmp_path):
    path = save_several(tmp_path / "a.tif", compression="tiff_adobe_deflate")
    data = path.read_bytes()
    with Image.open(path) as stack:
        stack.seek(1)
        begin = stack.tag_v2[273][0]  # StripOffsets
    path.write_bytes(data[:begin] + b"\xff" * 8 + data[begin + 8 :])
    source = ImageFiles("a", [path])
    assert [page for page, _ in shown(source)] == [1, 3]
    (line,) = source.skipped
    assert "damaged" in line


def test_a_stack_whose_pages_go_in_a_circle_ends(tmp_path):
    path = save_several(tmp_path / "a.tif")
    data = bytearray(path.read_bytes())
    first = struct.unpack_from("<I", data, 4)[0]
    at = first
    while following := struct.unpack_from("<I", data, at + 2 + 12 * struct.unpack_from("<H", data, at)[0])[0]:
        at = following
    struct.pack_into("<I", data, at + 2 + 12 * struct.unpack_from("<H", data, at)[0], first)
    path.write_bytes(data)
    assert shown(open_source(path)) == [(1, 40), (2, 120), (3, 200)]


def test_files_take_turns_when_drawn(tmp_path):
    save_several(tmp_path / "a.tif")
    cv2.imwrite(str(tmp_path / "b.png"), np.full((8, 8), 9, np.uint8))
    source = open_source(tmp_path)
    assert [(frame.id, frame.page) for frame in source.drawn([1, 0])] == [(1, None), (0, 1), (2, 2), (4, 3)]


def test_floating_point_needs_a_white(tmp_path):
    path = tmp_path / "a.tif"
    cv2.imwrite(str(path), np.full((8, 9), 0.5, np.float32))
    with pytest.raises(DataError, match=r"float32: say which value is white with --pixel-max"):
        read_image(path)
    assert read_image(path, pixel_max=1.0)[0, 0].tolist() == [128] * 3
    assert read_image(path, pixel_max="auto")[0, 0].tolist() == [128] * 3
