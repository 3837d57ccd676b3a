"""report.md: an export for a reader who did not run it."""

from collections.abc import Sequence

from pvt_edge.bundle.schema import Manifest
from pvt_edge.export.precision.record import ApproximationRecord, Candidate, SearchRecord, TensorRtRecord
from pvt_edge.export.precision.verdict import onnx_verdict
from pvt_edge.export.report.facts import most_sensitive, speedup, whole_bytes
from pvt_edge.export.report.sections import moves_alone_section, placement_section, tensorrt_sections
from pvt_edge.reporting.wording import (
    NOTHING,
    bold,
    bullets,
    code,
    counted,
    drop,
    duration,
    fraction,
    mebibytes,
    ms,
    plain,
    table,
    times,
)
from pvt_edge.variants import title_of

PLACEMENTS = {
    "searched": "searched for this model on this machine",
    "given": "the plan that was given, taken as it is",
    "recorded": "the recorded recipe, taken as it is",
    "none": "none was asked for",
}
SENSITIVITIES_SHOWN = 15
LEFT_OUT_SHOWN = 5
WITHOUT_PLOTS = 'No plots: matplotlib was not installed where this was made. `pip install "pvt-edge[bench]"` brings it.'


def page(
    manifest: Manifest,
    search: SearchRecord | None,
    plots: Sequence[str] | None,
    tensorrt: TensorRtRecord | None = None,
    approximation: ApproximationRecord | None = None,
) -> str:
    """The text of report.md; `plots` are the relative names of those drawn, None where matplotlib is missing."""
    sections = [
        *(
            _searched(manifest, search, plots)
            if search
            else [f"# {_title(manifest)}{' for TensorRT' if tensorrt else ''}"]
        ),
        *([_approximations(manifest, approximation)] if approximation else []),
        *([moves_alone_section(approximation)] if approximation and approximation.alone else []),
        *_pictures(plots or (), moves="what each move loses and saves alone"),
        *(tensorrt_sections(manifest, tensorrt) if tensorrt else []),
        _calibration(manifest),
        _artifacts(manifest, search),
        _again(manifest),
    ]
    return "\n\n".join(sections) + "\n"


def _searched(manifest: Manifest, search: SearchRecord, plots: Sequence[str] | None) -> list[str]:
    """The sections on a search for the CPU."""
    drawn = plots or ()
    int8 = search.placement != "none"
    return [
        _opening(manifest, search),
        *([WITHOUT_PLOTS] if plots is None else []),
        _candidates(search),
        *_pictures(drawn, pareto="accuracy against latency", latency="latency of each candidate"),
        _method(manifest, search),
        *([placement_section(manifest, search), _sensitivities(search)] if int8 else []),
        *_pictures(drawn, sensitivity="the most sensitive blocks"),
        *([_layer_groups(search)] if search.layer_groups else []),
        *_pictures(drawn, layers="time by kind of layer"),
    ]


def _title(manifest: Manifest) -> str:
    return f"{title_of(manifest.variant)}, {manifest.task}, {manifest.input.height}x{manifest.input.width}"


def _opening(manifest: Manifest, search: SearchRecord) -> str:
    verdict = plain(search.verdict)
    if search.placement == "none":
        return f"# Approximation of {_title(manifest)}\n\n{bold(verdict)}"
    lines = [
        f"# INT8 of {_title(manifest)}",
        bold(verdict if search.kept or manifest.precision_plan else f"No INT8 was written: {verdict}"),
    ]
    if search.interrupted:
        timed = sum(c.latency is not None for c in search.candidates)
        lines.append(
            f"{bold('The search was cut short')} after {duration(search.seconds)}. Until then it had measured "
            f"{counted(len(search.candidates), 'candidate')}, {timed} of them timed, and "
            f"{counted(len(search.sensitivities), 'block')} alone; what follows rests on these."
        )
    return "\n\n".join(lines)


def _candidates(search: SearchRecord) -> str:
    metric = plain(search.metric.words)
    columns = ["candidate", "what it is", "INT8 blocks", "float blocks", metric, "drop", "p50 ms", "p90 ms", "p99 ms"]
    if search.interrupted:
        why = "the search was cut short"
    else:
        timed = any(candidate.latency for candidate in search.candidates)
        why = "the budget had ruled it out" if timed else "the recorded recipe is taken without timing it"
    lines = [
        "## Candidates",
        table([*columns, "against fp32", "within budget", "chosen"], [_candidate(search, c) for c in search.candidates],
              words=2),
        f"Drop is the {metric} lost against fp32: above zero is worse. {code(NOTHING)} was not measured: {why}.",
    ]  # fmt: skip
    return "\n\n".join(lines)


def _candidate(search: SearchRecord, c: Candidate) -> list[str]:
    name, latency = plain(c.name), c.latency
    return [
        bold(name) if c.chosen else name,
        plain(c.words),
        str(c.int8_blocks),
        str(c.float_blocks),
        fraction(c.value),
        drop(c.drop),
        *(ms(value) for value in ((latency.p50, latency.p90, latency.p99) if latency else (None,) * 3)),
        times(speedup(search, c)),
        "not gated" if search.max_drop is None else "yes" if c.within_budget else "no",
        bold("yes") if c.chosen else "",
    ]


def _approximations(manifest: Manifest, record: ApproximationRecord) -> str:
    """What is left out or computed at a smaller size, and what was tried."""
    moved = " and ".join(manifest.approximated)
    files = f"Files of {moved} make" if moved else "No file makes"
    if record.given:
        return f"## Approximations\n\n{files} the moves of the plan given: {plain(record.words)}."
    lines = [
        "## Approximations",
        f"{files} these moves: {bold(plain(record.words))}. Files of FP32 are exact.",
    ]
    metric = record.metric
    if metric is not None and record.trials:
        rows = [
            [
                bold(plain(trial.words)) if trial.within_budget else plain(trial.words),
                fraction(trial.value),
                drop(trial.drop),
                f"{plain(trial.worst_class)} {drop(trial.worst_class_drop)}"
                if trial.worst_class and trial.worst_class_drop is not None
                else NOTHING,
                str(trial.pictures),
                "yes" if trial.within_budget else "no",
            ]
            for trial in record.trials
        ]
        lines += [
            table(
                ["moves", plain(metric.words), "drop", "class that lost most", "pictures", "within budget"],
                rows,
                words=1,
            ),
            f"Tried in float32 on {plain(metric.data)}, from the strongest on, till one held: at most "
            f"{record.max_drop:g} of {plain(metric.words)} may be lost, and {record.max_class_drop:g} of any class. "
            "Other pictures than these judge the files.",
        ]
    if record.unjudged:
        lines.append(f"Not judged, for no picture shows them: {plain(', '.join(record.unjudged))}.")
    return "\n\n".join(lines)


def _method(manifest: Manifest, search: SearchRecord) -> str:
    size = f"{manifest.input.height}x{manifest.input.width}"
    metric = f"{plain(search.metric.words)} on {plain(search.metric.data)}"
    if search.max_drop is None:
        budget = "stated, not gated: no candidate was ruled out for what it loses"
    else:
        budget = f"a candidate may lose {search.max_drop:g} of it"
    placement = PLACEMENTS[search.placement]
    versions = ", ".join(f"{name} {version}" for name, version in manifest.provenance.versions.items())
    items = [
        f"Machine: {plain(search.machine)}, {counted(search.threads, 'thread')}.",
        f"Runtime: {search.runtime}, batch {manifest.input.batch}, input {size}.",
        f"Latency: {_timing(search)}.",
        f"Accuracy: {metric}.",
        f"Budget: {budget}.",
        f"Placement of INT8: {placement}; {duration(search.seconds)} in all.",
        f"Made {manifest.provenance.created} by pvt-edge {manifest.provenance.pvt_edge} ({plain(versions)}).",
    ]
    return "## How it was measured\n\n" + bullets(items)


def _timing(search: SearchRecord) -> str:
    numbers = {plain(c.name): c.latency.inferences for c in search.candidates if c.latency}
    if not numbers:
        return "nothing was timed, so that INT8 is not known to be faster here (`--tune quick` or `full` times it)"
    if len(set(numbers.values())) == 1:
        inferences = f"{counted(next(iter(numbers.values())), 'inference')} of each candidate"
    else:
        inferences = ", ".join(f"{number} of {name}" for name, number in numbers.items())
    return (
        f"{inferences}; the candidates interleaved, so that whatever slows the machine slows all of them; "
        "percentiles of all inferences, none removed"
    )


def _sensitivities(search: SearchRecord) -> str:
    blocks = most_sensitive(search)
    if not blocks:
        why = "" if search.tuned else ": the recorded recipe was taken as it is"
        return f"## Sensitivity\n\nNo block was measured alone{why}."
    few = f"on the first {counted(search.sensitivity_pictures, 'picture')} " if search.sensitivity_pictures else ""
    shown, rest = blocks[:SENSITIVITIES_SHOWN], blocks[SENSITIVITIES_SHOWN:]
    rows = [
        [
            code(block.block),
            plain(", ".join(f"{name} {fraction(value)}" for name, value in block.details.items())) or NOTHING,
            drop(block.drop),
            ms(block.ms_saved),
        ]
        for block in shown
    ]
    lines = [
        "## Sensitivity",
        f"The {plain(search.metric.words)} lost {few}with only this block in INT8, all else in FP32, and the time the "
        "runtime's counters say that INT8 saves in it.",
        table(["block", "details", "drop", "ms saved"], rows, words=2),
    ]
    if rest:
        lie = "lies" if len(rest) == 1 else "lie"
        lines.append(f"{counted(len(rest), 'more block')} {lie} under these, at {drop(rest[0].drop)} or less each.")
    return "\n\n".join(lines)


def _layer_groups(search: SearchRecord) -> str:
    rows = [
        [plain(group.group), str(group.layers), ms(group.before_ms), ms(group.after_ms)]
        for group in search.layer_groups
    ]
    lines = [
        "## Time by kind of layer",
        "By the runtime's own counters: the model in float as it runs fastest here, and with INT8 as placed. Counting "
        "costs time of its own: compare, do not add up.",
        table(["layers", "number", "float ms", "INT8 ms"], rows),
    ]
    return "\n\n".join(lines)


def _calibration(manifest: Manifest) -> str:
    record = manifest.calibration
    if record is None:
        return "## Calibration\n\nNone."
    text = f"{counted(record.count, 'picture')} of {code(record.source)}, seed {record.seed}"
    text += ", by name and hash in `model.json`." if record.images is not None else "."
    if record.duplicates:
        text += f" {counted(record.duplicates, 'near-duplicate')} dropped."
    lines = ["## Calibration", text]
    for why, names in (("Not readable", record.skipped), ("Left out", record.left_out)):
        if names:
            more = [f"{len(names) - LEFT_OUT_SHOWN} more, in `model.json`"] if len(names) > LEFT_OUT_SHOWN else []
            lines += [f"{why}, {len(names)}:", bullets([*map(plain, names[:LEFT_OUT_SHOWN]), *more])]
    return "\n\n".join(lines)


def _artifacts(manifest: Manifest, search: SearchRecord | None) -> str:
    """The files, what `auto` takes of them and what it does not, and what is not there."""
    rows = [[code(a.file), a.runtime, a.precision, mebibytes(whole_bytes(a))] for a in manifest.artifacts]
    text = f"## Artifacts\n\n{table(['file', 'runtime', 'precision', 'MiB'], rows, words=3)}"
    taken = [f"{precision} on {runtime}" for runtime, precision in manifest.auto_precision.items()]
    if taken:
        text += f"\n\n`--precision auto` takes {', '.join(taken)}."
    for name, trial in (("approx", search.onnx_approx), ("INT8", search.onnx)) if search else ():
        if search and trial:
            words = plain(search.metric.words)
            text += f"\n\nIn ONNX Runtime, {name} has {words} {fraction(trial.value)}, {drop(trial.drop)} lost."
    if search and (timed := onnx_verdict(search)):
        text += f"\n\n{timed[0].upper()}{timed[1:]}."
    lines = [f"`auto` does not take {name}: {plain(why)}" for name, why in manifest.auto_excluded.items()]
    lines += [f"Asked for and not written, {name}: {plain(why)}" for name, why in manifest.not_written.items()]
    return "\n\n".join([text, *([bullets(lines)] if lines else [])])


def _again(manifest: Manifest) -> str:
    command = manifest.provenance.command
    made = f"```sh\n{command}\n```" if command else "This was exported from Python, by `export_model`."
    lines = ["## Again", made]
    if manifest.precision_plan is not None:
        lines.append("`--plan model.json`, with the path of this bundle's, takes the placement as it is, unsearched.")
    return "\n\n".join(lines)


def _pictures(drawn: Sequence[str], **captions: str) -> list[str]:
    """Those of the plots that were drawn, embedded."""
    names = {f"plots/{name}.png": caption for name, caption in captions.items()}
    return [f"![{caption}]({name})" for name, caption in names.items() if name in drawn]
