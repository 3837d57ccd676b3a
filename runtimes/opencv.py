"""OpenCV DNN: ONNX files on the CPU where nothing but OpenCV 5 is installed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pvt_edge.errors import BundleError, RuntimeInputError, RuntimeMissingError
from pvt_edge.runtimes.boundary import boundary, model_file
from pvt_edge.runtimes.onnx_ports import onnx_ports
from pvt_edge.runtimes.onnx_precision import onnx_precision
from pvt_edge.runtimes.session import Session
from pvt_edge.runtimes.table import check_precision, check_threads, require

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# OpenCV 4 runs these graphs in its classic engine: up to 4.10 it has no TopK, and 4.12 to 4.14 give float labels
# and, without a word, the boxes of other candidates. The engine of 5.0 agrees with ONNX Runtime to float rounding.
MIN_VERSION = "5.0"


class OpenCvRuntime(Session):
    """An ONNX file in OpenCV's new DNN engine.

    It runs on the CPU in fp32: of fp16 and int8 files the engine gives the right answers, but later than of the
    fp32 one, so they are refused. OpenCV counts threads for the whole process: `threads` holds while `infer` runs.
    """

    def __init__(
        self, path: str | Path, *, precision: str = "auto", device: str = "cpu", threads: int | None = None
    ) -> None:
        check_precision("opencv", precision)
        check_threads(threads)
        probe_opencv()
        import cv2

        if device not in ("auto", "cpu"):
            raise RuntimeMissingError(f"opencv has no device {device!r}: its new engine runs on the CPU, use 'cpu'")
        file = model_file(path)
        self._threads = threads
        with boundary(f"OpenCV {cv2.__version__} cannot load {file}", "export the model again"), _silence():
            held = onnx_precision(file)
            if held != "fp32":
                raise RuntimeInputError(f"{file} holds {held}, the opencv runtime takes fp32: give the fp32 file")
            inputs, outputs = onnx_ports(file)
            # The engine is named: left to choose, OpenCV falls back to the classic one, whose answers are others.
            self._net: Any = cv2.dnn.readNetFromONNX(str(file), engine=cv2.dnn.ENGINE_NEW)
        if self._net.empty():  # it only logs which ones, and gives a net of nothing
            raise BundleError(f"OpenCV {cv2.__version__} lacks an operator of {file}: take another runtime")
        super().__init__("opencv", str(file), precision="fp32", device="cpu", inputs=inputs, outputs=outputs)

    def _run(self, arrays: "dict[str, NDArray[np.generic]]") -> "dict[str, NDArray[np.generic]]":
        names = [spec.name for spec in self.outputs]
        with _thread_count(self._threads):
            for name, array in arrays.items():
                self._net.setInput(array, name)
            return dict(zip(names, self._net.forward(names), strict=True))

    def _release(self) -> None:
        self._net = None


def probe_opencv() -> None:
    """Raise `RuntimeMissingError` where no OpenCV is installed, or one that cannot run our graphs."""
    require("opencv")
    import cv2

    if not hasattr(getattr(cv2, "dnn", None), "ENGINE_NEW"):
        raise RuntimeMissingError(
            f"the opencv runtime needs the DNN engine of OpenCV {MIN_VERSION}, this is {cv2.__version__}: "
            f'pip install "opencv-python>={MIN_VERSION}", or take another runtime'
        )


@contextmanager
def _thread_count(count: int | None) -> Iterator[None]:
    """OpenCV's threads, which the rest of the process shares, set to `count` for a while."""
    import cv2

    before = cv2.getNumThreads()
    if count is not None:
        cv2.setNumThreads(count)
    try:
        yield
    finally:
        if count is not None:
            cv2.setNumThreads(before)


@contextmanager
def _silence() -> Iterator[None]:
    """What OpenCV logs to the console is also raised."""
    from cv2.utils import logging

    before = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(before)
