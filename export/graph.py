"""The whole deployed function as one module: raw camera pixels in, named outputs out."""

from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from pvt_edge.export.deploy.centred import centre
from pvt_edge.export.deploy.decode import DeployDecode
from pvt_edge.export.deploy.folding import fold_input
from pvt_edge.export.deploy.form import DeployBackbone, to_deploy_form
from pvt_edge.export.deploy.tokens import attend_on_tokens
from pvt_edge.models.classifier import Classifier
from pvt_edge.models.decode import Decode
from pvt_edge.models.detector import Detector
from pvt_edge.preprocessing import IMAGENET

if TYPE_CHECKING:
    from pvt_edge.bundle.schema import NormaliseSpec

INPUT_NAME = "images"
Target = Literal["onnxruntime", "openvino", "tensorrt"]  # whose compiler the graph is shaped for


class DeployGraph(nn.Module):
    """uint8 BGR pixels (B, H, W, 3) -> the outputs named in `output_names`, as a tuple.

    classify: logits (B, K). features: stage1..stage4, (B, C_i, H/2^(i+2), W/2^(i+2)). detect: boxes (B, N, 4) xyxy
    in input pixels, scores (B, N), labels (B, N) int64, as `Decode` gives them.
    """

    def __init__(
        self,
        model: nn.Module,
        imgsz: tuple[int, int],
        *,
        normalisation: "NormaliseSpec" = IMAGENET,
        target: Target = "onnxruntime",
        batch: int = 1,
    ) -> None:
        """The form that `target` fuses best; `batch` is the smallest that TensorRT will be given."""
        super().__init__()
        self.normalisation = normalisation
        self.imgsz, self.target, self.output_names = imgsz, target, name_outputs(model)
        self.model = to_deploy_form(model, imgsz).float().cpu()
        backbone = self.model if isinstance(self.model, DeployBackbone) else self.model.backbone
        assert isinstance(backbone, DeployBackbone)
        first = backbone.stages[0]
        std = torch.tensor(normalisation.std)
        first.patch_embed = fold_input(first.patch_embed, std, normalisation.channel_order)  # type: ignore[arg-type]
        if target == "openvino":
            centre(backbone)
        elif target == "tensorrt":
            attend_on_tokens(backbone, batch=batch)
        # one row of pixels: subtracting along 3 W values fills vector registers, along 3 it does not
        self.register_buffer("mean_row", torch.tensor(normalisation.mean_bgr).repeat(imgsz[1]))
        self.decode: DeployDecode | None = None
        if isinstance(model, Detector):
            self.decode = DeployDecode(Decode(model.config, model.num_classes, imgsz))
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        mean: Tensor = self.mean_row  # type: ignore[assignment]
        # TensorRT takes uint8 only into a Cast; OpenVINO casts and subtracts in one kernel when nothing stands between
        rows = images.flatten(2).to(mean.dtype) if self.target == "openvino" else images.to(mean.dtype).flatten(2)
        rows = rows - mean  # (B, H, W * 3)
        outputs = self.model(rows.unflatten(2, (-1, 3)).permute(0, 3, 1, 2))
        if self.decode is not None:
            boxes, scores, labels = self.decode(*outputs)
            return boxes, scores, labels
        return outputs if isinstance(outputs, tuple) else (outputs,)


def name_outputs(model: nn.Module) -> tuple[str, ...]:
    """The names of what the model's graph gives, in order."""
    if isinstance(model, Detector):
        return ("boxes", "scores", "labels")
    if isinstance(model, Classifier):
        return ("logits",)
    return ("stage1", "stage2", "stage3", "stage4")
