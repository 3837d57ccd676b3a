"""What a row's runtime is opened with: plain values, so that a fresh process can open it too."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pvt_edge.benchmarks.record import Hint
from pvt_edge.bundle.schema import NormaliseSpec
from pvt_edge.checkpoints.preprocessing import IMAGENET
from pvt_edge.runtimes import RUNTIMES, ModelSpec, TensorSpec, open_runtime
from pvt_edge.runtimes.session import Session
from pvt_edge.runtimes.table import require

if TYPE_CHECKING:
    from pvt_edge.models import Model

COMPILED = "torch-compile"  # a runtime to the benchmark, the same package as torch


@dataclass(frozen=True)
class TorchModel:
    """The trained model behind a bundle, as `--variant`, `--task` and `--weights` name it."""

    variant: str
    task: str
    weights: str
    num_classes: int | None = None
    head: str | None = None
    normalisation: NormaliseSpec = IMAGENET  # as the bundle has it

    def load(self) -> "Model":
        """The model with its weights. Raises a `PvtEdgeError` as `pvt-edge export` does."""
        from pvt_edge.zoo import resolve_weights

        return resolve_weights(
            self.variant, self.task, self.weights, num_classes=self.num_classes, head=self.head
        ).model


@dataclass(frozen=True)
class Opening:
    """A file and the runtime for it, or with `model` torch."""

    runtime: str
    precision: str
    input_name: str
    shape: tuple[int, int, int, int]  # of the input: (B, H, W, 3)
    path: str | None = None
    device: str = "auto"
    threads: int | None = None
    hint: Hint = "latency"
    streams: int | None = None
    model: TorchModel | None = None
    spec: ModelSpec | None = None  # what the file holds, where the bundle says

    @property
    def package_of(self) -> str:
        """The runtime's name in the table of runtimes."""
        return "torch" if self.runtime == COMPILED else self.runtime

    @property
    def on_gpu(self) -> bool:
        """Whether it runs on an NVIDIA GPU."""
        return RUNTIMES[self.package_of].needs_gpu or self.device.startswith("cuda")

    def require(self) -> None:
        """Import what the runtime needs. Raises `RuntimeMissingError`."""
        require(self.package_of)

    def open(self) -> Session:
        """The runtime, loaded. Raises a `PvtEdgeError`."""
        if self.model is not None:
            return self._open_torch(self.model)
        return open_runtime(
            self.runtime,
            str(self.path),
            precision=self.precision,
            device=self.device,
            threads=self.threads,
            hint=self.hint,
            streams=self.streams,
            spec=self.spec,
        )

    def _open_torch(self, wanted: TorchModel) -> Session:
        import torch

        from pvt_edge.export.stock import NamedOutputs, StockGraph
        from pvt_edge.runtimes.torch import TorchRuntime

        module: Any = NamedOutputs(StockGraph(wanted.load(), self.shape[1:3], normalisation=wanted.normalisation))
        if self.device != "auto":
            module = module.to(self.device)
        if self.runtime == COMPILED:
            module = torch.compile(module)
        spec = TensorSpec(self.input_name, "uint8", self.shape)
        return TorchRuntime(module, (spec,), precision=self.precision, device=self.device, threads=self.threads)
