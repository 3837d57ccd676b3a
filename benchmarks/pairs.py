"""Fair pairs in a study: a variant and a comparison model that cost about as much at the same size."""

from collections.abc import Iterator, Sequence

from pvt_edge.benchmarks.comparison_table import kind_of
from pvt_edge.benchmarks.record import Study, StudyEntry
from pvt_edge.reporting.rounding import NOTHING, times
from pvt_edge.variants import VARIANTS

LIKE_COST = 1.25  # multiply-adds of one over the other's, at most


def pair_columns(study: Study) -> list[str]:
    """Names of the columns: who, at which size, how accurate both are as published, and the times by runtime."""
    return ["pair", "input", "top-1", *_kinds(study)]


def pair_cells(study: Study) -> list[list[str]]:
    """The cells, a pair a line; none without comparison models."""
    return [
        [
            f"{variant.variant} / {other.variant}",
            f"{other.height}x{other.width}",
            f"{_top1(variant)}/{_top1(other)}",
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


def _top1(entry: StudyEntry) -> str:
    known = VARIANTS.get(entry.variant)
    top1 = entry.compared.top1 if entry.compared else known.top1 if known else None
    return NOTHING if top1 is None else f"{top1:.1f}"
