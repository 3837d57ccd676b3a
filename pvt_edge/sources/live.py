"""What every live source keeps: it can be lost and connected again."""

from abc import abstractmethod
from collections.abc import Iterator

from pvt_edge.options.source import SourceOptions
from pvt_edge.sources.source import Frame, Source


class LiveSource(Source):
    """Frames of something that goes on without us. Read by one thread at a time.

    Iterating ends where the source is lost; `pvt_edge.streams` connects again. `decode_errors` counts what came
    and could not be decoded, `passed_over` what was left undecoded to catch up; `notes` says what the source gives
    other than was asked for; `ended` that it has no more to give, which is no loss.
    """

    live = True
    ended = False

    def __init__(self, name: str, options: SourceOptions) -> None:
        super().__init__(name)
        self.options = options
        self.decode_errors = self.passed_over = 0
        self.notes: list[str] = []
        self.connected = False

    @abstractmethod
    def connect(self) -> None:
        """Open the source anew; `DataError` says why that fails and what would mend it."""

    @abstractmethod
    def read(self) -> Frame | None:
        """The next frame, waited for; None when the source is lost or gave nothing for `stall_s`."""

    @abstractmethod
    def disconnect(self) -> None:
        """Let go of the device or socket; a second call does nothing."""

    def is_back(self) -> bool:
        """Whether a source that was away has just come back: cheap, asked often between attempts to connect.

        False where only an attempt can tell.
        """
        return False

    def __iter__(self) -> Iterator[Frame]:
        if not self.connected:
            self.connect()
        while (frame := self.read()) is not None:
            yield frame

    def close(self) -> None:
        self.disconnect()
