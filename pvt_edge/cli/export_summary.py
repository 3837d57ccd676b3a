"""What `export` says at its end."""

import json as json_module
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from pvt_edge.bundle import Bundle
    from pvt_edge.bundle.schema import CalibrationRecord, Manifest


def asked_for(manifest: "Manifest") -> dict[str, dict[str, Any]]:
    """By runtime and precision, whether what was asked for was written, its file, and why it was not."""
    asked: dict[str, dict[str, Any]] = {
        f"{a.runtime}-{a.precision}": {"written": True, "file": a.file, "reason": None} for a in manifest.artifacts
    }
    return asked | {
        name: {"written": False, "file": None, "reason": reason} for name, reason in manifest.not_written.items()
    }


def print_summary(console: "Console", bundle: "Bundle", seconds: float) -> None:
    """What an export wrote, how good it is, what it did not write, and the next command to run."""
    from rich.table import Table

    from pvt_edge.cli.inspect import artifact_rows

    columns, rows = artifact_rows(bundle)
    table = Table(*columns, title=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    console.print(table)
    manifest = bundle.manifest
    if manifest.accuracy:
        console.print(f"accuracy on {manifest.accuracy.data}", markup=False, highlight=False)
    _report_agreement(console, manifest)
    if manifest.calibration:
        c = manifest.calibration
        console.print(
            f"INT8 ranges from {c.count} pictures of {c.source}, seed {c.seed}{_dropped(c)}",
            markup=False,
            highlight=False,
        )
    if (bundle.folder / "report.json").is_file():
        report = json_module.loads((bundle.folder / "report.json").read_text(encoding="utf-8"))
        _report_approximations(console, manifest, report)
        _report_search(console, report)
        _report_tensorrt(console, report)
        console.print(f"report: {_short(bundle.folder) / 'report.md'}", markup=False, highlight=False)
    _report_choices(console, manifest)
    console.print(f"wrote {bundle.folder} in {seconds:.0f} s", markup=False, highlight=False)
    shown = shlex.quote(str(_short(bundle.folder)))
    runtimes = {artifact.runtime for artifact in manifest.artifacts}
    if manifest.tensorrt and not runtimes & {"tensorrt", "tensorrt-rtx"}:
        console.print(f"next, on the device: pvt-edge build {shown}", markup=False, highlight=False)
    console.print(f"next: pvt-edge predict {shown} your-images/ --save annotated/", markup=False, highlight=False)


def _report_agreement(console: "Console", manifest: "Manifest") -> None:
    from pvt_edge.export.agreement import agreement_lines

    if manifest.agreement is None:
        console.print(
            "the model detects nothing in the pictures it was checked on: verify with your own", style="yellow"
        )
        return
    console.print(f"answers against the trained model's on {manifest.agreement.data}:", markup=False, highlight=False)
    for line, within in agreement_lines(manifest):
        text = line if within else f"{line}: outside the tolerance of pvt-edge verify"
        console.print(f"  {text}", style=None if within else "yellow", markup=False, highlight=False)


def _report_choices(console: "Console", manifest: "Manifest") -> None:
    """What `auto` takes and what it does not, and what was asked for and is not there."""
    taken = ", ".join(f"{precision} on {runtime}" for runtime, precision in manifest.auto_precision.items())
    lines = [f"auto takes {taken}"] if taken else []
    refusals = [f"auto does not take {name}: {why}" for name, why in manifest.auto_excluded.items()]
    refusals += [f"not written, {name}: {why}" for name, why in manifest.not_written.items()]
    for line in lines:
        console.print(line, markup=False, highlight=False)
    for line in refusals:
        console.print(line, style="yellow", markup=False, highlight=False)


def _report_approximations(console: "Console", manifest: "Manifest", report: dict[str, Any]) -> None:
    """What the moves are and what they lose, or that none held the budget."""
    record = report.get("approximation")
    if not record:
        return
    kept = next((trial for trial in record["trials"] if trial["within_budget"]), None)
    if not manifest.moves:
        why = "no file that could be was written" if kept else "no set of moves held the budget"
        text = f"not approximated: {why}"
    else:
        text = f"approximated in {' and '.join(manifest.approximated)}: {record['words']}"
        if kept:
            metric = record["metric"]
            text += f"; {metric['words']} {0.0 - kept['drop']:+.4f} on {metric['data']}, before rounding"
    console.print(text, style="bold", markup=False, highlight=False)
    if record["unjudged"]:
        names = ", ".join(record["unjudged"])
        console.print(f"not judged, for no picture shows them: {names}", style="yellow", markup=False, highlight=False)


def _report_search(console: "Console", report: dict[str, Any]) -> None:
    if report["search"]:
        from pvt_edge.export.precision.record import SearchRecord
        from pvt_edge.export.precision.verdict import onnx_verdict

        record = SearchRecord.model_validate(report["search"])
        for line in filter(None, (record.verdict, onnx_verdict(record))):
            console.print(line, style="bold", markup=False, highlight=False)


def _report_tensorrt(console: "Console", report: dict[str, Any]) -> None:
    """What the graphs for TensorRT lose, and what is left to do on the device."""
    record = report["tensorrt"]
    if not record:
        return
    words, data = record["metric"]["words"], record["metric"]["data"]
    for trial in record["trials"]:
        console.print(
            f"TensorRT {trial['name']}: {words} {trial['value']:.4f}, {trial['drop']:+.4f} lost, on {data}",
            style="bold",
            markup=False,
            highlight=False,
        )
    pinned = [row["block"] for row in record["audit"]["ranges"] if row["pinned"]]
    audited = f"float16 audited on {record['audit']['pictures']}: "
    text = f"pinned to float32: {', '.join(pinned)}" if pinned else "nothing comes near its limit"
    console.print(audited + text, markup=False, highlight=False)
    for note in record["notes"]:
        console.print(note, style="yellow", markup=False, highlight=False)


def _dropped(calibration: "CalibrationRecord") -> str:
    """What of the calibration pictures was not taken, and the first few by name."""
    named = (*calibration.skipped, *calibration.left_out)
    parts = [(len(calibration.skipped), "unreadable"), (len(calibration.left_out), "useless")]
    parts.append((calibration.duplicates, "near-duplicates"))
    counts = ", ".join(f"{count} {kind}" for count, kind in parts if count)
    return f"; left out: {counts}" + (f" ({'; '.join(named[:3])})" if named else "") if counts else ""


def _short(folder: Path) -> Path:
    """The folder as seen from here, where that is shorter."""
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder
