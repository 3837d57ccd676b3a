"""The folder that `verify` writes: report.md, the same as JSON, and the contact sheet."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from pvt_edge.atomic import OwnedFolder
from pvt_edge.comparison.difference import FIGURES, times
from pvt_edge.reporting.wording import bold, bullets, code, counted, plain, table
from pvt_edge.verification.report import ArtifactRow, VerifyReport

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SHEET = "contact_sheet.jpg"
WORST_SHOWN = 10
UNREAD_SHOWN = 5
CLASSES_SHOWN = 20
_REPORTS = ("report.md", "report.json")


def _strays(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {*_REPORTS, SHEET}


VERIFIED = OwnedFolder("verify", "a verification", _REPORTS, _strays)


def write_verification(folder: Path, report: VerifyReport, sheet: "NDArray[np.uint8] | None") -> None:
    """Write report.md, report.json and, where a picture was compared, the contact sheet; `DataError` if it cannot."""
    from pvt_edge.pictures.files import write_image

    def write(place: Path) -> None:
        content = json.dumps(report.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        text = page(report, SHEET if sheet is not None else None)
        for name, whole in zip(_REPORTS, (text, content), strict=True):
            (place / name).write_bytes(whole.encode("utf-8", "backslashreplace"))  # a path may hold bytes of no text
        if sheet is not None:
            write_image(place / SHEET, sheet)

    VERIFIED.replace(folder, write)


def page(report: VerifyReport, sheet: str | None) -> str:
    """The text; `sheet` is the contact sheet's relative name, None where no picture was compared."""
    sections = [
        f"# {'Within tolerance' if report else 'Outside tolerance'}",
        bold(plain(report.verdict)),
        *([bullets([plain(line) for line in report.failures])] if report.failures else []),
        _figures(report),
        _classes(report),
        *([_sheet(sheet)] if sheet else []),
        _worst(report),
        _method(report),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _figures(report: VerifyReport) -> str:
    names = list(report.artifacts[0].limits)
    rows = [
        [plain(row.name), *(_figure(row, name) for name in names), "within" if row else bold("outside")]
        for row in report.artifacts
    ]
    rows += [[plain(name), *["-"] * len(names), "skipped"] for name, _ in report.skipped]
    lines = [table(["artifact", *(FIGURES[name].words for name in names), "all pictures"], rows)]
    lines += [bullets([f"Skipped: {plain(name)}: {plain(reason)}" for name, reason in report.skipped])]
    return "\n\n".join(line for line in lines if line)


def _classes(report: VerifyReport) -> str:
    """IoU of a segmenter's classes, those first that agree least; "" of another task."""
    rows = [row for row in report.artifacts if row.classes]
    least = {name: min(row.classes.get(name, 1.0) for row in rows) for row in rows for name in row.classes}
    if not rows:
        return ""
    names = sorted(least, key=least.__getitem__)[:CLASSES_SHOWN]
    more = f", the {CLASSES_SHOWN} of {len(least)} classes that agree least" if len(names) < len(least) else ""
    cells = [[plain(name), *(FIGURES["iou"].text(row.classes.get(name, 1.0)) for row in rows)] for name in names]
    intro = f"IoU of each class over all pictures, the reference's masks taken as the truth{more}."
    return f"{intro}\n\n{table(['class', *(plain(row.name) for row in rows)], cells)}"


def _figure(row: ArtifactRow, name: str) -> str:
    if name not in row.figures:
        return "-"
    figure, limit = FIGURES[name], row.limits[name]
    text = f"{figure.text(row.figures[name])} ({'at least' if figure.least else 'at most'} {limit:g})"
    return text if figure.within(row.figures[name], limit) else bold(text)


def _sheet(sheet: str) -> str:
    return f"## Worst pictures\n\n![the worst pictures, reference and artifact side by side]({sheet})"


def _worst(report: VerifyReport) -> str:
    """The pictures that use up most of the tolerance, over all artifacts."""
    rows = sorted(((p.severity, row, p) for row in report.artifacts for p in row.pictures), key=lambda item: -item[0])[
        :WORST_SHOWN
    ]
    if not rows:
        return ""
    names = list(rows[0][1].limits)
    cells = [
        [code(p.picture), plain(row.name), *(FIGURES[n].text(p.figures[n]) for n in names), times(severity)]
        for severity, row, p in rows
    ]
    columns = ["picture", "artifact", *(FIGURES[name].words for name in names), "times the limit, alone"]
    intro = (
        "The pictures that differ most, each alone. The limits are for all pictures together, so a single one may be "
        "beyond them in a bundle that is within."
    )
    return f"{intro}\n\n{table(columns, cells, words=2)}"


def _method(report: VerifyReport) -> str:
    there = report.pictures_there
    share = (
        f" of {there}, drawn by seed {report.seed}," if there and there > report.pictures + len(report.unread) else ""
    )
    items = [
        f"Pictures: {report.pictures}{share} of {code(report.source)}.",
        f"Reference: {plain(report.reference)} of {code(str(report.reference_bundle))}.",
        f"Verified: {code(str(report.bundle))}.",
    ]
    if report.conf is not None:
        items.append(
            f"Detections: above {report.conf:g}; one matches another of its class at an IoU of at least 0.5. Pixels "
            "are those of the reference's input."
        )
    if report.unread:
        names = "; ".join(map(plain, report.unread[:UNREAD_SHOWN]))
        more = "; ..." if len(report.unread) > UNREAD_SHOWN else ""
        items.append(f"{counted(len(report.unread), 'picture')} could not be read: {names}{more}")
    return "## How it was compared\n\n" + bullets(items)
