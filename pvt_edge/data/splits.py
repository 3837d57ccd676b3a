"""Labelled pictures -> a part to learn from and a part to judge by, the same for the same seed."""

from collections import Counter, defaultdict
from typing import Any

import numpy as np

from pvt_edge.data.labelled_set import LabelledSet
from pvt_edge.errors import DataError

SHARE = 0.2  # of the pictures, to judge by


def split(dataset: LabelledSet[Any], *, share: float = SHARE, seed: int = 0) -> tuple[list[int], list[int]]:
    """(indices to learn from, indices to judge by), both ascending.

    Each class gives its share, as far as it has pictures: one with several counts for the rarest of its classes. A
    class of a single picture is learnt from. `DataError` for fewer than two pictures.
    """
    if len(dataset.samples) < 2:
        raise DataError(f"{dataset.source} has {len(dataset.samples)} pictures: to learn and to judge takes two")
    labels = [dataset.labels_of(sample) for sample in dataset.samples]
    counts = Counter(label for each in labels for label in each)
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for i, each in enumerate(labels):
        groups[min(each, key=lambda label: (counts[label], label), default=-1)].append(i)
    rng = np.random.default_rng(seed)
    held: list[int] = []
    for _, group in sorted(groups.items()):
        count = min(max(round(share * len(group)), int(len(group) > 1)), len(group) - 1)
        held += rng.permutation(group)[:count].tolist()
    if not held:
        held = [int(rng.integers(len(dataset.samples)))]
    return sorted(set(range(len(dataset.samples))) - set(held)), sorted(held)
