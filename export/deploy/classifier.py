"""The classifier in deploy form."""

from torch import Tensor, nn

from pvt_edge.export.deploy.folding import fold_norm_into_linear
from pvt_edge.export.deploy.form import deploy_backbone, deploys
from pvt_edge.models import Classifier


@deploys(Classifier)
class DeployClassifier(nn.Module):
    """As Classifier; the last LayerNorm's affine part lives in the head (a mean commutes with it)."""

    def __init__(self, model: Classifier, imgsz: tuple[int, int]) -> None:
        super().__init__()
        norm = model.backbone.final_norm(pooled=True)
        self.backbone = deploy_backbone(model.backbone, imgsz, pooled=True, plain_norm=norm is not None)
        self.head = model.head if norm is None else fold_norm_into_linear(norm, model.head)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.backbone(images))
        return logits
