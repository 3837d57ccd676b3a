"""A study as a table, on a terminal and as Markdown, and the fair pairs in it: two models that cost about as much."""

from collections.abc import Iterator, Sequence

from pvt_edge.benchmarks.record import Row, Study, StudyEntry
from pvt_edge.benchmarks.words import FACTS, comparison_lines, fact_cells, kind_of
from pvt_edge.reporting.wording import NOTHING, bullets, counted, duration, ms, plain, table, times
from pvt_edge.variants import VARIANTS

LIKE_COST = 1.25  # multiply-adds of one over the other's, at most
SIZES = (*FACTS, "MiB fp32", "MiB int8")


def study_columns(study: Study) -> list[str]:
    """Names of the table's columns: the model, `SIZES`, and p50 ms of every row that any entry has."""
    return ["variant", "input", *SIZES, *_row_names(study)]


def study_rows(study: Study) -> list[list[str]]:
    """The cells, an entry a line."""
    return [_cells(entry, study.task, _row_names(study)) for entry in study.entries]


def study_lines(study: Study) -> list[str]:
    """What a reader must know of the table."""
    settings = study.settings
    lines = [
        f"Milliseconds, median of inference alone, batch 1. {study.task}, weights {study.weights}: "
        "they do not change the time. Multiply-adds count attention's products.",
        f"{study.machine.cpu}, {counted(study.machine.cores, 'core')}; {duration(study.seconds)} in all.",
    ]
    compared = {entry.variant: entry.compared for entry in study.entries if entry.compared}
    if settings:
        lines.append(
            f"{counted(settings.rounds, 'round')} of {settings.slice_s:.2g} s a row, the rows of one variant and size "
            f"interleaved{', comparison models with the first variant' if compared else ''}, no sample removed."
        )
    lines += comparison_lines([*compared.values()])
    for entry in study.entries:
        words = f"{entry.variant} {entry.height}x{entry.width}"
        if entry.reason:
            what = "not run" if entry.rows and all(row.status == "absent" for row in entry.rows) else "FAILED"
            lines.append(f"{words} {what}: {entry.reason}")
        else:
            lines += [f"{words} {kind_of(row)} FAILED: {row.reason}" for row in entry.rows if row.status == "failed"]
        lines += [f"BUSY MACHINE at {words}: {reason}" for reason in entry.busy]
    return lines


def study_page(study: Study) -> str:
    """The study as Markdown."""
    pairs = pair_cells(study)
    sections = [
        f"# PVT {study.task}: cost against size and variant",
        table(study_columns(study), [[plain(cell) for cell in row] for row in study_rows(study)], words=2),
        bullets([plain(line) for line in study_lines(study)]),
    ]
    if pairs:
        sections += [
            "## Pairs of like cost",
            table(pair_columns(study), [[plain(cell) for cell in row] for row in pairs], words=2),
            f"Multiply-adds within {LIKE_COST:g}x of each other. Times: the variant's over the other's; below 1x the "
            "variant is faster. They were not measured in the same turns unless the variant is the first.",
        ]
    return "\n\n".join([*sections, f"```sh\n{study.command}\n```"]) + "\n"


def _column(row: Row) -> str:
    """Rows of comparison models stand below those of the variants, of the same runtime and precision."""
    return kind_of(row) if row.model is not None else row.name


def _row_names(study: Study) -> list[str]:
    return list(dict.fromkeys(_column(row) for entry in study.entries for row in entry.rows if row.inference))


def _cells(entry: StudyEntry, task: str, names: Sequence[str]) -> list[str]:
    rows = {_column(row): row for row in entry.rows}
    facts = entry.compared or entry.model
    top1 = _top1(entry) if task == "classify" else None
    return [
        entry.variant,
        str(entry.height) if entry.height == entry.width else f"{entry.height}x{entry.width}",
        *fact_cells(facts.parameters if facts else None, facts.macs if facts else None, top1),
        _mebibytes(entry.rows, "fp32"),
        _mebibytes(entry.rows, "int8"),
        *(_p50(rows.get(name)) for name in names),
    ]


def _mebibytes(rows: Sequence[Row], precision: str) -> str:
    sizes = [row.model_bytes for row in rows if row.precision == precision and row.model_bytes]
    return f"{sizes[0] / 2**20:.1f}" if sizes else NOTHING


def _p50(row: Row | None) -> str:
    return ms(row.inference.p50) if row and row.inference else NOTHING


def _top1(entry: StudyEntry) -> float | None:
    """As published, in percent."""
    known = VARIANTS.get(entry.variant)
    return entry.compared.top1 if entry.compared else known.top1 if known else None


def pair_columns(study: Study) -> list[str]:
    """Names of the columns: who, at which size, how accurate both are as published, and the times by runtime."""
    return ["pair", "input", "top-1", *_kinds(study)]


def pair_cells(study: Study) -> list[list[str]]:
    """The cells, a pair a line; none without comparison models."""
    return [
        [
            f"{variant.variant} / {other.variant}",
            f"{other.height}x{other.width}",
            "/".join(NOTHING if top1 is None else f"{top1:.1f}" for top1 in map(_top1, (variant, other))),
            *_ratios(variant, other, _kinds(study)),
        ]
        for variant, other in find_pairs(study)
    ]


def find_pairs(study: Study) -> Iterator[tuple[StudyEntry, StudyEntry]]:
    """(variant, comparison model) of one size whose multiply-adds are within `LIKE_COST`."""
    for other in study.entries:
        for variant in study.entries:
            same = (variant.height, variant.width) == (other.height, other.width)
            if same and variant.model and other.compared and variant.model.macs and other.compared.macs:
                ratio = variant.model.macs / other.compared.macs
                if 1 / LIKE_COST <= ratio <= LIKE_COST:
                    yield variant, other


def _ratios(variant: StudyEntry, other: StudyEntry, kinds: Sequence[str]) -> list[str]:
    own, its = (_p50s(entry) for entry in (variant, other))
    return [times(own[kind] / its[kind]) if kind in own and kind in its else NOTHING for kind in kinds]


def _p50s(entry: StudyEntry) -> dict[str, float]:
    """By runtime and precision, the stock route of our own models left out."""
    rows = [row for row in entry.rows if row.inference and (row.route != "stock" or row.model is not None)]
    return {kind_of(row): row.inference.p50 for row in rows if row.inference}


def _kinds(study: Study) -> list[str]:
    both = [kind for _, other in find_pairs(study) for kind in _p50s(other)]
    return list(dict.fromkeys(both))
