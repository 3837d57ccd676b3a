"""Readers of masks: every layout, and everything that cannot be used."""

import json
import shutil
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from pvt_edge.data.labelled_set import MaskSample
from pvt_edge.errors import DataError
from pvt_edge.tasks import get_task

MASK = np.array([[0, 1, 2, 255], [2, 2, 1, 0]], np.uint8)
NAMES = ("a", "b", "c")


def picture(path, hw=(2, 4)):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((*hw, 3), 99, np.uint8))


def palette_png(path, mask=MASK):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(mask, np.uint8), "P")
    image.putpalette([255, 0, 0, 7, 7, 7, 200, 0, 9] + [1] * 759)
    image.save(path)


def grey_png(path, values, bits):
    """A PNG of 1, 2 or 4 bits of grey, which Pillow spreads to 0..255."""
    height, width = values.shape
    rows = b""
    for row in values.tolist():
        text = "".join(f"{value:0{bits}b}" for value in row)
        text = text.ljust(-(-len(text) // 8) * 8, "0")
        rows += b"\0" + bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)), (b"IDAT", zlib.compress(rows))]
    content = b"\x89PNG\r\n\x1a\n"
    for kind, data in (*chunks, (b"IEND", b"")):
        content += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def read(folder, images=None, **options):
    return get_task("segment").read_labels(folder, images, **{"labels": NAMES, **options})


def write_simple(folder, mask=MASK):
    picture(folder / "images" / "x.jpg")
    palette_png(folder / "masks" / "x.png", mask)
    return folder


LAYOUTS = {
    "images and masks": ("images/x.jpg", "masks/x.png"),
    "parts": ("images/val/x.jpg", "masks/val/x.png"),
    "ADE20K": ("images/validation/x.jpg", "annotations/validation/x.png"),
    "mmseg": ("img_dir/val/x.jpg", "ann_dir/val/x.png"),
    "Cityscapes": ("leftImg8bit/val/ulm/x_leftImg8bit.png", "gtFine/val/ulm/x_gtFine_labelTrainIds.png"),
    "Pascal VOC": ("JPEGImages/x.jpg", "SegmentationClass/x.png"),
    "parts above": ("val/images/x.jpg", "val/masks/x.png"),
    "flat": ("x.jpg", "x_mask.png"),
    "masks with an ending": ("images/x.jpg", "masks/x_seg.png"),
    "pictures that end as masks": ("images/x_mask.jpg", "masks/x_mask.png"),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_layouts(layout, tmp_path):
    picture(tmp_path / layout[0])
    palette_png(tmp_path / layout[1])
    dataset, own = read(tmp_path)
    (sample,) = dataset.samples
    assert sample.path == tmp_path / layout[0]
    assert sample.mask_path == tmp_path / layout[1]
    assert np.array_equal(sample.mask(), MASK)
    assert dataset.counts() == {"a": 1, "b": 1, "c": 1}
    assert own == ("val" in layout[0])


def test_a_part_is_read_alone_and_another_stands_in_for_it(tmp_path):
    for part in ("train", "val"):
        picture(tmp_path / "images" / part / f"{part}.jpg")
        palette_png(tmp_path / "masks" / part / f"{part}.png")
    for part in ("train", "val"):
        dataset, own = read(tmp_path, part=part)
        assert ([sample.path.stem for sample in dataset.samples], own) == ([part], True)
    (tmp_path / "images" / "val").rename(tmp_path / "images" / "other")
    assert read(tmp_path, part="val")[1] is False


def test_pascal_voc_lists_its_parts(tmp_path):
    for name in ("x", "y"):
        picture(tmp_path / "JPEGImages" / f"{name}.jpg")
        palette_png(tmp_path / "SegmentationClass" / f"{name}.png")
    for part, name in (("train", "x"), ("val", "y")):
        file = tmp_path / "ImageSets" / "Segmentation" / f"{part}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{name}\n")
    dataset, own = read(tmp_path, part="val")
    assert ([sample.path.stem for sample in dataset.samples], own) == (["y"], True)
    file.write_bytes("café".encode("latin-1"))
    with pytest.raises(DataError, match=r"cannot read .*val\.txt"):
        read(tmp_path, part="val")


def test_a_folder_of_masks_with_its_pictures_elsewhere(tmp_path):
    picture(tmp_path / "pictures" / "x.jpg")
    palette_png(tmp_path / "truth" / "x.png")
    dataset, _ = read(tmp_path / "truth", tmp_path / "pictures")
    assert len(dataset.samples) == 1


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_grey_of_few_bits_is_not_spread(bits, tmp_path):
    values = np.arange(8).reshape(2, 4) % 2**bits
    grey_png(tmp_path / "x.png", values, bits)
    assert np.array_equal(MaskSample(tmp_path / "x.jpg", tmp_path / "x.png").mask(), values)


def test_masks_of_16_bits(tmp_path):
    cv2.imwrite(str(tmp_path / "x.png"), MASK.astype(np.uint16))
    assert np.array_equal(MaskSample(tmp_path / "x.jpg", tmp_path / "x.png").mask(), MASK)


def test_reduced_zero_label_as_mmseg_has_it(tmp_path):
    """0 -> 255, others one less, 255 stays."""
    palette_png(tmp_path / "x.png")
    found = MaskSample(tmp_path / "x.jpg", tmp_path / "x.png", reduce_zero_label=True).mask()
    assert found.tolist() == [[255, 0, 1, 255], [1, 1, 0, 255]]


TABLES = {
    "text": ("classes.txt", "p\nq\nr\n", ("p", "q", "r"), MASK),
    "list": ("classes.json", ["p", "q", "r"], ("p", "q", "r"), MASK),
    "names": ("classes.json", {"names": ["p", "q", "r"]}, ("p", "q", "r"), MASK),
    "numbered": ("classes.json", {"names": {"0": "p", "1": "q", "2": "r"}}, ("p", "q", "r"), MASK),
    "reduced": (
        "classes.json",
        {"names": ["p", "q"], "reduce_zero_label": True},
        ("p", "q"),
        [[255, 0, 1, 255], [1, 1, 0, 255]],
    ),
    "categories": (
        "classes.json",
        {"categories": [{"id": 7, "name": "q"}, {"id": 2, "name": "p"}]},
        ("p", "q"),
        [[1, 0, 0, 255], [0, 0, 0, 1]],
    ),
}


@pytest.mark.parametrize("case", TABLES.values(), ids=TABLES)
def test_class_tables(case, tmp_path):
    file, content, names, expected = case
    values = np.array([[7, 2, 2, 255], [2, 2, 2, 7]]) if "categories" in content else MASK
    write_simple(tmp_path, values)
    (tmp_path / file).write_text(content if isinstance(content, str) else json.dumps(content))
    dataset, _ = read(tmp_path)
    assert dataset.names == names
    assert dataset.names_known
    assert np.array_equal(dataset.samples[0].mask(), expected)


def test_without_a_table_the_classes_are_those_given_or_those_found(tmp_path):
    write_simple(tmp_path)
    for labels, expected in ((NAMES, NAMES), (None, ("class_0", "class_1", "class_2"))):
        dataset, _ = read(tmp_path, labels=labels)
        assert (dataset.names, dataset.names_known) == (expected, False)


def broken(folder, kind):
    masks, images = folder / "masks", folder / "images"
    if kind == "another size":
        palette_png(masks / "x.png", np.zeros((3, 4)))
    elif kind == "turned":
        image = Image.new("RGB", (4, 2))
        exif = image.getexif()
        exif[0x0112] = 6
        image.save(images / "x.jpg", exif=exif)
    elif kind == "beyond":
        palette_png(masks / "x.png", np.array([[0, 1, 2, 3], [0, 9, 0, 0]]))
    elif kind == "colours":
        cv2.imwrite(str(masks / "x.png"), np.dstack((MASK, MASK * 0, MASK)))
    elif kind == "grey as colours":
        cv2.imwrite(str(masks / "x.png"), np.dstack((MASK, MASK, MASK)))
    elif kind == "JPEG":
        (masks / "x.png").unlink()
        picture(masks / "x.jpg")
    elif kind == "no picture":
        (masks / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    elif kind == "black and white":
        palette_png(masks / "x.png", np.array([[0, 255, 0, 255], [0, 0, 0, 255]]))
    elif kind == "no pairs":
        (masks / "x.png").rename(masks / "y.png")
    elif kind == "no masks":
        (masks / "x.png").unlink()
    elif kind == "no pictures":
        (images / "x.jpg").unlink()
    elif kind == "two masks":
        cv2.imwrite(str(masks / "x.tif"), MASK)
    elif kind == "broken picture":
        (images / "x.jpg").write_bytes(b"\xff\xd8\xff broken")
    elif kind == "short table":
        (folder / "classes.txt").write_text("p\nq\n")
    elif kind == "double name":
        (folder / "classes.txt").write_text("p\nq\np\n")
    elif kind == "empty table":
        (folder / "classes.txt").write_text("\n")
    elif kind == "table of something else":
        (folder / "classes.json").write_text('{"labels": 3}')
    elif kind == "negative":
        Image.fromarray(np.full((2, 4), -1, np.int32), "I").save(masks / "x.tif")
        (masks / "x.png").unlink()
    elif kind == "fractions":
        Image.fromarray(MASK.astype(np.float32)).save(masks / "x.tif")
        (masks / "x.png").unlink()
    elif kind == "no folder":
        shutil.rmtree(folder)


BROKEN = {
    "another size": "x.png has 4x3 pixels, its picture .*x.jpg 4x2: .*INTER_NEAREST",
    "turned": "EXIF",
    "beyond": r"values 3, 9, of no class; the 3 classes \(a, b, c\) are the values 0 to 2, .*reduce-zero-label",
    "colours": r"has colours \(RGB, \d of them: .*save that as PNG",
    "grey as colours": "getchannel",
    "JPEG": "is a JPEG",
    "no picture": "cannot read the mask",
    "black and white": "0 and 255 alone.*mask // 255",
    "no pairs": "1 of 1 pictures .* have no mask.*x.jpg",
    "no masks": "no masks in",
    "no pictures": "no pictures in",
    "two masks": "would both be the mask of x",
    "broken picture": "cannot be read",
    "short table": "value 2, of no class; the 2 classes",
    "double name": "'p' twice",
    "empty table": "names no class",
    "table of something else": "holds no classes",
    "negative": "from -1 to -1",
    "fractions": r"has fractions .*astype",
    "no folder": "no such file or folder",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_cannot_be_used_is_refused_by_name(kind, tmp_path):
    broken(write_simple(tmp_path), kind)
    with pytest.raises(DataError, match=BROKEN[kind]) as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


def test_of_several_masks_the_first_fault_is_told_and_the_others_are_named(tmp_path):
    write_simple(tmp_path)
    for name in ("y", "z"):
        picture(tmp_path / "images" / f"{name}.jpg")
        palette_png(tmp_path / "masks" / f"{name}.png")
    Image.fromarray(np.full((2, 4), 9, np.uint8)).save(tmp_path / "masks" / "x.png")
    (tmp_path / "masks" / "z.png").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"x.png has the value 9, .*\(1 more of 3 masks cannot be used: z.png\)"):
        read(tmp_path)


def test_what_has_no_partner_is_left_out_and_named(tmp_path):
    write_simple(tmp_path)
    for name in ("y", "z"):
        picture(tmp_path / "images" / f"{name}.jpg")
        palette_png(tmp_path / "masks" / f"{name}.png")
    picture(tmp_path / "images" / "alone.jpg")
    palette_png(tmp_path / "masks" / "spare.png")
    (tmp_path / "images" / "z.jpg").write_bytes(b"\xff\xd8\xff broken")
    dataset, _ = read(tmp_path)
    assert [sample.path.stem for sample in dataset.samples] == ["x", "y"]
    told = "; ".join(dataset.left_out)
    assert "1 (alone.jpg)" in told
    assert "1 (spare.png)" in told
    assert "z.jpg" in told


def test_a_folder_in_no_layout_says_what_is_expected(tmp_path):
    with pytest.raises(DataError, match="expected is images/ and masks/"):
        read(tmp_path)
