"""PVT v2 in deploy form."""

from torch import Tensor, nn

from pvt_edge.export.deploy.block import DeployStage
from pvt_edge.export.deploy.form import DeployBackbone, Target, deploys_backbone
from pvt_edge.export.deploy.rewrites import attend_on_tokens, centre
from pvt_edge.export.deploy.rows import compute_on_rows
from pvt_edge.models.pvt_v2 import PVTv2, Stage


@deploys_backbone(PVTv2)
class DeployPVTv2(DeployBackbone):
    """As PVTv2, at one image size."""

    def __init__(self, backbone: PVTv2, imgsz: tuple[int, int], *, pooled: bool, plain_norm: bool) -> None:
        super().__init__()
        self.pooled = pooled
        stages = []
        for i, stage in enumerate(backbone.stages):
            assert isinstance(stage, Stage)
            map_hw = (imgsz[0] >> (i + 2), imgsz[1] >> (i + 2))
            stages.append(DeployStage(stage, map_hw, plain_norm and i == len(backbone.stages) - 1))
        self.stages = nn.ModuleList(stages)

    def forward(self, images: Tensor) -> tuple[Tensor, ...] | Tensor:
        maps, x = [], images
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return x.flatten(2).mean(dim=2) if self.pooled else tuple(maps)

    def first_conv(self) -> tuple[nn.Module, str]:
        return self.stages[0], "patch_embed"

    def shape_for(self, target: Target, *, batch: int = 1) -> None:
        if target == "openvino":
            centre(self.stages)
        elif target == "tensorrt":
            attend_on_tokens(self.stages, batch=batch)
        elif target == "onnxruntime-int8":
            compute_on_rows(self.stages)
