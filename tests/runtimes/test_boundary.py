"""Other people's exceptions in one line of ours."""

import numpy as np
import pytest

from pvt_edge.errors import BundleError, RuntimeInputError
from pvt_edge.runtimes.boundary import boundary, one_line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "RuntimeError"),
        ("one", "one"),
        (" one \n\n two\n", "one; two"),
        (
            "Exception from core.cpp:84:\nCheck 'a' failed at b.cpp:2:\nIncorrect weights!\n",
            "Incorrect weights!",
        ),
        ("Exception from core.cpp:84:\n", "Exception from core.cpp:84:"),
        ("x" * 400, "x" * 297 + "..."),
    ],
)
def test_one_line(text, line):
    assert one_line(RuntimeError(text)) == line


def test_one_line_of_opencv():
    cv2 = pytest.importorskip("cv2")
    with pytest.raises(cv2.error) as caught:
        cv2.resize(np.zeros((2, 2), np.uint8), (0, 0))
    assert str(caught.value).startswith("OpenCV(")
    assert one_line(caught.value) == caught.value.err


def test_boundary():
    def fail(error):
        with boundary("cannot load m.onnx", "export again"):
            raise error

    with pytest.raises(BundleError, match=r"^cannot load m.onnx: cut short: export again$") as caught:
        fail(ValueError("cut short"))
    assert isinstance(caught.value.__cause__, ValueError)
    for ours in (RuntimeInputError("ours"), MemoryError("no room"), KeyboardInterrupt()):
        with pytest.raises(type(ours)) as caught:
            fail(ours)
        assert caught.value is ours
