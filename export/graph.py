"""The whole deployed function as one module: raw camera pixels in, named outputs out."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from pvt_edge.checkpoints.preprocessing import IMAGENET
from pvt_edge.export.deploy.form import DeployBackbone, Target, to_deploy_form
from pvt_edge.export.tasks import get_task_export

if TYPE_CHECKING:
    from pvt_edge.bundle.schema import NormaliseSpec, PostprocessSpec
    from pvt_edge.models import Model

INPUT_NAME = "images"


class DeployGraph(nn.Module):
    """uint8 BGR pixels (B, H, W, 3) -> the outputs named in `output_names`, as a tuple.

    What they are, the task says: see `pvt_edge.tasks` and `pvt_edge.export.tasks`.
    """

    def __init__(
        self,
        model: "Model",
        imgsz: tuple[int, int],
        *,
        normalisation: "NormaliseSpec" = IMAGENET,
        target: Target = "onnxruntime",
        batch: int = 1,
        post: "PostprocessSpec | None" = None,
        logits: bool = False,
    ) -> None:
        """The form that `target` fuses best; `batch` is the smallest that TensorRT will be given.

        `post` holds thresholds that lie in the graph; with `logits` it gives the task's `more_outputs` too.
        """
        super().__init__()
        task = get_task_export(model.task)
        self.normalisation = normalisation
        self.imgsz, self.target, self.post, self.logits = imgsz, target, post, logits
        self.output_names = (*task.output_names, *(task.more_outputs if logits else ()))
        self.model = to_deploy_form(model, imgsz).float().cpu()
        backbone = self.model if isinstance(self.model, DeployBackbone) else self.model.backbone
        assert isinstance(backbone, DeployBackbone)
        std = torch.tensor(normalisation.std)
        self.folded = backbone.fold_input(std, normalisation.channel_order)
        self.register_buffer("std", std.view(1, -1, 1, 1))
        backbone.shape_for(target, batch=batch)
        # one row of pixels: subtracting along 3 W values fills vector registers, along 3 it does not
        self.register_buffer("mean_row", torch.tensor(normalisation.mean_bgr).repeat(imgsz[1]))
        self.decode = task.deploy_decode(model, imgsz, post, logits=logits, target=target)
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        mean: Tensor = self.mean_row  # type: ignore[assignment]
        # TensorRT takes uint8 only into a Cast; OpenVINO casts and subtracts in one kernel when nothing stands between
        rows = images.flatten(2).to(mean.dtype) if self.target == "openvino" else images.to(mean.dtype).flatten(2)
        rows = rows - mean  # (B, H, W * 3)
        pixels = rows.unflatten(2, (-1, 3)).permute(0, 3, 1, 2)
        if not self.folded:
            pixels = self._normalise(pixels)
        outputs = self.model(pixels)
        if self.decode is not None:
            outputs = self.decode(*outputs) if isinstance(outputs, tuple) else self.decode(outputs)
        return tuple(outputs) if isinstance(outputs, (tuple, list)) else (outputs,)

    def _normalise(self, pixels: Tensor) -> Tensor:
        """What `fold_input` does, as layers of their own."""
        std: Tensor = self.std  # type: ignore[assignment]
        return (pixels if self.normalisation.channel_order == "BGR" else pixels.flip(1)) / std
