"""`--compare vit-s,resnet-50`: classifiers of other designs beside the PVT, to see when not to use one.

They are transformers' classes built by configuration, with random weights, at the size of the run; they go the default
route (`benchmarks/stock.py`), as whoever chose them would.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from pvt_edge.errors import ArgumentError, ExportError, RuntimeMissingError, UnknownNameError
from pvt_edge.runtimes.boundary import one_line

if TYPE_CHECKING:
    from torch import nn

STOCK = "stock"  # what else --compare takes: the bundle's own model by the default route


@dataclass(frozen=True)
class ComparisonModel:
    """A classifier that others publish.

    Attributes:
        name: As `--compare` takes it.
        design: The prefix of transformers' classes: ViT, Swin, ResNet.
        config: What its configuration sets beside the defaults.
        top1: ImageNet accuracy in percent at 224 of weights that saw no other pictures, as published.
        source: Who published it.
        sized: Whether the configuration holds the size of the input.
        least_side: Of the input, pixels.
        note: What a reader must know of its figures.
    """

    name: str
    design: str
    top1: float
    source: str
    config: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    sized: bool = True
    least_side: int = 32
    note: str = ""

    @property
    def is_transformer(self) -> bool:
        """Whether NNCF is told so, as its manual says."""
        return self.design != "ResNet"

    def check_size(self, imgsz: tuple[int, int]) -> None:
        """Raise `ExportError` for an input (height, width) that transformers' class does not run."""
        if min(imgsz) < self.least_side:
            raise ExportError(
                f"{self.name} needs an input of {self.least_side} pixels a side at least, not {imgsz[0]}x{imgsz[1]}"
            )

    def build(self, imgsz: tuple[int, int], classes: int) -> "nn.Module":
        """The model with random weights, RGB (B, 3, H, W) -> logits (B, `classes`).

        Attention is written out, as PVT's is: what the runtimes fuse is theirs to find in both. Raises
        `RuntimeMissingError` without transformers, `ExportError` for a size that it does not take and where
        transformers fails.
        """
        check_transformers()
        self.check_size(imgsz)
        import torch
        import transformers

        size = {"image_size": imgsz} if self.sized else {}
        try:
            config = getattr(transformers, f"{self.design}Config")(**self.config, **size, num_labels=classes)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                kind = getattr(transformers, f"{self.design}ForImageClassification")
                model: nn.Module = kind._from_config(config, attn_implementation="eager")
        except Exception as error:  # of whatever type: its classes change from one release to the next
            raise ExportError(
                f"transformers {transformers.__version__} cannot build {self.name}: {one_line(error)}"
            ) from error
        model.register_forward_hook(lambda _module, _inputs, output: output.logits)  # of its record of outputs
        return model.eval()


def _vit(name: str, dim: int, heads: int, top1: float, source: str) -> ComparisonModel:
    config = {"hidden_size": dim, "num_attention_heads": heads, "intermediate_size": 4 * dim}
    note = "positions are of the size of the run, as if resized beforehand"
    return ComparisonModel(name, "ViT", top1, source, config, note=note)


_RESNET_18 = {"layer_type": "basic", "depths": [2, 2, 2, 2], "hidden_sizes": [64, 128, 256, 512]}
# With ImageNet-21k before it, AugReg's ViT-S has 81.4 and ViT-B 84.5. torchvision's first ResNet-18 and ResNet-50
# have 69.8 and 76.1: the figures here are of a recipe as long as that of the transformers.
_AUGREG = "arXiv 2106.10270, ImageNet-1k alone, as timm measures"
_DEIT = "DeiT, arXiv 2012.12877"
_STRIKES_BACK = "ResNet strikes back, arXiv 2110.00476, recipe A1"

COMPARISON_MODELS: dict[str, ComparisonModel] = {
    model.name: model
    for model in (
        _vit("vit-s", 384, 6, 78.8, _AUGREG),
        _vit("vit-b", 768, 12, 79.2, _AUGREG),
        # without its distillation token DeiT is a ViT, trained otherwise
        _vit("deit-ti", 192, 3, 72.2, _DEIT),
        _vit("deit-s", 384, 6, 79.8, _DEIT),
        ComparisonModel(
            "swin-t",
            "Swin",
            81.3,
            "arXiv 2103.14030, table 1",
            least_side=224,  # below it the last maps are smaller than its window of 7, where transformers' class fails
            note="maps are padded to multiples of its window of 7: nothing at 224 and 448, every stage at 640",
        ),
        ComparisonModel("resnet-18", "ResNet", 71.5, _STRIKES_BACK, _RESNET_18, sized=False),
        ComparisonModel("resnet-50", "ResNet", 80.4, _STRIKES_BACK, sized=False),
    )
}


def check_names(names: Sequence[str]) -> None:
    """Raise `UnknownNameError` for what is neither stock nor a comparison model."""
    for name in names:
        if name not in (STOCK, *COMPARISON_MODELS):
            raise UnknownNameError("model to compare with", name, (STOCK, *COMPARISON_MODELS))


def check_models(names: Sequence[str], task: str) -> None:
    """Raise before anything is measured: `UnknownNameError`, `RuntimeMissingError` without transformers, and
    `ArgumentError` for a task that comparison models do not do."""
    check_names(names)
    models = [name for name in names if name != STOCK]
    if models and task != "classify":
        raise ArgumentError(
            f"{models[0]} is a classifier, and nothing to compare {task} with: --compare stock is for every task"
        )
    if models:
        check_transformers()


def check_transformers() -> None:
    """Raise `RuntimeMissingError` where transformers is not installed; it is no part of the extra `bench`."""
    try:
        import transformers  # noqa: F401
    except ImportError:
        raise RuntimeMissingError(
            'models to compare with are built by transformers, which is not installed: pip install "pvt-edge[compare]"'
        ) from None
