"""Where OpenVINO's time goes, by group of layers."""

from typing import TYPE_CHECKING

from pvt_edge.benchmarks.opening import Opening
from pvt_edge.runtimes.openvino_core import openvino_core

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RUNS = 10


def layer_group_ms(opening: Opening, picture: "NDArray[np.uint8]", *, bf16: bool) -> dict[str, float]:
    """Milliseconds by group, the costliest first, for one picture (1, H, W, 3).

    By the plugin's own counters, which cost time of their own: compare, do not add up.
    """

    from pvt_edge.export.precision.costs import group_ms
    from pvt_edge.export.precision.trial import Trial

    model = openvino_core().read_model(opening.path)
    trial = Trial(model, bf16=bf16, counters=True, threads=opening.threads)
    return {group: round(ms, 3) for group, ms in group_ms(trial.layer_ms(picture, RUNS))[0].items()}
