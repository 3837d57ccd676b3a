"""OpenCV DNN: ONNX files on the CPU where nothing but OpenCV 5 is installed."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from pvt_edge.errors import BundleError, RuntimeInputError, RuntimeMissingError
from pvt_edge.runtimes.boundary import boundary, is_utf8, model_file
from pvt_edge.runtimes.onnx_file import read_onnx
from pvt_edge.runtimes.runtime import ModelSpec
from pvt_edge.runtimes.session import TINY_INPUT, TINY_ONNX, Session, check_tiny, device_row, printable
from pvt_edge.runtimes.table import check_precision, check_threads, require

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pvt_edge.runtimes.session import Facts

# OpenCV 4 runs these graphs in its classic engine: up to 4.10 it has no TopK, and 4.12 to 4.14 give float labels
# and, without a word, the boxes of other candidates. The engine of 5.0 agrees with ONNX Runtime to float rounding.
MIN_VERSION = "5.0"


class OpenCvRuntime(Session):
    """An ONNX file in OpenCV's new DNN engine.

    It runs on the CPU in fp32: of fp16 and int8 files the engine gives the right answers, but later than of the
    fp32 one, so they are refused. OpenCV counts threads for the whole process: `threads` holds while `infer` runs,
    also for the other runtimes that run meanwhile; of those that differ, the last to begin says. It does not say of
    what dtype and shape a model's inputs and outputs are: that is `spec`, and without it is read from the file.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        precision: str = "auto",
        device: str = "cpu",
        threads: int | None = None,
        spec: ModelSpec | None = None,
    ) -> None:
        check_precision("opencv", precision)
        check_threads(threads)
        probe_opencv()
        import cv2

        if device not in ("auto", "cpu"):
            raise RuntimeMissingError(f"opencv has no device {device!r}: its new engine runs on the CPU, use 'cpu'")
        file = model_file(path)
        self._threads = threads
        mend = "export the model again" if is_utf8(file) else "rename it to UTF-8, or export the model again"
        with boundary(f"OpenCV {cv2.__version__} cannot load {file}", mend), _silence():
            model = spec or read_onnx(file)
            if model.precision != "fp32":
                raise RuntimeInputError(
                    f"{file} holds {model.precision}, the opencv runtime takes fp32: give the fp32 file"
                )
            # The engine is named: left to choose, OpenCV falls back to the classic one, whose answers are others.
            self._net: Any = cv2.dnn.readNetFromONNX(_source(file), engine=cv2.dnn.ENGINE_NEW)
        if self._net.empty():  # it only logs which ones, and gives a net of nothing
            raise BundleError(f"OpenCV {cv2.__version__} lacks an operator of {file}: take another runtime")
        super().__init__(
            "opencv", str(file), precision="fp32", device="cpu", inputs=model.inputs, outputs=model.outputs
        )

    @classmethod
    def check_machine(cls) -> None:
        """Raise `RuntimeMissingError` where this OpenCV cannot run our graphs."""
        probe_opencv()

    @classmethod
    def probe(cls, facts: "Facts") -> None:
        import cv2
        import numpy as np

        facts["version"] = printable(cv2.__version__)
        probe_opencv()
        net = cv2.dnn.readNetFromONNX(np.frombuffer(TINY_ONNX, np.uint8), engine=cv2.dnn.ENGINE_NEW)
        net.setInput(np.array(TINY_INPUT, np.float32), "x")
        check_tiny(net.forward(["y"])[0].tolist())
        facts["devices"] = [device_row("cpu", "", ["fp32"])]

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


def _source(file: Path) -> "str | NDArray[np.uint8]":
    """What OpenCV loads: the path, beside which it finds external data, or the bytes where it would crash on it."""
    import numpy as np

    return str(file) if is_utf8(file) else np.fromfile(file, np.uint8)


class _ProcessSetting:
    """A setting of the whole process that several threads may hold at once.

    The first one in saves it and the last one out puts it back; in between the latest value holds for all.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._holders = 0
        self._before = 0

    @contextmanager
    def applied(self, value: int, read: Callable[[], int], write: Callable[[int], object]) -> Iterator[None]:
        with self._lock:
            if self._holders == 0:
                self._before = read()
            write(value)
            self._holders += 1
        try:
            yield
        finally:
            with self._lock:
                self._holders -= 1
                if self._holders == 0:
                    write(self._before)


_THREADS, _LOG_LEVEL = _ProcessSetting(), _ProcessSetting()


def _thread_count(count: int | None) -> AbstractContextManager[None]:
    """OpenCV's threads, which the rest of the process shares, set to `count` for a while."""
    import cv2

    return nullcontext() if count is None else _THREADS.applied(count, cv2.getNumThreads, cv2.setNumThreads)


def _silence() -> AbstractContextManager[None]:
    """What OpenCV logs to the console is also raised."""
    from cv2.utils import logging

    return _LOG_LEVEL.applied(logging.LOG_LEVEL_SILENT, logging.getLogLevel, logging.setLogLevel)
