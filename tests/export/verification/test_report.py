"""What a verification says of pictures that are beyond the limits in an artifact that is within."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pvt_edge.verification.checks import tolerance
from pvt_edge.verification.page import page, write_verification
from pvt_edge.verification.report import ArtifactRow, PictureRow, VerifyReport

LIMITS = tolerance("detect", "int8")
FIGURES = {"f1": 1.0, "box_px": 0.4, "score_drift": 0.001}


def report(*severities: float, failures: tuple[str, ...] = (), limits=LIMITS) -> VerifyReport:
    pictures = tuple(PictureRow(f"{i}.jpg", FIGURES, severity) for i, severity in enumerate(severities))
    row = ArtifactRow("openvino int8", FIGURES, limits, failures, pictures)
    return VerifyReport(
        Path("b0"), "openvino fp32", Path("b0"), "detect", "images", len(pictures), None, 0, 0.25, (row,)
    )


@pytest.mark.parametrize(
    ("severities", "told"),
    [
        ((0.3, 1.0), None),
        ((0.3, 1.9), "1 picture alone"),
        ((1.2, 12.0), "2 pictures alone would be outside, at up to 12"),
    ],
)
def test_within_with_pictures_beyond(severities, told):
    found = report(*severities)
    assert found
    assert found.verdict.startswith("Within tolerance against openvino fp32")
    for text in (found.verdict, page(found, None), found.to_json()["verdict"]):
        assert ("for all pictures together: " in text) == (told is not None)
        assert told is None or told in text
    assert "all pictures together" in found.to_json()["rule"]


def test_outside_needs_no_such_words():
    assert "alone" not in report(1.9, failures=("box drift 2 px",)).verdict


def test_a_limit_that_is_none_and_a_name_that_is_no_text(tmp_path):
    found = replace(report(0.5, limits={**LIMITS, "box_px": float("inf")}), unread=("b\udcff.jpg: broken",))
    write_verification(tmp_path / "proof", found, None)
    content = json.loads((tmp_path / "proof" / "report.json").read_text("utf-8"))
    assert content["artifacts"][0]["limits"] == {"min_f1": 0.98, "max_box_px": None, "max_score_drift": 0.01}
    assert content["unread"] == ["b\udcff.jpg: broken"]
    assert "b\\udcff.jpg" in (tmp_path / "proof" / "report.md").read_text("utf-8")
