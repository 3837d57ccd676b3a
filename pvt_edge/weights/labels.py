"""Names of the classes of ImageNet-1k and COCO, in class order."""

from functools import cache
from pathlib import Path

LABEL_SETS = ("imagenet", "coco")


@cache
def get_labels(name: str) -> tuple[str, ...]:
    """The 1000 short names of "imagenet" (a WordNet synset's first word, two of a kind told apart), or COCO's 80."""
    text = Path(__file__).with_name(f"{name}.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())
