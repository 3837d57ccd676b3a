"""What runs an artifact: one file per runtime, all behind the protocol `Runtime`.

>>> from pvt_edge.runtimes import open_runtime
>>> with open_runtime("openvino", "out/b0/openvino/fp32.xml", precision="bf16") as runtime:
...     arrays = runtime.infer({"images": batch})
"""

from pvt_edge.runtimes.runtime import ModelSpec, Runtime, TensorSpec
from pvt_edge.runtimes.table import RUNTIMES, RuntimeEntry, bundled_runtimes, missing, open_runtime

__all__ = [
    "RUNTIMES",
    "ModelSpec",
    "Runtime",
    "RuntimeEntry",
    "TensorSpec",
    "bundled_runtimes",
    "missing",
    "open_runtime",
]
