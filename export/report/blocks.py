"""Block names: which part of the network and what kind of layer they are, and many of them in few words."""

import re
from collections.abc import Iterable, Sequence

KINDS = ("attn", "mlp", "patch_embed", "neck", "head")
OTHER = "other"


def kind_of(block: str) -> str:
    """One of `KINDS`, or `OTHER`.

    >>> kind_of("stages.0.blocks.1.attn.q")
    'attn'
    """
    parts = block.split(".")
    return next((kind for kind in KINDS if kind in parts), OTHER)


def part_of(block: str) -> str:
    """The stage, or what a block outside of the stages lies in.

    >>> part_of("stages.0.blocks.1.attn.q"), part_of("neck.output.2")
    ('stages.0', 'neck')
    """
    stage = re.match(r"(?:.*\.)?stages\.\d+(?=\.|$)", block)
    return stage.group() if stage else block.split(".")[0]


def by_part(blocks: Iterable[str]) -> dict[str, list[str]]:
    """Part -> its blocks, in the order they came in."""
    parts: dict[str, list[str]] = {}
    for block in blocks:
        parts.setdefault(part_of(block), []).append(block)
    return parts


def compact(blocks: Sequence[str]) -> list[str]:
    """Patterns with braces that stand for exactly these blocks, as a shell would expand them.

    >>> compact(["b.0.fc1", "b.0.fc2", "b.1.fc1", "b.1.fc2", "head"])
    ['b.{0,1}.{fc1,fc2}', 'head']
    """
    names = [block.split(".") for block in dict.fromkeys(blocks)]
    rank = {part: i for i, part in enumerate(dict.fromkeys(part for name in names for part in name))}

    def order(part: str) -> tuple[int, int]:
        """Numbers as numbers, words in the order they came in: alike in every block, so that blocks can be merged."""
        return (int(part), 0) if part.isdecimal() else (-1, rank[part])

    terms: list[tuple[tuple[str, ...], ...]] = [tuple((part,) for part in name) for name in names]
    for position in reversed(range(max(map(len, terms), default=0))):
        # Terms that differ in this position only become one.
        merged: dict[tuple[object, ...], list[tuple[str, ...]]] = {}
        for term in terms:
            choices = term[position] if position < len(term) else ()
            known = merged.setdefault((term[:position], term[position + 1 :], bool(choices)), [*term])
            if choices:
                known[position] = tuple(sorted({*known[position], *choices}, key=order))
        terms = [tuple(term) for term in merged.values()]
    return [".".join(map(_braces, term)) for term in terms]


def _braces(parts: tuple[str, ...]) -> str:
    """One part as it is, several in braces, with three or more numbers in a row as a range: {0,2..5}."""
    if len(parts) == 1:
        return parts[0]
    runs: list[list[str]] = []
    for part in parts:
        if runs and part.isdecimal() and runs[-1][-1].isdecimal() and int(part) == int(runs[-1][-1]) + 1:
            runs[-1].append(part)
        else:
            runs.append([part])
    return "{" + ",".join(f"{run[0]}..{run[-1]}" if len(run) > 2 else ",".join(run) for run in runs) + "}"
