"""`pvt-edge inspect`: what a bundle or a checkpoint holds."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pvt_edge.checkpoints.weight_files import first_few
from pvt_edge.cli.options import check_json, write_json
from pvt_edge.errors import PvtEdgeError
from pvt_edge.runtimes.runtime import describe
from pvt_edge.variants import FAMILY_TITLES, get_variant, title_of

if TYPE_CHECKING:
    from pvt_edge.bundle import Bundle
    from pvt_edge.bundle.schema import OutputSpec

ACCURACY = ("AP", "AP50", "mIoU", "pixel_accuracy")  # those of an export that are shown


def inspect(
    bundle: Annotated[
        Path, typer.Argument(help="The folder an export wrote; or a checkpoint, a file or a folder with one.")
    ],
    json: Annotated[
        str | None,
        typer.Option("--json", help="Write model.json, or what the checkpoint is; - is stdout.", metavar="PATH"),
    ] = None,
) -> None:
    """Show what a bundle holds, and check every file against its hash; or what a checkpoint holds."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from pvt_edge.bundle import read_bundle

    check_json(json)
    if _is_checkpoint(bundle):
        _inspect_checkpoint(bundle, json)
        return
    found = read_bundle(bundle)
    for artifact in found.manifest.artifacts:
        found.path(artifact)
    if json:
        write_json(found.manifest.model_dump(mode="json"), json)
    if json == "-":
        return
    console = Console(soft_wrap=True)
    facts = Table.grid(padding=(0, 2))
    for name, value in _facts(found):
        facts.add_row(Text(name, "bold"), Text(value))
    console.print(facts, highlight=False)
    columns, rows = artifact_rows(found)
    table = Table(*columns, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _is_checkpoint(path: Path) -> bool:
    """Whether `path` is a file, or a folder that holds weights and no bundle."""
    from pvt_edge.bundle.contents import MANIFEST
    from pvt_edge.checkpoints.weight_files import weight_file

    if not path.is_dir() or (path / MANIFEST).exists():
        return path.is_file()
    try:
        return weight_file(path) != path
    except PvtEdgeError:
        return False


def _inspect_checkpoint(path: Path, json: str | None) -> None:
    from rich.console import Console

    from pvt_edge.checkpoints.opening import summarise_checkpoint

    summary = summarise_checkpoint(path)
    if json:
        write_json({**asdict(summary), "path": str(summary.path)}, json)
    if json == "-":
        return
    unknown = f"{FAMILY_TITLES.get(summary.family, summary.family)} of another size"
    model = f"{title_of(summary.variant) if summary.variant else unknown}, {summary.task}"
    facts = [
        ("checkpoint", str(summary.path)),
        ("model", model + (f" of {summary.num_classes} classes" if summary.num_classes else "")),
        ("dialect", summary.dialect),
        ("weights", summary.which or summary.entry),
        ("also in it", ", ".join(map(repr, summary.others))),
        ("class layer", summary.class_layer or ""),
        ("left out", first_few(summary.beside) if summary.beside else ""),
        ("labels", ", ".join(summary.labels or ())),
    ]
    console = Console(soft_wrap=True)
    for name, value in facts:
        if value:
            console.print(f"{name:<12}{value}", markup=False, highlight=False)


def _output(output: "OutputSpec") -> str:
    """ "logits: float32 (1, 3)", of a bundle of schema 1 the name alone."""
    if output.dtype is None or output.shape is None:
        return output.name
    return f"{output.name}: {describe(output.dtype, output.shape)}"


def _facts(bundle: "Bundle") -> list[tuple[str, str]]:
    m = bundle.manifest
    batch = "any" if m.input.dynamic_batch else str(m.input.batch)
    shown = ", ".join(m.labels[:8]) + (f", ... ({len(m.labels)})" if len(m.labels) > 8 else "")
    rows = [
        ("bundle", str(bundle.folder)),
        ("model", f"{title_of(m.variant)}, {m.task}"),
        ("weights", f"{m.provenance.weights}" + (f" ({m.provenance.dialect})" if m.provenance.dialect else "")),
        ("input", f"{m.input.name}: uint8 ({batch}, {m.input.height}, {m.input.width}, 3) BGR, {m.resize.mode}"),
        ("outputs", ", ".join(map(_output, m.outputs))),
    ]
    if m.labels:
        rows.append(("labels", shown))
    if m.postprocess:
        p = m.postprocess
        rows.append(("thresholds", f"conf {p.conf:g}, iou {p.iou:g}, at most {p.max_det}"))
    for artifact in m.artifacts:
        if artifact.passport:
            rows.append((artifact.file, _passport(artifact.passport)))
    if m.moves:
        rows.append(("approximated", f"{', '.join(m.approximated)}: {m.moves.words(get_variant(m.variant))}"))
    if m.calibration:
        rows.append(("calibration", f"{m.calibration.count} pictures of {m.calibration.source}"))
    if m.accuracy:
        rows.append(("accuracy on", m.accuracy.data))
    rows.append(("made", f"{m.provenance.created} by pvt-edge {m.provenance.pvt_edge} on {m.provenance.machine}"))
    return rows


def _passport(passport: dict[str, str]) -> str:
    """What an engine was built with and for, in a line."""
    built_for = passport.get("target") or f"{passport.get('gpu')} ({passport.get('compute_capability')})"
    return f"{passport.get('library')} {passport.get('version')} for {built_for}, {passport.get('options')}"


def artifact_rows(bundle: "Bundle") -> tuple[list[str], list[list[str]]]:
    """Column names and rows of the table of artifacts, with accuracy where it was measured."""
    accuracy = bundle.manifest.accuracy
    metrics = accuracy.metrics if accuracy else {}
    shown = [name for name in ACCURACY if any(name in figures for figures in metrics.values())]
    columns = ["file", "runtime", "precision", "MB", *shown]
    rows = []
    for artifact in bundle.manifest.artifacts:
        size = artifact.bytes + sum(companion.bytes for companion in artifact.companions)
        row = [artifact.file, artifact.runtime, artifact.precision, f"{size / 1e6:.1f}"]
        measured = metrics.get(f"{artifact.runtime}-{artifact.precision}")
        if metrics:
            row += [f"{measured[name]:.3f}" if measured and name in measured else "" for name in shown]
        rows.append(row)
    return columns, rows
