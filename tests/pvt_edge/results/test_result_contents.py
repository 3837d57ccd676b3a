"""What a result offers beside its arrays: a line about itself, other box forms, tables, crops, a window."""

import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from pvt_edge.errors import ArgumentError, DataError, PvtEdgeError, RuntimeMissingError
from pvt_edge.results import Boxes, Probs, Result

NAMES = ("RBC", "WBC", "a/b: Zähler")
IMAGE = np.arange(60 * 80 * 3, dtype=np.uint32).reshape(60, 80, 3).astype(np.uint8)
NO_BOXES = Boxes(np.zeros((0, 4)), np.zeros(0), np.zeros(0))
BOXES = Boxes([[0, 0, 40, 30], [10, 20, 50, 60], [70.2, 50, 90, 90]], [0.9, 0.5, 0.4], [0, 0, 2])


def result(**fields):
    return Result(IMAGE, NAMES, **fields)


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"boxes": NO_BOXES}, "Result(0 boxes, 80x60 pixels)"),
        ({"boxes": BOXES[:1], "path": "a.jpg"}, "Result(1 box: 1 RBC, 80x60 pixels, path='a.jpg')"),
        ({"boxes": BOXES}, "Result(3 boxes: 2 RBC, 1 a/b: Zähler, 80x60 pixels)"),
        ({"probs": Probs([0.25, 0.75, 0])}, "Result('WBC' 0.75, 80x60 pixels)"),
        ({"features": {"p2": np.zeros((3, 2, 2), np.float32)}}, "Result(1 feature maps, 80x60 pixels)"),
    ],
)
def test_a_result_is_a_line(fields, line):
    assert repr(result(**fields)) == line


def test_shares_are_a_line():
    assert repr(Probs(np.full(1000, 0.001))) == "Probs(classes=1000, top1=0, top1conf=0.00)"


@pytest.mark.parametrize(
    ("fields", "length"),
    [({"boxes": NO_BOXES}, 0), ({"boxes": BOXES}, 3), ({"probs": Probs([0.25, 0.75, 0])}, 3)],
)
def test_the_length_is_that_of_what_was_found_and_a_result_is_true(fields, length):
    found = result(**fields)
    assert len(found) == length
    assert found


@pytest.mark.parametrize("use", [list, lambda found: found[0], lambda found: [*found]])
def test_a_result_taken_for_a_list_says_that_it_is_one_picture(use):
    with pytest.raises(ArgumentError, match=r"result\.boxes.*predictor\(\[picture\]\)"):
        use(result(boxes=BOXES))


def test_other_forms_of_boxes():
    boxes = result(boxes=BOXES).boxes
    np.testing.assert_allclose(boxes.xywh[:2], [[20, 15, 40, 30], [30, 40, 40, 40]])
    np.testing.assert_allclose(boxes.xyxyn[0], [0, 0, 0.5, 0.5])
    np.testing.assert_allclose(boxes.xywhn[1], [30 / 80, 40 / 60, 40 / 80, 40 / 60])
    np.testing.assert_allclose(boxes[1:2].xywhn, boxes.xywhn[1:2])
    np.testing.assert_allclose(boxes.data[0], [0, 0, 40, 30, 0.9, 0])
    tracked = Boxes(BOXES.xyxy, BOXES.conf, BOXES.cls, [7, -1, 8])
    np.testing.assert_allclose(tracked.data[2, 4:], [8, 0.4, 2])
    for form in ("xywh", "xyxyn", "xywhn", "data"):
        assert getattr(boxes, form).dtype == np.float32
        assert len(getattr(result(boxes=NO_BOXES).boxes, form)) == 0


def test_boxes_of_no_picture_have_no_shares_of_it():
    with pytest.raises(DataError, match="orig_hw"):
        _ = BOXES.xyxyn


def test_a_table():
    pandas = pytest.importorskip("pandas")
    table = result(boxes=Boxes(BOXES.xyxy, BOXES.conf, BOXES.cls, [7, -1, 8])).to_df()
    assert isinstance(table, pandas.DataFrame)
    assert list(table.columns) == ["name", "class", "confidence", "x1", "y1", "x2", "y2", "track_id"]
    assert table["name"].tolist() == ["RBC", "RBC", "a/b: Zähler"]
    assert table["x2"].tolist() == [40, 50, 90]
    assert table["track_id"].isna().tolist() == [False, True, False]
    assert list(result(boxes=NO_BOXES).to_df().columns) == ["name", "class", "confidence", "x1", "y1", "x2", "y2"]
    assert result(probs=Probs([0.25, 0.75, 0])).to_df().iloc[0].tolist() == ["WBC", 1, 0.75]


def test_without_pandas_the_mend_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)  # makes its import fail, as where it is not installed
    with pytest.raises(RuntimeMissingError, match="pip install pandas"):
        result(boxes=BOXES).to_df()


def test_crops_hold_what_the_boxes_hold(tmp_path):
    smooth = np.tile(np.linspace(0, 255, 80, dtype=np.uint8)[None, :, None], (60, 1, 3))
    files = Result(smooth, NAMES, boxes=BOXES, path="x/smear.png").save_crops(tmp_path / "new" / "crops")
    assert [file.name for file in files] == ["smear_RBC_1.jpg", "smear_RBC_2.jpg", "smear_a-b-Zähler_1.jpg"]
    crops = [cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_COLOR) for file in files]
    assert [crop.shape[:2] for crop in crops] == [(30, 40), (40, 40), (10, 10)]
    assert np.abs(crops[1].astype(int) - smooth[20:60, 10:50]).max() < 6
    assert result(boxes=NO_BOXES).save_crops(tmp_path / "none") == []


def test_crops_write_over_nothing(tmp_path):
    mine = tmp_path / "frame_000000_RBC_1.jpg"
    mine.write_text("mine")
    first = result(boxes=BOXES[:1]).save_crops(tmp_path)
    second = result(boxes=BOXES[:1]).save_crops(tmp_path)
    assert mine.read_text() == "mine"
    assert [file.name for file in first + second] == ["frame_000000_RBC_2.jpg", "frame_000000_RBC_3.jpg"]


@pytest.mark.parametrize(("stem", "name"), [("s" * 250, "RBC"), ("写真" * 14, "細胞" * 30)], ids=["picture", "class"])
def test_crops_of_long_names(tmp_path, stem, name):
    found = Result(IMAGE, (name,), boxes=Boxes(BOXES.xyxy[:2], BOXES.conf[:2], [0, 0]), path=f"x/{stem}.png")
    files = found.save_crops(tmp_path)
    assert [file.name[:20] for file in files] == [stem[:20]] * 2
    assert sorted(tmp_path.iterdir()) == sorted(files)


def test_crops_need_boxes_and_a_folder(tmp_path):
    with pytest.raises(DataError, match="only a detector"):
        result(probs=Probs([1, 0, 0])).save_crops(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot make the folder"):
        result(boxes=BOXES).save_crops(tmp_path / "file")


def test_no_screen_is_an_error_with_another_way(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(PvtEdgeError, match=r"show\(\) .*save\(\)"):
        result(boxes=BOXES).show()


SHOW_AND_CLOSE = """
import sys, cv2, numpy as np
from pvt_edge.results import Boxes, Result

shown, real = [], cv2.waitKey
def user(wait_ms):
    shown.append(cv2.getWindowProperty("pvt-edge", cv2.WND_PROP_VISIBLE))
    if len(shown) == 5 and sys.argv[1] == "cross":
        cv2.destroyWindow("pvt-edge")
    return ord("q") if len(shown) == 5 and sys.argv[1] == "key" else real(wait_ms)
cv2.waitKey = user
Result(np.zeros((60, 80, 3), np.uint8), ("a",), boxes=Boxes([[1, 1, 9, 9]], [0.5], [0])).show()
print(len(shown), shown[-1])
"""


@pytest.mark.parametrize("way", ["key", "cross"])
def test_a_window_shows_the_picture_until_it_is_closed(tmp_path, way):
    if shutil.which("xvfb-run") is None:
        pytest.skip("no xvfb-run here: apt-get install xvfb")
    command = ["xvfb-run", "-a", sys.executable, "-c", SHOW_AND_CLOSE, way]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=tmp_path)
    assert done.stdout.split() == ["5", "1.0"], done.stderr
