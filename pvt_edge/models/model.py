"""What every model in training form has in common: a backbone, and what one task puts on it."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn

from pvt_edge.variants import Variant

if TYPE_CHECKING:
    from pvt_edge.checkpoints.sidecar import Sidecar
    from pvt_edge.checkpoints.trained_head import TrainedHead


class Model(nn.Module, ABC):
    """Normalised RGB images (B, 3, H, W) -> what the task needs, in training form.

    Attributes:
        task: As `--task` spells it.
        default_classes: How many there are unless said; 0 where a task has none.
        default_head: The head unless one is named; None where there is no choice.
        class_layer: The layer with `rows_per_class` outputs a class, in our names; empty without one.
        is_pretraining: Whether files of this task are what other tasks begin from, which then leave its head out.
        kinds: As `Family.kinds`, of the blocks of its head.
        resizes_like_classifier: Whether its pictures are cut and resized as a classifier's.
        backbone: The backbone, in the model or the model itself.
        config: Sizes of the head that no tensor tells.
        weights_name: What was loaded, for a bundle's provenance.
        sidecar: What lay beside what was loaded: preprocessing and labels.
        thresholds: What was loaded was evaluated with: fields of `PostprocessSpec`.
    """

    task: ClassVar[str]
    default_classes: ClassVar[int] = 0
    default_head: ClassVar[str | None] = None
    class_layer: ClassVar[str] = ""
    is_pretraining: ClassVar[bool] = False
    kinds: ClassVar[Mapping[str, str]] = {}
    resizes_like_classifier: ClassVar[bool] = True
    backbone: "Backbone"
    num_classes: int = 0
    config: Any = None
    weights_name: str | None = None
    sidecar: "Sidecar | None" = None
    thresholds: Mapping[str, Any] | None = None

    @classmethod
    @abstractmethod
    def build(cls, backbone: "Backbone", num_classes: int, head: Any) -> "Model":
        """The model of this task on a fresh `backbone`; `head` as `create_model` takes it."""

    @classmethod
    def owns(cls, name: str) -> bool:
        """Whether a tensor, in our names, is of what this task puts on the backbone."""
        return False

    @classmethod
    def count_classes(cls, tensors: Mapping[str, Tensor]) -> int | None:
        """The classes of a file's `tensors`, in our names; None unless they hold such a head."""
        return None

    @classmethod
    def head_in(cls, tensors: Mapping[str, Tensor], name: Any, trained: "TrainedHead") -> Any:
        """The head of a file in its own sizes, as `build` takes it, or the one called `name`."""
        return name

    @property
    def rows_per_class(self) -> int:
        """How many outputs of `class_layer` each class has."""
        return 1

    def only_classes_differ(self, tensors: Mapping[str, Tensor]) -> bool:
        """Whether a class layer of other rows in `tensors` can only mean another number of classes."""
        return True

    def trained_config(self, trained: "TrainedHead") -> Any:
        """`config` with what the configuration of a file says of its head; None without one."""
        return None

    def last_norm(self) -> tuple[nn.LayerNorm, nn.Module] | None:
        """The LayerNorm that ends the backbone and the one layer, without padding, that reads it; None of others."""
        return None

    def notes(self) -> dict[str, str]:
        """What a file of the weights must say of the head beside its tensors."""
        return {}


class Backbone(Model):
    """Images (B, 3, H, W) -> four maps (B, C_i, H/2^(i+2), W/2^(i+2)), i = 0..3; alone the model of task `features`.

    A family's class is made with (variant, drop_path) and keeps `variant`; `pooling` are its tensors that `pool` alone
    needs, which dense models do without.
    """

    task = "features"
    pooling: ClassVar[tuple[str, ...]] = ()
    variant: Variant

    @property
    def backbone(self) -> "Backbone":  # type: ignore[override]
        return self

    @classmethod
    def build(cls, backbone: "Backbone", num_classes: int, head: Any) -> "Model":
        backbone.initialise()
        return backbone

    def pool(self, images: Tensor) -> Tensor:
        """What a classifier reads (B, C): the mean over the last map."""
        last: Tensor = self(images)[-1]  # (B, C, H/32, W/32)
        return last.mean(dim=(2, 3))

    def final_norm(self, *, pooled: bool = False) -> nn.LayerNorm | None:
        """The LayerNorm that ends the last map or, `pooled`, what a classifier reads; None where none does.

        A deploy form may then be asked to leave its affine part to what reads it.
        """
        return None

    def add_pooling(self) -> None:
        """Add what only `pool` needs, such as a class token, before anything is loaded."""

    def embed_norms(self) -> Iterator[nn.LayerNorm]:
        """The LayerNorms after patch embeds and spatial reductions, whose epsilon is a dialect's `embed_eps`."""
        yield from ()

    def block_norms(self) -> Iterator[nn.LayerNorm]:
        """All others, whose epsilon is a dialect's `block_eps`."""
        yield from ()

    def initialise(self) -> None:
        """Set fresh weights as the official code does."""
        initialise_layers(self)


def initialise_layers(module: nn.Module) -> None:
    """Set fresh weights as the official code does: normal linears, fan-out normal convolutions."""
    for m in module.modules():
        if isinstance(m, nn.Linear):
            nn.init.normal_(m.weight, std=0.02)  # the official truncation lies at 100 of these, and is slow
        elif isinstance(m, nn.Conv2d):
            fan_out = m.kernel_size[0] * m.kernel_size[1] * m.out_channels // m.groups
            nn.init.normal_(m.weight, std=(2.0 / fan_out) ** 0.5)
        if isinstance(m, nn.Linear | nn.Conv2d) and m.bias is not None:
            nn.init.zeros_(m.bias)
