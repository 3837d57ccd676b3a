"""What loading a checkpoint did."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class WeightsReport:
    """The outcome of `load_weights`; every tensor of the file and of the model is in one of the tuples.

    Attributes:
        path: The file.
        dialect: Whose names its tensors have.
        variant: The model's.
        loaded: The model's names of what came from the file.
        left_out: The file's names of what the model has no place for, and of what lies beside the model: losses,
            metrics, counters, another model's tensors.
        kept: The model's own neck or head where the file has none.
        reinitialised: The model's own class layer, kept as `reinit_head` asks.
        reshaped: Those loaded that the file stores in another shape (1x1 convolutions for linears, q, k and v apart or
            together).
        entry: Where in the file the model lies.
        averaged: Whether its weights are a mean over training.
        which: Both of these in words, where there is a choice.
        others: The entries of other models in the file.
        class_layer: The file's name of a classifier's last layer that is called otherwise than in its dialect.
        notes: Of anchors, box coder and thresholds that are the file's and not RetinaNet's own.
    """

    path: Path
    dialect: str
    variant: str
    loaded: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    reinitialised: tuple[str, ...] = ()
    reshaped: tuple[str, ...] = ()
    entry: str = ""
    averaged: bool = False
    which: str = ""
    others: tuple[str, ...] = ()
    class_layer: str | None = None
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"WeightsReport({self.summary()})"

    def summary(self) -> str:
        """One line.

        >>> WeightsReport(Path("a.pth"), "timm", "b0", ("head.bias",), left_out=("head.weight",)).summary()
        'a.pth: b0 in the timm dialect, 1 tensors loaded; left out of the file: 1 (head.weight)'
        """
        source = f"{self.variant} in the {self.dialect} dialect"
        parts = [f"{self.path.name}: {source}, {len(self.loaded)} tensors loaded"]
        if self.which:
            option = "--no-ema (ema=False in Python)" if self.averaged else "--ema (ema=True in Python)"
            others = f"; {option} takes {', '.join(map(repr, self.others))}" if self.others else ""
            parts.append(f"{self.which} taken{others}")
        if self.class_layer:
            parts.append(f"class layer: {self.class_layer}")
        for label, names in (
            ("left out of the file", self.left_out),
            ("kept as the model had them", self.kept),
            ("class layer not loaded", self.reinitialised),
        ):
            if names:
                parts.append(f"{label}: {_groups(names)}")
        return "; ".join((*parts, *self.notes))


def _groups(names: tuple[str, ...]) -> str:
    """'18 (neck, head)' for many names, the names themselves for one or two."""
    shown = names if len(names) <= 2 else tuple(dict.fromkeys(name.split(".")[0] for name in names))
    return f"{len(names)} ({', '.join(shown)})"
