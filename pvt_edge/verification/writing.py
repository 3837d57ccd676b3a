"""The folder that `verify` writes: all of it or nothing, in place of an older one."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from pvt_edge.errors import DataError
from pvt_edge.verification.page import page
from pvt_edge.whole_folder import write_whole

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pvt_edge.verification.report import VerifyReport

SHEET = "contact_sheet.jpg"
FILES = ("report.md", "report.json", SHEET)


def check_replaceable(folder: Path) -> Path:
    """The folder, absolute. Raises `DataError` unless it is absent, empty, or holds only what `verify` writes."""
    place = folder.resolve()
    try:
        strange = sorted({path.name for path in place.iterdir()} - set(FILES)) if place.exists() else []
    except OSError as error:
        raise DataError(f"cannot write {folder}: {error.strerror or error}: choose another place with --out") from error
    if strange:
        raise DataError(
            f"{folder} holds files that verify did not write ({', '.join(strange[:3])}): choose another place with "
            "--out"
        )
    return place


def write_verification(folder: Path, report: "VerifyReport", sheet: "NDArray[np.uint8] | None") -> None:
    """Write report.md, report.json and, where a picture was compared, the contact sheet; `DataError` if it cannot."""
    from pvt_edge.picture_file import write_image

    def write(place: Path) -> None:
        content = json.dumps(report.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        (place / "report.json").write_text(content, encoding="utf-8")
        (place / "report.md").write_text(page(report, SHEET if sheet is not None else None), encoding="utf-8")
        if sheet is not None:
            write_image(place / SHEET, sheet)

    write_whole(folder, write)
